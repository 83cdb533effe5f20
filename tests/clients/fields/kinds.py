"""What a JSON value may be, and how a whole answer is held against its table.

    problems({"symbol": TEXT, "price": MONEY, "stopPrice?": MONEY, "fills": [{"qty": MONEY}]}, answer)

A table is a kind, an object of tables (a name that ends with ? may be absent), a list [table] of any length, a Row of
fixed length, or AnyOf. `problems` answers sentences with the path of each fault; none means that the answer fits.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Kind:
    """A single value: of exactly this JSON type, and a text of this pattern if there is one."""

    name: str
    types: tuple[type, ...]
    pattern: re.Pattern[str] | None = None
    null: bool = False

    def fits(self, value: Any) -> bool:
        if value is None:
            return self.null
        if type(value) not in self.types:
            return False
        return self.pattern is None or self.pattern.fullmatch(str(value)) is not None


@dataclass(frozen=True, slots=True)
class OneOf:
    """A text out of a set."""

    words: frozenset[str]


@dataclass(frozen=True, slots=True)
class Row:
    """A list with a table for each place."""

    places: tuple["Table", ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """The first table that fits; the faults reported are those of the nearest."""

    tables: tuple["Table", ...]


@dataclass(frozen=True, slots=True)
class Named:
    """An object whose names are of one kind, such as assets, with the same table behind each."""

    names: Kind
    table: "Table"


Table = Kind | OneOf | Row | AnyOf | Named | dict[str, Any] | list[Any]


def words(text: str) -> OneOf:
    return OneOf(frozenset(text.split()))


def any_of(*tables: Table) -> AnyOf:
    return AnyOf(tables)


def row(*places: Table) -> Row:
    return Row(places)


TEXT: Final = Kind("a text", (str,))
FLAG: Final = Kind("true or false", (bool,))
INT: Final = Kind("an integer", (int,))
ID: Final = Kind("an id: an integer from 0", (int,), re.compile(r"\d{1,16}"))
# A label of the client's own.
STRATEGY_ID: Final = Kind("an integer from 0 to 2^63 - 1", (int,), re.compile(r"\d{1,19}"))
STRATEGY_TYPE: Final = Kind("an integer from 1000000 to 2^31 - 1", (int,), re.compile(r"[1-9]\d{6,9}"))
LIST_ID: Final = Kind("a list id: an integer, -1 without a list", (int,), re.compile(r"-1|\d{1,16}"))
TIME: Final = Kind("a time in milliseconds", (int,), re.compile(r"1\d{12}"))
# Of an end that a client chose.
FUTURE: Final = Kind("a time in milliseconds", (int,), re.compile(r"[1-9]\d{12}"))
TIME_OR_ZERO: Final = Kind("a time in milliseconds, or 0", (int,), re.compile(r"0|1\d{12}"))
TIME_OR_NONE: Final = Kind("a time in milliseconds, or -1", (int,), re.compile(r"-1|1\d{12}"))
MONEY: Final = Kind("a decimal text with 8 decimals", (str,), re.compile(r"(0|[1-9]\d*)\.\d{8}"))
CHANGE: Final = Kind("a decimal text with 8 decimals and a sign", (str,), re.compile(r"-?(0|[1-9]\d*)\.\d{8}"))
PERCENT: Final = Kind("a decimal text with 3 decimals", (str,), re.compile(r"-?(0|[1-9]\d*)\.\d{3}"))
RATIO: Final = Kind("a decimal text with 4 decimals", (str,), re.compile(r"(0|[1-9]\d*)\.\d{4}"))
CLIENT_ID: Final = Kind("a client order id", (str,), re.compile(r"[a-zA-Z0-9_-]{1,36}"))
SYMBOL: Final = Kind("a symbol", (str,), re.compile(r"[A-Z0-9]{1,20}"))
ASSET: Final = Kind("an asset", (str,), re.compile(r"[A-Z0-9]{1,20}"))
MONEY_OR_NULL: Final = Kind("a decimal text with 8 decimals, or null", (str,), MONEY.pattern, null=True)
TIME_OR_NULL: Final = Kind("a time in milliseconds, or null", (int,), TIME.pattern, null=True)
TEXT_OR_NULL: Final = Kind("a text, or null", (str,), null=True)
INT_OR_NULL: Final = Kind("an integer, or null", (int,), null=True)
ASSET_OR_NULL: Final = Kind("an asset, or null", (str,), ASSET.pattern, null=True)
ZERO: Final = Kind('the text "0"', (str,), re.compile("0"))
NULL: Final = Kind("null", (), null=True)
EMPTY: Final[dict[str, Any]] = {}


def problems(table: Table, value: Any) -> list[str]:
    return list(_problems(table, value, "$"))


def _problems(table: Table, value: Any, path: str) -> Iterator[str]:
    if isinstance(table, Kind):
        if not table.fits(value):
            yield f"{path} is {value!r:.60}, not {table.name}"
    elif isinstance(table, OneOf):
        if type(value) is not str or value not in table.words:
            yield f"{path} is {value!r:.60}, none of {' '.join(sorted(table.words))}"
    elif isinstance(table, AnyOf):
        found = [list(_problems(each, value, path)) for each in table.tables]
        if all(found):
            yield from min(found, key=len)
    elif isinstance(table, Row):
        if type(value) is not list or len(value) != len(table.places):
            yield f"{path} is {value!r:.60}, not a list of {len(table.places)}"
        else:
            for index, (place, item) in enumerate(zip(table.places, value, strict=True)):
                yield from _problems(place, item, f"{path}[{index}]")
    elif isinstance(table, Named):
        if type(value) is not dict:
            yield f"{path} is {value!r:.60}, not an object"
        else:
            for name, item in value.items():
                yield from _problems(table.names, name, f"a name in {path}")
                yield from _problems(table.table, item, f"{path}.{name}")
    elif isinstance(table, list):
        if type(value) is not list:
            yield f"{path} is {value!r:.60}, not a list"
        else:
            for index, item in enumerate(value):
                yield from _problems(table[0], item, f"{path}[{index}]")
    else:
        yield from _object_problems(table, value, path)


def _object_problems(table: dict[str, Table], value: Any, path: str) -> Iterator[str]:
    if type(value) is not dict:
        yield f"{path} is {value!r:.60}, not an object"
        return
    names = {name.removesuffix("?"): each for name, each in table.items()}
    for name in value.keys() - names.keys():
        yield f"{path}.{name} is in no table"
    for name in table.keys() - {f"{optional}?" for optional in names}:
        if name not in value:
            yield f"{path}.{name} is missing"
    for name, each in names.items():
        if name in value:
            yield from _problems(each, value[name], f"{path}.{name}")
