"""What a new active worker decides before it applies anything new: commands that crash it, and orders that are too old.

Both become skips (skips.py), written under the new epoch, so that this worker, its standby and every later replay treat
them alike. The orders come last, when it is ready to trade. The first thing it appends is a TICK: its id is the time of
redis-core now, and the end of what had waited. That one carries a flag, because it is no sign of life: a takeover that
fails right after it has served nobody.
"""

from pathlib import Path
from typing import Final

import structlog

from apps.matching import policy, snapshots
from apps.matching.crash_marker import CrashMarker, crashes
from apps.matching.errors import ReplayCrashes
from apps.matching.skips import command_key, creates_orders
from apps.matching.staleness import newest_sign_of_life, stale_range, unprocessed_is_stale
from apps.streams.bus.base import START, Bus, CommandEntry, EntryId
from apps.streams.codec import encode_command
from apps.streams.commands import Tick
from apps.streams.kinds import Reason, TickFlag

log = structlog.get_logger(__name__)

TAKEOVER_TICK: Final = encode_command(Tick(flags=int(TickFlag.TAKEOVER)))


def skip_stale_orders(bus: Bus, epoch: int) -> None:
    """Reject all waiting orders if no worker has been alive for QUEUE_MAX_MS; cancels and money still apply.

    (architecture.md section 3, Stale orders)
    """
    now = bus.append_commands(TAKEOVER_TICK, also_when_full=True)
    head = bus.head()
    waiting = _between(bus, head.cmd, now)
    orders = [entry.id for entry in waiting if creates_orders(entry.frames)]
    if not orders:
        return
    # Before the first event of all, the oldest command that waits says since when nobody has been there.
    newest_ms = newest_sign_of_life((head.cmd if head.seq else waiting[0].id).ms, waiting)
    if unprocessed_is_stale(newest_sign_ms=newest_ms, now_ms=now.ms, max_queue_ms=policy.QUEUE_MAX_MS):
        bus.write_skip(stale_range(orders[0], orders[-1]), Reason.ENGINE_RESTARTED.name, epoch=epoch)
        log.warning(
            "waiting orders rejected: no worker was alive",
            silent_ms=now.ms - newest_ms,
            first=str(orders[0]),
            last=str(orders[-1]),
        )


def skip_crashing_commands(
    bus: Bus, directory: Path, marker: CrashMarker, epoch: int, *, applied: EntryId = START
) -> None:
    """Skip a command whose application ended CRASHES_SKIP processes; ReplayCrashes where it is published already.

    A command that a snapshot or the followed state, which ends at `applied`, has behind it was applied without events
    by somebody: that is history as much as an event is (the archive has it as final), and no replay meets it again.
    (architecture.md section 3, Poison)
    """
    skips = bus.read_skips()
    final = max(applied, bus.head().cmd, *(snapshots.position_in_name(path)[1] for path in snapshots.kept(directory)))
    for (ms, n, index), count in sorted(crashes(directory).items()):
        key = command_key(ms, n, index)
        if EntryId(ms, n) > final:
            if count >= policy.CRASHES_SKIP and key not in skips:
                bus.write_skip(key, Reason.INTERNAL.name, epoch=epoch)
                log.critical("COMMAND SKIPPED: processes died while applying it", command=key, times=count)
        elif marker.count_of((ms, n, index)) >= policy.CRASHES_HALT:
            raise ReplayCrashes(
                f"this process died {marker.count_of((ms, n, index))} times while replaying command {key}, whose events"
                " are published. Start the release that published them, or another engine (ENGINE)."
            )


def _between(bus: Bus, after: EntryId, before: EntryId) -> list[CommandEntry]:
    found: list[CommandEntry] = []
    last = after
    while entries := bus.read_commands(last, count=policy.UNPROCESSED_PER_READ):
        last = entries[-1].id
        found += [entry for entry in entries if entry.id < before]
        if last >= before:
            break
    return found
