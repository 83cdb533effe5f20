"""Parameters as JSON Schema, with the very bounds that requests are checked against."""

from typing import Any, Final

from apps.gateway import params
from apps.gateway.openapi.texts import parameter_text
from apps.gateway.params import (
    Amount,
    Amounts,
    Choice,
    Flag,
    Integer,
    Param,
    Permissions,
    Symbol,
    Symbols,
    Text,
    Time,
    TimeZone,
)

# Up to 8 decimals, and zeros after them; amounts of 12 digits and more are beyond every filter.
AMOUNT: Final = {
    "type": "string", "pattern": r"^(0|[1-9][0-9]{0,10})(\.[0-9]{1,8}0{0,10})?$", "examples": ["0.5"],
}  # fmt: skip
SYMBOL: Final = {"type": "string", "pattern": f"^{params.SYMBOL.pattern}$"}


def schema_of(param: Param) -> dict[str, Any]:
    """AssertionError for a kind of parameter that has no description here."""
    schema = _kind(param)
    default = default_of(param)
    return schema if default is None else {**schema, "default": default}


def _kind(param: Param) -> dict[str, Any]:
    if isinstance(param, Symbol):
        return dict(SYMBOL)
    if isinstance(param, Symbols):
        return {"type": "array", "items": SYMBOL, "minItems": 1, "maxItems": params.SYMBOLS_MAX, "uniqueItems": True}
    if isinstance(param, Integer):
        return {"type": "integer", "format": "int64", "minimum": param.minimum, "maximum": param.maximum}
    if isinstance(param, Amount):
        return dict(AMOUNT)
    if isinstance(param, Amounts):
        return {"type": "array", "items": AMOUNT, "minItems": 1, "maxItems": param.longest}
    if isinstance(param, Choice):
        return {"type": "string", "enum": choices_of(param)}
    if isinstance(param, Flag):
        return {"type": "boolean"}
    if isinstance(param, TimeZone):
        return {"type": "string", "pattern": params.TIME_ZONE_LEGAL}
    if isinstance(param, Permissions):
        return {"type": "string", "examples": ["SPOT", '["SPOT","MARGIN"]']}
    assert isinstance(param, Text), f"{type(param).__name__} has no schema in {__name__}"
    return {"type": "string", "pattern": f"^{param.pattern.pattern}$"}


def choices_of(param: Choice) -> list[str]:
    """The spellings that are taken; those that are known only to be refused have no value."""
    return [text for text, value in (param.values or {}).items() if value is not None]


def default_of(param: Param) -> Any:
    """As a client would send it."""
    if isinstance(param, Choice) and param.default is not None:
        return next(text for text, value in (param.values or {}).items() if value == param.default)
    if isinstance(param, TimeZone) and param.default is not None:
        return "0"
    if isinstance(param, Symbols | Amounts | Permissions):
        return None
    return param.default


def described(param: Param, path: str) -> dict[str, Any]:
    """An OpenAPI parameter. Lists are JSON arrays in one value, as the dialect has them."""
    schema = schema_of(param)
    kind = {"content": {"application/json": {"schema": schema}}} if schema["type"] == "array" else {"schema": schema}
    return {
        "name": param.name,
        "in": "query",
        "required": param.required,
        "description": description(param, path),
        **kind,
    }


def description(param: Param, path: str) -> str:
    text = parameter_text(param.name, path)
    if isinstance(param, Integer) and param.cap is not None:
        text += f" More than {param.cap} is taken as {param.cap}."
    if isinstance(param, Time):
        text += " Milliseconds since 1970, or microseconds."
    return text


def kind_text(param: Param) -> str:
    """A parameter's kind in a few words, for people."""
    if isinstance(param, Symbol):
        return "symbol"
    if isinstance(param, Symbols):
        return "JSON array of symbols"
    if isinstance(param, Time):
        return "time"
    if isinstance(param, Integer):
        bounds = f"from {param.minimum}" if param.minimum else ""
        if param.cap is not None:
            bounds += f" to {param.cap}"
        elif param.maximum < params.INTEGER_MAX // 2:
            bounds += f" to {param.maximum}"
        return f"integer {bounds}".strip()
    if isinstance(param, Amount):
        return "decimal"
    if isinstance(param, Amounts):
        return f"JSON array of decimals, at most {param.longest}"
    if isinstance(param, Flag):
        return "true or false"
    if isinstance(param, TimeZone):
        return "time zone, such as 8 or -1:00"
    if isinstance(param, Permissions):
        return "permission, or a JSON array"
    if isinstance(param, Choice):
        return "word"
    assert isinstance(param, Text), f"{type(param).__name__} has no words in {__name__}"
    return f"text {param.legal}"
