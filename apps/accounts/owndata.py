"""The file of everything that is kept of one user, for that user (requirement A8).

A part is a function of the user's number that yields its rows in lists; apps add theirs here when they are loaded, so
that the file has them all, in the order in which they came. A part never yields what lets somebody in: no hash, secret,
token or whole API key.

    @data_part("transfers")
    def transfers(user_id: int) -> Iterator[list[Row]]: ...
"""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, Final

from django.db.models import Model, QuerySet

Row = dict[str, Any]
Part = Callable[[int], Iterator[list[Row]]]
FORMAT: Final = "nebannpet own data 1"
ROWS_AT_ONCE: Final = 500

_PARTS: dict[str, Part] = {}


def data_part(name: str) -> Callable[[Part], Part]:
    """Register a part under a name, which no other has."""

    def register(part: Part) -> Part:
        assert name not in _PARTS, f"two parts are called {name}"
        _PARTS[name] = part
        return part

    return register


def part_names() -> tuple[str, ...]:
    return tuple(_PARTS)


def own_data(user_id: int) -> Iterator[str]:
    """One JSON object in pieces of at most some hundred rows: what it is, when it was made, then each part's rows."""
    made_at = datetime.now(UTC)
    yield f'{{"format": {json.dumps(FORMAT)}, "made_at": {_text(made_at)}'
    for name, part in _PARTS.items():
        yield f",\n{json.dumps(name)}: ["
        separator = "\n"
        for rows in part(user_id):
            if rows:
                yield separator + ",\n".join(_text(row) for row in rows)
                separator = ",\n"
        yield "]"
    yield "}\n"


def in_lists(rows: QuerySet[Any]) -> Iterator[list[Any]]:
    """The rows by their numbers, each list a query of its own: no cursor stays open in between."""
    last = 0
    while found := list(rows.filter(pk__gt=last).order_by("pk")[:ROWS_AT_ONCE]):
        yield found
        last = _number(found[-1])


def _number(row: Model) -> int:
    return int(row.pk)


def _text(value: Any) -> str:
    return json.dumps(value, default=_plain, ensure_ascii=False)


def _plain(value: Any) -> str:
    """Times are the only values that JSON does not know here: in UTC, ISO 8601."""
    assert isinstance(value, datetime), f"{type(value).__name__} in a part"
    return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
