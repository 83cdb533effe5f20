"""Orders that waited through an outage are not executed late (architecture.md section 3, Stale orders).

A worker shows that it lives by durable events and by the ticks it appends. If the newest such sign is too old when a
worker takes over, the orders that wait were placed at prices of another time, and their senders have long been told
that the outcome is unknown.
"""

from collections.abc import Iterable
from typing import Final

from apps.matching.skips import range_key
from apps.streams.bus.base import CommandEntry, EntryId
from apps.streams.codec import encode_command
from apps.streams.commands import Tick

# The tick of a worker that trades, to the byte: one frame without flags. Those by which an operator asks for a snapshot
# or a takeover begins have a flag and prove nothing: whoever takes over may fail at the next step, again and again.
_WORKERS_TICK: Final = encode_command(Tick())


def newest_sign_of_life(head_cmd_ms: int, unprocessed_entries: Iterable[CommandEntry]) -> int:
    """When a worker was last alive, in milliseconds of redis-core's clock.

    `head_cmd_ms` is the time of the last command whose events are durable (0: none ever), `unprocessed_entries` are
    those after it. The larger of that and of the newest tick among them.
    """
    ticks = (entry.id.ms for entry in unprocessed_entries if entry.frames == _WORKERS_TICK)
    return max(head_cmd_ms, max(ticks, default=0))


def unprocessed_is_stale(*, newest_sign_ms: int, now_ms: int, max_queue_ms: int) -> bool:
    """Whether no worker lived for more than `max_queue_ms`; both times are of redis-core's clock."""
    return now_ms - newest_sign_ms > max_queue_ms


def stale_range(first: EntryId, last: EntryId) -> str:
    """The key in the skips hash for the entries from `first` to `last`, both included. ValueError if they are not."""
    if last < first:
        raise ValueError(f"a range of entries from {first} to {last} holds nothing")
    return range_key(first, last)
