"""Control messages of stream connections: SUBSCRIBE, UNSUBSCRIBE, LIST_SUBSCRIPTIONS, SET_PROPERTY, GET_PROPERTY.

Ids are echoed with the type they came with. An error never closes the connection. Pure.
"""

import re
from dataclasses import dataclass
from typing import Any, Final

import msgspec

METHODS: Final = ("SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY")
COMBINED_PROPERTY: Final = "combined"
# What a stream name may consist of; a name of that form that means nothing is accepted and stays silent.
STREAM_NAME: Final = re.compile(r"[A-Za-z0-9!@_\-.+:]{1,100}", re.ASCII)
ID_LENGTH_MAX: Final = 36
INTEGER_MAX: Final = 2**63 - 1


class ControlError(Exception):
    """Refusal of one control message, with the id to echo."""

    def __init__(self, code: int, message: str, request_id: Any = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.request_id = request_id

    def answer(self) -> dict[str, Any]:
        return {"error": {"code": self.code, "msg": self.message}, "id": self.request_id}


@dataclass(frozen=True, slots=True)
class Control:
    method: str
    params: list[Any]
    request_id: int | str | None


def parse(text: str) -> Control:
    """Raises ControlError."""
    try:
        frame = msgspec.json.decode(text)
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
        raise ControlError(3, f"Invalid JSON: {str(error)[:100]}") from error
    if not isinstance(frame, dict):
        raise ControlError(2, "Invalid request: an object is expected")
    request_id = frame.get("id")
    if not _is_id(request_id):
        raise ControlError(
            2, "Invalid request: request ID must be an integer, a string of at most 36 characters or null"
        )
    unknown = next((name for name in frame if name not in ("method", "params", "id")), None)
    if unknown is not None:
        raise ControlError(2, f"Invalid request: unknown field {unknown[:40]}", request_id)
    if "method" not in frame:
        raise ControlError(2, "Invalid request: missing field `method`", request_id)
    method = frame["method"]
    if method not in METHODS:
        known = ", ".join(f"`{name}`" for name in METHODS)
        raise ControlError(
            2, f"Invalid request: unknown variant {str(method)[:40]}, expected one of {known}", request_id
        )
    params = frame.get("params", [])
    if not isinstance(params, list):
        raise ControlError(2, "Invalid request: params must be an array", request_id)
    if method in ("SUBSCRIBE", "UNSUBSCRIBE"):
        _check_names(params, request_id)
    else:
        _check_property(method, params, request_id)
    return Control(method, params, request_id)


def _is_id(value: Any) -> bool:
    if value is None:
        return True
    if isinstance(value, str):
        return len(value) <= ID_LENGTH_MAX
    return isinstance(value, int) and not isinstance(value, bool) and -INTEGER_MAX <= value <= INTEGER_MAX


def _check_property(method: str, params: list[Any], request_id: Any) -> None:
    """The only property there is, and for SET_PROPERTY its value."""
    wanted = {"LIST_SUBSCRIPTIONS": 0, "GET_PROPERTY": 1, "SET_PROPERTY": 2}[method]
    if len(params) > wanted:
        raise ControlError(2, "Invalid request: too many parameters", request_id)
    if wanted == 0:
        return
    if not params or not isinstance(params[0], str):
        raise ControlError(2, "Invalid request: property name must be a string", request_id)
    if params[0] != COMBINED_PROPERTY:
        raise ControlError(0, "Unknown property", request_id)
    if wanted == len(params) + 1 or (wanted == 2 and not isinstance(params[1], bool)):
        raise ControlError(1, "Invalid value type: expected Boolean", request_id)


def _check_names(params: list[Any], request_id: Any) -> None:
    if not params:
        raise ControlError(2, "Invalid request: params must name at least one stream", request_id)
    for name in params:
        if not isinstance(name, str) or STREAM_NAME.fullmatch(name) is None:
            raise ControlError(2, "Invalid request: a stream name must be a string such as btcusdt@trade", request_id)
