"""Parameters of addresses, with what the description of the API says of each."""

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from apps.web.api.problems import invalid

_NUMBER: Final = re.compile(r"0|[1-9]\d{0,17}", re.ASCII)


class Parameter(NamedTuple):
    """`schema` is JSON Schema, of the values that may be given."""

    name: str
    text: str
    schema: Mapping[str, Any]
    is_required: bool = False


def whole_number(name: str, text: str, *, is_required: bool = False) -> Parameter:
    return Parameter(name, text, {"type": "integer"}, is_required)


def number_in(query: Mapping[str, str], name: str) -> int | None:
    """None where it is not given. Raises Refused for anything but a whole number."""
    text = query.get(name)
    if text is None:
        return None
    if _NUMBER.fullmatch(text) is None:
        raise invalid(name, f"'{name}' is a whole number.")
    return int(text)
