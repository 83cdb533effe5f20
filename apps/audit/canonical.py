"""Canonical JSON: one value, one text. What is hashed is its UTF-8 (docs/audit.md, "Format").

Keys are ASCII and sorted, nothing is spaced, nothing is escaped that JSON lets stand: for such values this is RFC
8785, so that other languages make the same bytes. There are no floats; whole numbers stay below 2^53, so money and
other big numbers are strings of digits.
"""

import json
from typing import Any, Final

from apps.audit.errors import InvalidEntry
from apps.audit.policy import DEPTH_MAX, INTEGER_MAX

# Keys that hold what must never be written down. "secret_box" and "new_password" contain them.
_SECRET_WORDS: Final = ("password", "secret", "token", "private", "passphrase", "seed", "cookie", "session_key")


def canonical(value: Any) -> str:
    """What record() writes. InvalidEntry for what has no canonical form, and for a key that names a secret."""
    text = canonical_form(value)
    _check_no_secrets(value)
    return text


def canonical_form(value: Any) -> str:
    """The text alone, whatever the policy on secrets is or was. InvalidEntry for what has none."""
    _check(value, 0)
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def amounts(values: dict[str, Any]) -> dict[str, Any]:
    """The same with every whole number as a string of its digits, through all levels: for settings and money."""
    return {name: _as_text(value) for name, value in values.items()}


def _as_text(value: Any) -> Any:
    if isinstance(value, dict):
        return amounts(value)
    if isinstance(value, list | tuple):
        return [_as_text(each) for each in value]
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _check(value: Any, depth: int) -> None:
    if depth >= DEPTH_MAX and isinstance(value, list | tuple | dict):
        raise InvalidEntry(f"Lists and dicts are nested deeper than {DEPTH_MAX} levels.")
    if value is None or isinstance(value, bool):
        return
    if isinstance(value, str):
        _check_text(value)
    elif isinstance(value, int):
        if abs(value) > INTEGER_MAX:
            raise InvalidEntry(f"{value} is too big for a number in JSON: write it as a string of digits.")
    elif isinstance(value, list | tuple):
        for each in value:
            _check(each, depth + 1)
    elif isinstance(value, dict):
        for key, each in value.items():
            if not isinstance(key, str) or not key.isascii():
                raise InvalidEntry(f"{key!r} cannot be a key: keys are ASCII texts.")
            _check(each, depth + 1)
    else:
        raise InvalidEntry(f"A {type(value).__name__} has no canonical form: use strings, whole numbers, lists, dicts.")


def _check_no_secrets(value: Any) -> None:
    if isinstance(value, list | tuple):
        for each in value:
            _check_no_secrets(each)
    elif isinstance(value, dict):
        for key, each in value.items():
            found = next((word for word in _SECRET_WORDS if word in key.lower()), None)
            if found is not None:
                raise InvalidEntry(f"{key!r} names a {found}, and secrets are never recorded.")
            _check_no_secrets(each)


def _check_text(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidEntry("A text has half of a surrogate pair in it.") from error
    if "\0" in text:
        raise InvalidEntry("A text has a NUL in it, which PostgreSQL does not keep.")
