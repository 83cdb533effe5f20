"""What the worker needs of an engine; the plain and every later engine have it (architecture.md section 4)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from apps.matching.engine.views import MarketRow
from apps.streams.bus.base import START, EntryId
from apps.streams.kinds import Reason


class Core(Protocol):
    """A pure state machine: stamped frames in, events out. After an exception its state is undefined."""

    def process(self, frames: bytes) -> bytes: ...

    def skip(self, run: bytes, reason: Reason) -> bytes: ...

    def snapshot(self) -> bytes: ...

    def state_hash(self) -> str: ...

    def mark_in(self, buffer: memoryview | bytearray) -> None:
        """Keep the id of the command being applied in these 16 bytes, in the layout of a frame's bytes 16 to 32."""

    def markets(self) -> Iterator[MarketRow]: ...

    @property
    def seq(self) -> int: ...

    @property
    def applying(self) -> tuple[int, int, int]: ...


class CoreClass(Protocol):
    """The class of an engine: an empty one, one from a snapshot body, its name and the version of its rules."""

    NAME: str
    RULES_VERSION: int

    def __call__(self) -> Core: ...

    def restore(self, body: bytes) -> Core: ...


@dataclass(frozen=True, slots=True)
class Position:
    """Where a state stands in the log: after event `seq` (chain there) and after all of command entry `last_cmd`.

    `frames` counts the command frames ever processed up to there.
    """

    seq: int = 0
    chain: str = ""
    last_cmd: EntryId = START
    frames: int = 0
