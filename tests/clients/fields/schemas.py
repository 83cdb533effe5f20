"""The field tables as JSON Schema, for the OpenAPI document: `python -m tests.clients.fields.schemas` writes them.

A kind becomes a named schema, everything else stands where it is used.
"""

import json
from pathlib import Path
from typing import Any, Final

from tests.clients.fields import kinds
from tests.clients.fields.kinds import AnyOf, Kind, Named, OneOf, Row
from tests.clients.fields.tables import REST

FILE: Final = Path(__file__).resolve().parents[3] / "apps/gateway/openapi/answers.json"
JSON_TYPES: Final = {str: "string", int: "integer", bool: "boolean"}
# Patterns of integers are about their range, which a schema says in numbers.
RANGES: Final = {
    r"\d{1,16}": {"minimum": 0}, r"-1|\d{1,16}": {"minimum": -1}, r"1\d{12}": {"minimum": 10**12},
    r"\d{1,19}": {"minimum": 0, "maximum": 2**63 - 1}, r"[1-9]\d{6,9}": {"minimum": 10**6, "maximum": 2**31 - 1},
    r"[1-9]\d{12}": {"minimum": 10**12}, r"-1|1\d{12}": {"minimum": -1}, r"0|1\d{12}": {"minimum": 0},
}  # fmt: skip


def schema_of(table: Any) -> dict[str, Any]:
    if isinstance(table, Kind):
        return {"$ref": f"#/components/schemas/{NAMES[table]}"}
    if isinstance(table, OneOf):
        return {"type": "string", "enum": sorted(table.words)}
    if isinstance(table, AnyOf):
        return {"anyOf": [schema_of(each) for each in table.tables]}
    if isinstance(table, Row):
        places = [schema_of(each) for each in table.places]
        return {"type": "array", "prefixItems": places, "minItems": len(places), "maxItems": len(places)}
    if isinstance(table, Named):
        return {"type": "object", "additionalProperties": schema_of(table.table)}
    if isinstance(table, list):
        return {"type": "array", "items": schema_of(table[0])}
    return {
        "type": "object",
        "required": [name for name in table if not name.endswith("?")],
        "properties": {name.removesuffix("?"): schema_of(each) for name, each in table.items()},
        "additionalProperties": False,
    }


def schema_of_kind(kind: Kind) -> dict[str, Any]:
    names = [JSON_TYPES[each] for each in kind.types] + ["null"] * kind.null
    schema: dict[str, Any] = {"description": kind.name, "type": names[0] if len(names) == 1 else names}
    if kind.pattern is not None:
        pattern = kind.pattern.pattern
        schema |= RANGES[pattern] if int in kind.types else {"pattern": f"^({pattern})$"}
    return schema


def _named_kinds() -> dict[Kind, str]:
    """MONEY_OR_NULL is MoneyOrNull."""
    return {value: name.title().replace("_", "") for name, value in vars(kinds).items() if isinstance(value, Kind)}


NAMES: Final = _named_kinds()


def recorded() -> dict[str, Any]:
    answers = {name: schema_of(table) for name, table in REST.items()}
    answers["GET /api/openapi.json"] = {"type": "object", "required": ["openapi", "info", "paths", "components"]}
    used = json.dumps(answers)
    return {
        "schemas": {
            name: schema_of_kind(kind)
            for kind, name in sorted(NAMES.items(), key=lambda item: item[1])
            if f'schemas/{name}"' in used
        },
        "answers": dict(sorted(answers.items())),
    }


def text() -> str:
    """One line a schema, so that a change shows where it is."""
    parts = []
    for name, schemas in recorded().items():
        lines = [f"  {json.dumps(key)}: {json.dumps(schema)}" for key, schema in schemas.items()]
        parts.append(f" {json.dumps(name)}: {{\n" + ",\n".join(lines) + "\n }")
    return "{\n" + ",\n".join(parts) + "\n}\n"


if __name__ == "__main__":
    FILE.write_text(text())
