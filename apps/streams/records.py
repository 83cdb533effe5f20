"""Binary layout of commands and events: THE contract between processes (architecture.md section 3).

Layout
    A command is a run of 1-8 consecutive frames of 128 bytes, little-endian, zero-padded; the first frame starts with
    the 32-byte command header and says how many parts the run has. A new order with a strategy has a second frame,
    STRATEGY, without a header, wherever it stands. An event is one record of 192 bytes that starts with the 40-byte
    event header. The classes of commands.py and events.py *are* the table: their annotated fields, in
    order, give the struct format, the numpy dtype and the documentation. The compiled engine reads the same table.

Invariants
    An unknown kind or version, or bad framing, is a `FrameError`, and nothing of that entry is applied.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import Any, Final, get_args

from apps.streams.commands import COMMAND_RECORDS, Strategy
from apps.streams.events import EVENT_RECORDS

FRAME_SIZE: Final = 128
MAX_PARTS: Final = 8
EVENT_SIZE: Final = 192
COMMAND_VERSION: Final = 1
EVENT_VERSION: Final = 1


class FrameError(ValueError):
    """Bytes that are not whole, known frames. The shard stops before anything of the entry is applied."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How one class lies in bytes. `names` are the fields in order, `struct` packs (version, kind, *values).

    `texts`: (position, bytes) of each text among them. `values_of` a record, and what puts each into a new one.
    """

    record: type[Any]
    kind: int
    names: tuple[str, ...]
    codes: tuple[str, ...]
    struct: struct.Struct
    size: int
    texts: tuple[tuple[int, int], ...]
    values_of: Callable[[Any], Any]
    puts: tuple[Callable[[Any, Any], None], ...]

    @property
    def text_fields(self) -> frozenset[str]:
        return frozenset(self.names[position] for position, _ in self.texts)

    def numpy_fields(self) -> list[tuple[str, str]]:
        """[(name, numpy type)] including version, kind and the padding, for numpy.dtype()."""
        codes = {"B": "u1", "H": "<u2", "I": "<u4", "Q": "<u8", "q": "<i8"}
        rows = [("version", "u1"), ("kind", "u1")]
        rows += [(name, codes.get(code) or "S" + code[:-1]) for name, code in zip(self.names, self.codes, strict=True)]
        padding = self.size - struct.calcsize("<BB" + "".join(self.codes))
        return [*rows, ("padding", f"V{padding}")] if padding else rows


def _columns(record: type[Any]) -> dict[str, str]:
    """Name and struct code of each field that stands in bytes."""
    return {field.name: str(get_args(field.type)[1]) for field in fields(record) if hasattr(field.type, "__metadata__")}


def _layout(record: type[Any], size: int) -> Layout:
    columns = _columns(record)
    names, codes = tuple(columns), tuple(columns.values())
    packed = "<BB" + "".join(codes)
    padding = size - struct.calcsize(packed)
    assert padding >= 0, f"{record.__name__} is {-padding} bytes too long"
    return Layout(
        record=record,
        kind=int(record.KIND),
        names=names,
        codes=codes,
        struct=struct.Struct(packed + f"{padding}x"),
        size=size,
        texts=tuple((position, int(code[:-1])) for position, code in enumerate(codes) if code.endswith("s")),
        values_of=attrgetter(*names),
        # Slots, so each field has a descriptor, which does not mind that the class is frozen.
        puts=tuple(getattr(record, name).__set__ for name in names),
    )


COMMANDS: Final = {record.KIND: _layout(record, FRAME_SIZE) for record in COMMAND_RECORDS}
EVENTS: Final = {record.KIND: _layout(record, EVENT_SIZE) for record in EVENT_RECORDS}
STRATEGY_COLUMNS: Final = tuple(_columns(Strategy).items())
STRATEGY: Final = struct.Struct("<" + "".join(code for _, code in STRATEGY_COLUMNS))

COMMAND_HEADER: Final = struct.Struct("<BBBBIQQII")
CONTROL_HEAD_SIZE: Final = COMMAND_HEADER.size + 12
EVENT_HEADER: Final = struct.Struct("<BBBBIQQIIQ")
