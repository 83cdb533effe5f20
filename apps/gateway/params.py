"""Strict parsing of request parameters: text in, integers and enums out, or a refusal that names the field.

Values arrive as text on every path: percent-decoded from query and form body, or the literal text of a JSON number in
WebSocket API frames. Nothing is ever converted through a float.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote_to_bytes

import msgspec

from apps.common.amounts import AmountError, parse_decimal
from apps.gateway import errors
from apps.gateway.errors import ApiError
from apps.gateway.policy import MICROSECONDS_FROM

INTEGER: Final = re.compile(r"(0|[1-9]\d{0,18})", re.ASCII)
INTEGER_MAX: Final = 2**63 - 1
AMOUNT_LEGAL: Final = r"^(0|[1-9][0-9]{0,17})(\.[0-9]{1,18})?$"
SYMBOL: Final = re.compile(r"[A-Z0-9\-_.]{1,20}", re.ASCII)
SYMBOL_LEGAL: Final = "^[A-Z0-9-_.]{1,20}$"
SYMBOLS_LEGAL: Final = r'^\["[A-Z0-9-_.]{1,20}"(,"[A-Z0-9-_.]{1,20}"){0,99}\]$'
CLIENT_ID: Final = re.compile(r"[a-zA-Z0-9\-_]{1,36}", re.ASCII)
CLIENT_ID_LEGAL: Final = "^[a-zA-Z0-9-_]{1,36}$"
SYMBOLS_MAX: Final = 100
TIME_ZONE: Final = re.compile(r"([+-]?)(\d{1,2})(?::([0-5]\d))?", re.ASCII)
TIME_ZONE_LEGAL: Final = "^[+-]?[0-9]{1,2}(:[0-5][0-9])?$"
ZONE_MS_MIN: Final = -12 * 3_600_000
ZONE_MS_MAX: Final = 14 * 3_600_000
PERMISSION: Final = re.compile(r"SPOT|MARGIN|LEVERAGED|TRD_GRP_\d{3}", re.ASCII)
PERMISSIONS_LEGAL: Final = '^[A-Z0-9_]{1,20}$ or ["SPOT",...]'

# Every request may carry these; security reads them, endpoints do not declare them.
SECURITY_NAMES: Final = frozenset({"timestamp", "recvWindow", "signature"})


def parse_pairs(raw: bytes) -> dict[str, str]:
    """Names and values of a query string or form body, percent-decoded; a repeated name is refused (-1101)."""
    found: dict[str, str] = {}
    if not raw:
        return found
    escaped = b"%" in raw or b"+" in raw
    for pair in _text(raw).split("&"):
        if not pair:
            continue
        name, _, value = pair.partition("=")
        if escaped:
            name, value = _unescaped(name), _unescaped(value)
        if name in found:
            raise errors.duplicate_parameter()
        found[name] = value
    return found


def _unescaped(text: str) -> str:
    if "%" not in text and "+" not in text:
        return text
    return _text(unquote_to_bytes(text.replace("+", " ")))


def _text(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise errors.malformed_encoding() from error


@dataclass(frozen=True, slots=True)
class Param:
    """One parameter of an endpoint. `parse` gets non-empty text and returns the value or raises ApiError."""

    name: str
    required: bool = False
    default: Any = None

    def parse(self, text: str) -> Any:
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Text(Param):
    """Free text of a legal form."""

    pattern: re.Pattern[str] = CLIENT_ID
    legal: str = CLIENT_ID_LEGAL

    def parse(self, text: str) -> str:
        if self.pattern.fullmatch(text) is None:
            raise errors.illegal_characters(self.name, self.legal)
        return text


@dataclass(frozen=True, slots=True)
class Symbol(Param):
    """A market's symbol by form; whether it exists is for the handler (-1121)."""

    def parse(self, text: str) -> str:
        if SYMBOL.fullmatch(text) is None:
            raise errors.illegal_characters(self.name, SYMBOL_LEGAL)
        return text


@dataclass(frozen=True, slots=True)
class Symbols(Param):
    """JSON array of symbols, as the dialect writes it: ["BTCUSDT","ETHUSDT"]."""

    def parse(self, text: str) -> list[str]:
        try:
            symbols = msgspec.json.decode(text, type=list[str])
        except (msgspec.MsgspecError, RecursionError) as error:
            raise errors.illegal_characters(self.name, SYMBOLS_LEGAL) from error
        if not 0 < len(symbols) <= SYMBOLS_MAX:
            raise errors.not_valid(self.name)
        for symbol in symbols:
            if SYMBOL.fullmatch(symbol) is None:
                raise errors.illegal_characters(self.name, SYMBOL_LEGAL)
        if len(set(symbols)) != len(symbols):
            raise errors.repeated_symbols()
        return symbols


@dataclass(frozen=True, slots=True)
class Integer(Param):
    """A whole number between `minimum` and `maximum`; above `cap`, where given, it is lowered to `cap`."""

    minimum: int = 0
    maximum: int = INTEGER_MAX
    cap: int | None = None

    def parse(self, text: str) -> int:
        if INTEGER.fullmatch(text) is None:
            raise errors.illegal_characters(self.name, "^[0-9]{1,19}$")
        value = int(text)
        if not self.minimum <= value <= self.maximum:
            raise errors.not_valid(self.name)
        return value if self.cap is None else min(value, self.cap)


