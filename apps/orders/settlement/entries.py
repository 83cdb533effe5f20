"""From stream entries to a checked batch: the chain joins, the seqs are gapless, the epoch never falls."""

from collections.abc import Sequence
from typing import NamedTuple

from apps.common.hashchain import extend
from apps.orders.errors import SettlementStopped
from apps.orders.settlement.columns import Batch, split
from apps.streams.bus.base import EventEntry


class Position(NamedTuple):
    """Where settlement stands: the last settled event, the chain there, and the epoch that wrote it."""

    seq: int
    chain: str
    epoch: int


def take(entries: Sequence[EventEntry], start: Position, *, events_max: int) -> tuple[Batch, int]:
    """(a batch of the first entries, how many were taken): at most `events_max` events, at least one entry.

    SettlementStopped where an entry does not follow the one before it, with the check that failed.
    """
    seq, chain, epoch = start
    bodies: list[bytes] = []
    for entry in entries:
        if bodies and entry.last_seq - start.seq > events_max:
            break
        if entry.first_seq != seq + 1:
            raise SettlementStopped(f"settled up to {seq}, but the next entry begins at {entry.first_seq}")
        if entry.prev_chain != chain:
            raise SettlementStopped(f"chain at {seq} is {chain!r}, but the next entry follows {entry.prev_chain!r}")
        if extend(chain, entry.first_seq, entry.last_seq, entry.body) != entry.chain:
            raise SettlementStopped(f"chain of entry {entry.first_seq}-{entry.last_seq} does not match its bytes")
        if entry.epoch < epoch:
            raise SettlementStopped(f"epoch falls from {epoch} to {entry.epoch} at event {entry.first_seq}")
        seq, chain, epoch = entry.last_seq, entry.chain, entry.epoch
        bodies.append(entry.body)
    by_kind, last_ms = split(b"".join(bodies), start.seq + 1, seq)
    batch = Batch(
        from_seq=start.seq, from_chain=start.chain, to_seq=seq, chain=chain, epoch=epoch, last_ms=last_ms,
        by_kind=by_kind,
    )  # fmt: skip
    return batch, len(bodies)
