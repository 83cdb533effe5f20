"""Event entries as numpy columns: one structured array per kind, in the order of their seq."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from apps.ledger.columns import Column, column
from apps.orders.errors import SettlementStopped
from apps.streams.codec import decode_event
from apps.streams.kinds import EventKind
from apps.streams.records import EVENT_SIZE, EVENT_VERSION, EVENTS

Events = npt.NDArray[np.void]

DTYPES: Final[dict[int, np.dtype[np.void]]] = {
    int(kind): np.dtype(layout.numpy_fields()) for kind, layout in EVENTS.items()
}
_HEAD: Final = DTYPES[EventKind.TRADE][["version", "kind", "seq", "cmd_ms"]]


@dataclass(frozen=True, slots=True)
class Batch:
    """Whole consecutive entries of the event stream, checked: (from_seq, from_chain) leads to (to_seq, chain)."""

    from_seq: int
    from_chain: str
    to_seq: int
    chain: str
    epoch: int
    last_ms: int
    by_kind: dict[int, Events]

    def of(self, kind: EventKind) -> Events:
        """All events of one kind; empty where there is none."""
        found = self.by_kind.get(kind)
        return found if found is not None else np.empty(0, dtype=DTYPES[kind])

    def records(self, *kinds: EventKind) -> list[Any]:
        """Events of the rarer kinds as records, ascending by seq."""
        found = [decode_event(raw.tobytes()) for kind in kinds for raw in self.of(kind)]
        return sorted(found, key=lambda event: event.seq)

    def seqs(self, kind: EventKind) -> Column:
        return column(self.of(kind)["seq"])


def split(body: bytes, first_seq: int, last_seq: int) -> tuple[dict[int, Events], int]:
    """(events by kind, time of the last event) of entry bodies put together; SettlementStopped if they are not whole.

    Checks sizes, versions, kinds and that the seqs inside run from first_seq to last_seq without a gap.
    """
    if len(body) != (last_seq - first_seq + 1) * EVENT_SIZE:
        raise SettlementStopped(f"events {first_seq}-{last_seq} have {len(body)} bytes")
    heads = np.frombuffer(body, dtype=_HEAD)
    if not np.array_equal(column(heads["seq"]), np.arange(first_seq, last_seq + 1)):
        raise SettlementStopped(f"the seqs inside entries {first_seq}-{last_seq} are not gapless")
    if (heads["version"] != EVENT_VERSION).any():
        raise SettlementStopped(f"events {first_seq}-{last_seq} hold an unknown version; another release wrote them")
    raw = np.frombuffer(body, dtype=f"V{EVENT_SIZE}")
    by_kind: dict[int, Events] = {}
    for kind in np.unique(heads["kind"]):
        if int(kind) not in DTYPES:
            raise SettlementStopped(f"events {first_seq}-{last_seq} hold unknown kind {kind}")
        by_kind[int(kind)] = raw[heads["kind"] == kind].view(DTYPES[int(kind)])
    return by_kind, int(heads["cmd_ms"][-1])
