"""Commands that are never applied, by the worker's decision, in every replay alike (architecture.md section 3).

A key of the skips hash is one command, 'ms-n-index', or a range of entries, 'ms-n..ms-n', both included. One command is
skipped whatever it is; of a range only the commands that create orders are, since cancels and money still apply. The
value is the name of a `Reason`. Each skipped command becomes one INTERNAL_REJECT event.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Self

from apps.matching.errors import LogDamaged
from apps.streams.bus.base import EntryId
from apps.streams.codec import iter_runs
from apps.streams.kinds import ORDER_CREATING, Reason
from apps.streams.records import FrameError

_ORDER_CREATING: Final = frozenset(int(kind) for kind in ORDER_CREATING)


def command_key(entry_ms: int, entry_n: int, index: int) -> str:
    return f"{entry_ms}-{entry_n}-{index}"


def creates_orders(frames: bytes) -> bool:
    """Whether one of an entry's commands brings a new order. A broken entry brings none: nothing of it is applied."""
    try:
        kinds = [frames[offset + 1] for offset, _ in iter_runs(frames)]
    except FrameError:
        return False
    return not _ORDER_CREATING.isdisjoint(kinds)


def range_key(first: EntryId, last: EntryId) -> str:
    return f"{first}..{last}"


@dataclass(frozen=True, slots=True)
class Skips:
    """What to skip; truthy if there is anything."""

    by_command: Mapping[tuple[int, int, int], Reason] = field(default_factory=dict)
    ranges: tuple[tuple[EntryId, EntryId, Reason], ...] = ()

    @classmethod
    def parse(cls, stored: Mapping[str, str]) -> Self:
        """LogDamaged for an entry that no worker writes."""
        commands: dict[tuple[int, int, int], Reason] = {}
        ranges = []
        for key, name in stored.items():
            try:
                if ".." in key:
                    first, _, last = key.partition("..")
                    ranges.append((EntryId.parse(first), EntryId.parse(last), Reason[name]))
                else:
                    ms, n, index = key.split("-")
                    commands[int(ms), int(n), int(index)] = Reason[name]
            except (KeyError, ValueError) as error:
                raise LogDamaged(
                    f"the skips hold {key!r}: {name!r}, which no worker writes: redis-core's file was damaged. Bring"
                    " back its newest intact append-only file and start again."
                ) from error
        return cls(commands, tuple(sorted(ranges)))

    def __bool__(self) -> bool:
        return bool(self.by_command or self.ranges)

    def touches(self, entry_id: EntryId) -> bool:
        """Whether some command of the entry may have to be skipped."""
        return any(first <= entry_id <= last for first, last, _ in self.ranges) or any(
            (ms, n) == entry_id for ms, n, _ in self.by_command
        )

    def reason(self, entry_id: EntryId, index: int, kind: int) -> Reason | None:
        """Why this command is skipped; None: it applies."""
        found = self.by_command.get((entry_id.ms, entry_id.n, index))
        if found is None and kind in _ORDER_CREATING:
            found = next((why for first, last, why in self.ranges if first <= entry_id <= last), None)
        return found
