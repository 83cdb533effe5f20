"""What the API page shows, as plain values for its template. Built once, but for limits and addresses."""

from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from apps.gateway import registry
from apps.gateway.openapi.codes import ERROR_CODES, codes_of
from apps.gateway.openapi.document import recorded_answers
from apps.gateway.openapi.parameters import choices_of, default_of, description, kind_text
from apps.gateway.openapi.sockets import SESSION_TEXTS, STREAM_TEXTS
from apps.gateway.openapi.texts import SECTIONS, name_of, section_of, summary, weight_text
from apps.gateway.orderform import SHAPES
from apps.gateway.params import Choice, Param
from apps.gateway.registry import Endpoint, Security
from apps.gateway.streams import names
from apps.gateway.wsapi.session import SESSION_METHODS

RIGHTS: Final = {
    Security.USER_STREAM: "API key, right to read",
    Security.USER_DATA: "signed, right to read",
    Security.TRADE: "signed, right to trade",
}
# A choice with more words than this shows the first and the last ones.
WORDS_MAX: Final = 24
OUTLINE_DEPTH: Final = "  "


@dataclass(frozen=True, slots=True)
class ParameterRow:
    name: str
    required: bool
    kind: str
    text: str
    words: str
    default: str


@dataclass(frozen=True, slots=True)
class EndpointRow:
    anchor: str
    method: str
    path: str
    ws: str
    summary: str
    rights: str
    weight: str
    orders: int
    parameters: tuple[ParameterRow, ...]
    codes: tuple[int, ...]
    answer: str


@dataclass(frozen=True, slots=True)
class StreamRow:
    """`others`: further names of the same."""

    name: str
    others: tuple[str, ...]
    meaning: str
    pace: str
    fields: str


@dataclass(frozen=True, slots=True)
class Section:
    anchor: str
    title: str
    text: str
    endpoints: tuple[EndpointRow, ...]


@cache
def sections() -> tuple[Section, ...]:
    """Every endpoint, in the order of the registry."""
    known = registry.load().all()
    found = []
    for title, text in SECTIONS.items():
        rows = tuple(_endpoint(endpoint) for endpoint in known if section_of(endpoint) == title)
        if rows:
            found.append(Section(title.lower().replace(" ", "-"), title, text, rows))
    return tuple(found)


def session_methods() -> list[tuple[str, str]]:
    return [(name, SESSION_TEXTS[name]) for name in SESSION_METHODS]


def streams() -> list[StreamRow]:
    """Every market stream, in the order of their table. AssertionError for one without its sentence."""
    rows = []
    for name, *others in names.TABLE:
        assert name in STREAM_TEXTS, f"{name} needs a sentence in apps/gateway/openapi/sockets.py"
        rows.append(StreamRow(name, tuple(others), *STREAM_TEXTS[name]))
    return rows


def stream_placeholders() -> list[tuple[str, str]]:
    """What stands for what in names of streams."""
    return [(name, " ".join(values)) for name, values in names.PLACEHOLDERS.items()]


def order_kinds() -> list[dict[str, str]]:
    """What each kind of order needs and takes besides, as validation has it."""
    rows = []
    for kind, shape in SHAPES.items():
        needs, takes = list(shape.required), list(shape.optional)
        if kind.name == "MARKET":
            needs, takes = ["quantity or quoteOrderQty"], []
        elif shape.trigger:
            needs.append("stopPrice or trailingDelta, or both")
            takes = [name for name in takes if name not in ("stopPrice", "trailingDelta")]
        rows.append({"name": kind.name, "needs": ", ".join(needs), "takes": ", ".join(takes)})
    return rows


def error_rows() -> list[dict[str, Any]]:
    return [
        {"number": each.number, "statuses": ", ".join(map(str, each.statuses)), "meaning": each.meaning}
        for each in ERROR_CODES.values()
    ]


def _endpoint(endpoint: Endpoint) -> EndpointRow:
    schema = recorded_answers()["answers"].get(name_of(endpoint))
    return EndpointRow(
        anchor=f"{endpoint.method.lower()}-{endpoint.path.strip('/').replace('/', '-').replace('.', '-')}",
        method=endpoint.method,
        path=endpoint.path,
        ws=endpoint.ws or "",
        summary=summary(endpoint),
        rights=RIGHTS.get(endpoint.security, ""),
        weight=weight_text(endpoint),
        orders=endpoint.orders or 0,
        parameters=tuple(_parameter(param, endpoint.path) for param in endpoint.params),
        codes=tuple(codes_of(endpoint)),
        answer="" if schema is None else outline(schema),
    )


def _parameter(param: Param, path: str) -> ParameterRow:
    words = choices_of(param) if isinstance(param, Choice) else []
    if len(words) > WORDS_MAX:
        words = [*words[:3], "...", *words[-3:]]
    default = default_of(param)
    return ParameterRow(
        name=param.name,
        required=param.required,
        kind=kind_text(param),
        text=description(param, path),
        words=" ".join(words),
        default="" if default is None else str(default).lower() if isinstance(default, bool) else str(default),
    )


def outline(schema: dict[str, Any], depth: int = 0) -> str:
    """An answer's form as people read it: names, and in place of values their kinds."""
    if "$ref" in schema:
        return str(recorded_answers()["schemas"][schema["$ref"].rsplit("/", 1)[-1]]["description"])
    if "anyOf" in schema:
        forms = [outline(each, depth) for each in schema["anyOf"]]
        return f"\n{OUTLINE_DEPTH * depth}or ".join(dict.fromkeys(forms))
    if "enum" in schema:
        return " | ".join(schema["enum"])
    inside = OUTLINE_DEPTH * (depth + 1)
    if schema["type"] == "array":
        if "prefixItems" in schema:
            return f"[{', '.join(outline(each, depth) for each in schema['prefixItems'])}]"
        return f"[{outline(schema['items'], depth)}, ...]"
    properties = schema.get("properties", {})
    if not properties:
        more = schema.get("additionalProperties")
        return f"{{name: {outline(more, depth)}, ...}}" if isinstance(more, dict) else "{}"
    optional = properties.keys() - set(schema.get("required", ()))
    lines = [
        f"{inside}{name}{'?' if name in optional else ''}: {outline(each, depth + 1)}"
        for name, each in properties.items()
    ]
    return "{\n" + "\n".join(lines) + f"\n{OUTLINE_DEPTH * depth}}}"
