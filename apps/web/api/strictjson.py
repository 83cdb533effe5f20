"""JSON as the platform API takes it: nothing is guessed, and no number with a decimal point reaches anybody.

reliability.md section 3: duplicate names, depth, size, NaN and 1e999 are refused; threat-T12, threat-T22.
"""

import json
from typing import Any, Final, NoReturn

from rest_framework.exceptions import ParseError
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.parsers import BaseParser

from apps.web.api.policy import BODY_BYTES_MAX, BODY_DEPTH_MAX, NUMBER_DIGITS_MAX
from apps.web.api.problems import Refused

_OPENS: Final = frozenset("[{")
_CLOSES: Final = frozenset("]}")


class StrictJson(BaseParser):
    media_type = "application/json"

    def parse(self, stream: Any, media_type: Any = None, parser_context: Any = None) -> Any:
        return read_json(stream.read(BODY_BYTES_MAX + 1))


class AlwaysJson(DefaultContentNegotiation):
    """Whatever a client says to accept: a page for an error would help no program."""

    def select_renderer(self, request: Any, renderers: Any, format_suffix: Any = None) -> Any:
        return renderers[0], renderers[0].media_type


def read_json(raw: bytes) -> Any:
    """Raises ParseError, which says what is wrong, and Refused for what is too large."""
    if len(raw) > BODY_BYTES_MAX:
        raise too_large()
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ParseError("The body is not UTF-8.") from error
    _check_depth(text)
    try:
        found = json.loads(
            text,
            parse_int=_whole,
            parse_float=_not_whole,
            parse_constant=_not_whole,
            object_pairs_hook=_object,
        )
    except json.JSONDecodeError as error:
        raise ParseError(f"The body is not JSON: line {error.lineno}, column {error.colno}.") from error
    _check_texts(found)
    return found


def too_large() -> Refused:
    return Refused("BODY_TOO_LARGE", f"A body has at most {BODY_BYTES_MAX} bytes.")


def _check_depth(text: str) -> None:
    """Before the parser, which would go down as deep as the body says."""
    depth, within, escaped = 0, False, False
    for each in text:
        if within:
            escaped, within = (False, True) if escaped else (each == "\\", each != '"')
        elif each == '"':
            within = True
        elif each in _OPENS:
            depth += 1
            if depth > BODY_DEPTH_MAX:
                raise ParseError(f"The body is nested more than {BODY_DEPTH_MAX} deep.")
        elif each in _CLOSES:
            depth -= 1


def _whole(text: str) -> int:
    if len(text.lstrip("-")) > NUMBER_DIGITS_MAX:
        raise ParseError(f"A number has at most {NUMBER_DIGITS_MAX} digits.")
    return int(text)


def _not_whole(text: str) -> NoReturn:
    raise ParseError(f'{text[:40]} is no whole number. Send amounts as text, such as "0.5".')


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        twice = next(name for at, (name, _) in enumerate(pairs) if name in {each for each, _ in pairs[:at]})
        raise ParseError(f"The name {twice[:40]!r} stands in one object twice.")
    return found


def _check_texts(value: Any) -> None:
    """Half of a surrogate pair and NUL are no text, for the database neither."""
    if isinstance(value, str):
        if "\x00" in value or any("\ud800" <= each <= "\udfff" for each in value):
            raise ParseError("A text holds a character that is none.")
    elif isinstance(value, dict):
        for name, inner in value.items():
            _check_texts(name)
            _check_texts(inner)
    elif isinstance(value, list):
        for inner in value:
            _check_texts(inner)
