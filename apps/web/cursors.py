"""`?before=`: where a page of a list begins, as the page before it ended."""

from typing import Final

from django.core.exceptions import BadRequest

# Numbers of rows in PostgreSQL.
ID_MAX: Final = 2**63 - 1
_DIGITS_MAX: Final = len(str(ID_MAX))


def read_cursor(text: str | None) -> int | None:
    """None: the first page. Raises BadRequest for what is no number of a row."""
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= _DIGITS_MAX and int(text) <= ID_MAX):
        raise BadRequest("`before` is the number of a row: digits alone.")
    return int(text)
