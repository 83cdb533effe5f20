"""WebSocket API frames: JSON in, parameters as text out. Numbers keep their literal text and never become floats.

A repeated key, nesting, or a value of a kind that no parameter has is refused. Pure.
"""

import json
import re
from functools import lru_cache
from typing import Any, Final
from urllib.parse import quote

import msgspec

from apps.gateway import errors, timeunit
from apps.gateway.errors import ApiError
from apps.gateway.limits.counting import Usage
from apps.gateway.limits.tiers import Tier, order_rows, weight_row

ID_LENGTH_MAX: Final = 36
INTEGER_ID: Final = re.compile(r"-?(0|[1-9]\d{0,18})", re.ASCII)
# A method may be named with the only version that there is.
METHOD: Final = re.compile(r"(?:v3/)?([A-Za-z0-9.]{1,64})", re.ASCII)
encode: Final = msgspec.json.Encoder().encode


decode: Final = msgspec.json.Decoder().decode
INTEGER_ID_END: Final = 10**19


class Number(str):
    """The literal text of a JSON number."""

    __slots__ = ()


class _RepeatedKey(ValueError):
    pass


class _StrangeKey(ValueError):
    pass


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """No name has other characters than ASCII; a lone surrogate could not even be shown in the refusal."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _RepeatedKey
    if not all(name.isascii() for name in found):
        raise _StrangeKey
    return found


_decoder: Final = json.JSONDecoder(
    parse_float=Number, parse_int=Number, parse_constant=Number, object_pairs_hook=_object
)


# Objects as tuples of (name, value), which keep what comes twice.
_pairs_decoder: Final = json.JSONDecoder(
    parse_float=Number, parse_int=Number, parse_constant=Number, object_pairs_hook=tuple
)


class FrameError(Exception):
    """A frame that is no request; `request_id` is JSON text where one could be read."""

    def __init__(self, error: ApiError, request_id: str = "null") -> None:
        super().__init__(error.message)
        self.error = error
        self.request_id = request_id


class Request(msgspec.Struct, frozen=True, gc=False):
    """`id` is the JSON text to echo; `params` are texts, as a query string would carry them."""

    id: str
    method: str
    params: dict[str, str]


def parse(text: str) -> Request:
    """Raises FrameError."""
    return _parse_plain(text) or parse_closely(text)


def _parse_plain(text: str) -> Request | None:
    """A frame of texts and positive whole numbers, as clients send them; None where it takes a closer look.

    The decoder forgets which names came twice, so the quotation marks are counted: without backslashes a text has two.
    """
    if "\\" in text or not (text.isascii() and text.isprintable()):
        return None
    try:
        frame = decode(text)
    except (msgspec.MsgspecError, RecursionError):
        return None
    if frame.__class__ is not dict or len(frame) != 3 or "id" not in frame:
        return None
    request_id, method, given = frame["id"], frame.get("method"), frame.get("params")
    if method.__class__ is not str or given.__class__ is not dict:
        return None
    texts = len(frame) + 1 + len(given)
    if request_id.__class__ is str and len(request_id) <= ID_LENGTH_MAX:
        texts += 1
        request_id = f'"{request_id}"'
    elif request_id.__class__ is int and 0 < request_id < INTEGER_ID_END:
        request_id = str(request_id)
    else:
        return None
    params: dict[str, str] = {}
    for name, value in given.items():
        if value.__class__ is str:
            texts += 1
            params[name] = value
        elif value.__class__ is int and value > 0:
            params[name] = str(value)
        else:
            return None
    named = METHOD.fullmatch(method)
    if named is None or text.count('"') != 2 * texts:
        return None
    return Request(request_id, named[1], params)


def parse_closely(text: str) -> Request:
    """Any frame. Raises FrameError."""
    try:
        frame = _decoder.decode(text)
    except _RepeatedKey as error:
        raise FrameError(errors.duplicate_parameter(), _id_of_repeating(text)) from error
    except _StrangeKey as error:
        raise FrameError(errors.malformed_frame("names consist of ASCII characters")) from error
    except (ValueError, RecursionError) as error:
        raise FrameError(errors.malformed_frame("a JSON object is expected")) from error
    if not isinstance(frame, dict):
        raise FrameError(errors.malformed_frame("a JSON object is expected"))
    request_id = _id_text(frame.get("id"))
    unknown = [name for name in frame if name not in ("id", "method", "params")]
    if unknown:
        raise FrameError(errors.malformed_frame(f"unknown field '{unknown[0][:40]}'"), request_id)
    method = frame.get("method")
    named = METHOD.fullmatch(method) if isinstance(method, str) and not isinstance(method, Number) else None
    if named is None:
        raise FrameError(errors.malformed_frame("'method' must be the name of a method"), request_id)
    given = frame.get("params", {})
    if not isinstance(given, dict):
        raise FrameError(errors.malformed_frame("'params' must be an object"), request_id)
    try:
        return Request(request_id, named[1], {name: _text(name, value) for name, value in given.items()})
    except ApiError as error:
        raise FrameError(error, request_id) from error


def _id_of_repeating(text: str) -> str:
    """The id of a frame in which some name comes twice; null where that is the id itself, or there is none."""
    try:
        frame = _pairs_decoder.decode(text)
        ids = [value for name, value in frame if name == "id"] if isinstance(frame, tuple) else []
        return _id_text(ids[0]) if len(ids) == 1 else "null"
    except (FrameError, ValueError, RecursionError):
        return "null"


def _id_text(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, Number) and INTEGER_ID.fullmatch(value):
        return str(value)
    if isinstance(value, str) and not isinstance(value, Number) and len(value) <= ID_LENGTH_MAX:
        try:
            return encode(value).decode()
        except UnicodeError:
            pass
    raise FrameError(errors.malformed_frame("'id' must be an integer, a string of at most 36 characters or null"))


def _text(name: str, value: Any) -> str:
    if isinstance(value, str):
        if not value.isascii():
            raise errors.illegal_characters(name[:40], "ASCII")
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list) and all(isinstance(item, str) and not isinstance(item, Number) for item in value):
        return json.dumps(value, separators=(",", ":"))
    raise errors.illegal_characters(name[:40], "a string, a number, true, false or a list of strings")


def signed_messages(params: dict[str, str]) -> tuple[bytes, bytes]:
    """What a client may have signed: parameters sorted by name, values as they are, or percent-encoded."""
    pairs = sorted((name, value) for name, value in params.items() if name != "signature")
    raw = "&".join(f"{name}={value}" for name, value in pairs)
    encoded = "&".join(f"{name}={quote(value, safe='-_.~')}" for name, value in pairs)
    return raw.encode("utf-8", "replace"), encoded.encode("ascii")


def rate_limits(tier: Tier, usage: Usage, *, shows_orders: bool) -> str:
    """The field `rateLimits` of an answer."""
    weight, ten_seconds, day = _rows(tier)
    orders = f"{ten_seconds}{usage.orders_10_s}}},{day}{usage.orders_day}}}," if shows_orders else ""
    return f',"rateLimits":[{orders}{weight}{usage.weight}}}]'


@lru_cache(maxsize=64)
def _rows(tier: Tier) -> list[str]:
    """Weight, orders of ten seconds and of a day, as JSON up to the count, which comes last."""
    return [encode(row).decode()[:-1] + ',"count":' for row in (weight_row(tier), *order_rows(tier))]


def answer(request_id: str, result: Any, limits: str) -> str:
    """`limits`: the field `rateLimits`, or nothing."""
    return f'{{"id":{request_id},"status":200,"result":{encode(result).decode()}{limits}}}'


def refusal(
    request_id: str, error: ApiError, limits: str = "", *, now_ms: int = 0, in_microseconds: bool = False
) -> str:  # fmt: skip
    """Without headers, `data` says when a limit has room again."""
    shown = error.body()
    if error.until_ms is not None:
        shown["data"] = {"serverTime": now_ms, "retryAfter": error.until_ms}
    if in_microseconds:
        shown = timeunit.in_microseconds(shown)
    return f'{{"id":{request_id},"status":{error.status},"error":{encode(shown).decode()}{limits}}}'
