"""Writing to and reading from a shard's log, and waiting until the worker has done all of it."""

from apps.common.hashchain import extend
from apps.streams.bus.base import START, Bus, EntryId
from tests.matching.waiting import until


def append_all(bus: Bus, runs: list[bytes], per_entry: int = 1) -> EntryId:
    last = START
    for at in range(0, len(runs), per_entry):
        last = bus.append_commands(b"".join(runs[at : at + per_entry]))
    return last


def all_events(bus: Bus) -> bytes:
    """Every published event; fails where an entry does not follow the one before it."""
    seq, chain, bodies = 0, "", []
    while entries := bus.read_events(seq, count=100):
        for entry in entries:
            assert entry.first_seq == seq + 1
            assert entry.prev_chain == chain
            assert entry.chain == extend(chain, entry.first_seq, entry.last_seq, entry.body)
            seq, chain = entry.last_seq, entry.chain
            bodies.append(entry.body)
    assert (bus.head().seq, bus.head().chain) == (seq, chain)
    return b"".join(bodies)


def until_done(bus: Bus) -> None:
    until(lambda: bus.frame_count().appended == bus.frame_count().done, what="an empty backlog")