@dataclass(frozen=True, slots=True)
class Time(Integer):
    """A time in milliseconds since the epoch, or in microseconds, told apart by size; the value is in milliseconds.

    `from_then_on`: a start is rounded up and any other time down, so that what lies between two times stays the same.
    """

    from_then_on: bool = False

    def parse(self, text: str) -> int:
        value = Integer.parse(self, text)
        if value < MICROSECONDS_FROM:
            return value
        return -(-value // 1000) if self.from_then_on else value // 1000


@dataclass(frozen=True, slots=True)
class Amount(Param):
    """A decimal as units of 10^-8. `above` names the filter that a number beyond every amount breaks."""

    above: str = "LOT_SIZE"

    def parse(self, text: str) -> int:
        try:
            return parse_decimal(text)
        except AmountError as error:
            if error.reason == "precision":
                raise errors.too_precise(self.name) from error
            if error.reason == "range":
                raise errors.filter_failure(self.above) from error
            raise errors.illegal_characters(self.name, AMOUNT_LEGAL) from error


@dataclass(frozen=True, slots=True)
class Amounts(Param):
    """JSON array of decimals as texts, ["0.5","1"], as units of 10^-8; at most `longest` of them."""

    above: str = "LOT_SIZE"
    longest: int = 64

    def parse(self, text: str) -> list[int]:
        try:
            texts = msgspec.json.decode(text, type=list[str])
        except (msgspec.MsgspecError, RecursionError) as error:
            raise errors.illegal_characters(self.name, f'["{AMOUNT_LEGAL}", ...]') from error
        if not 0 < len(texts) <= self.longest:
            raise errors.not_valid(self.name)
        each = Amount(self.name, above=self.above)
        return [each.parse(text) for text in texts]


@dataclass(frozen=True, slots=True)
class Choice(Param):
    """One of `values` by its exact spelling; `refuse` makes the error for anything else."""

    values: Mapping[str, Any] | None = None
    refuse: Callable[[], ApiError] | None = None

    def parse(self, text: str) -> Any:
        values = self.values or {}
        if text in values:
            return values[text]
        raise self.refuse() if self.refuse is not None else errors.not_valid(self.name)


@dataclass(frozen=True, slots=True)
class TimeZone(Param):
    """How far a clock is ahead of UTC, in hours or hours and minutes (8, -1:00, 05:45), as milliseconds."""

    def parse(self, text: str) -> int:
        match = TIME_ZONE.fullmatch(text)
        if match is None:
            raise errors.illegal_characters(self.name, TIME_ZONE_LEGAL)
        sign, hours, minutes = match.groups()
        offset_ms = (int(hours) * 60 + int(minutes or 0)) * 60_000 * (-1 if sign == "-" else 1)
        if not ZONE_MS_MIN <= offset_ms <= ZONE_MS_MAX:
            raise errors.not_valid(self.name)
        return offset_ms


@dataclass(frozen=True, slots=True)
class Permissions(Param):
    """One permission or a JSON array of them, as a set: SPOT or ["SPOT","MARGIN"]."""

    def parse(self, text: str) -> frozenset[str]:
        try:
            names = msgspec.json.decode(text, type=list[str]) if text.startswith("[") else [text]
        except (msgspec.MsgspecError, RecursionError) as error:
            raise errors.illegal_characters(self.name, PERMISSIONS_LEGAL) from error
        if not names or any(PERMISSION.fullmatch(name) is None for name in names):
            raise errors.not_valid(self.name)
        return frozenset(names)


@dataclass(frozen=True, slots=True)
class Flag(Param):
    """true or false, in lower case or as Python writes them."""

    def parse(self, text: str) -> bool:
        if text in ("true", "True"):
            return True
        if text in ("false", "False"):
            return False
        raise errors.illegal_characters(self.name, "^(true|false)$")


def read(params: Iterable[Param], sent: Mapping[str, str]) -> dict[str, Any]:
    """Every declared parameter's value or default. Refuses missing, empty, malformed and unknown ones."""
    values: dict[str, Any] = {}
    for param in params:
        text = sent.get(param.name)
        if text is None:
            if param.required:
                raise errors.missing(param.name)
            values[param.name] = param.default
        elif text == "":
            raise errors.missing(param.name) if param.required else errors.empty(param.name)
        else:
            values[param.name] = param.parse(text)
    if any(name not in values and name not in SECURITY_NAMES for name in sent):
        raise errors.unread_parameters([name for name in sent if name not in values and name not in SECURITY_NAMES])
    return values


class Reader:
    """`read` for the parameters of one endpoint, in a third of the time where nothing is wrong with them."""

    __slots__ = ("_defaults", "_parsers", "_required", "params")

    def __init__(self, params: tuple[Param, ...]) -> None:
        self.params = params
        self._parsers = {param.name: param.parse for param in params}
        self._defaults = {param.name: param.default for param in params}
        self._required = [param.name for param in params if param.required]

    def read(self, sent: Mapping[str, str]) -> dict[str, Any]:
        """What was sent decides how long it takes, not what could be. `read` says what is wrong, in its order."""
        values = self._defaults.copy()
        parsers = self._parsers
        try:
            for name, text in sent.items():
                parse = parsers.get(name)
                if parse is not None and text:
                    values[name] = parse(text)
                elif parse is not None or name not in SECURITY_NAMES:
                    return read(self.params, sent)
        except ApiError:
            return read(self.params, sent)
        for name in self._required:
            if name not in sent:
                return read(self.params, sent)
        return values
