"""What the log has and the archive has not, and whether the two are one history.

Order of reading: head -> skips -> events and commands. Only what the head covers is taken. The worker writes a skip
before it publishes the events of that command, and skips no command that the head covers, so the skips read after the
head are final for everything taken with them.

While nothing but ticks happens the head stands still and its command with it. Commands up to the oldest kept snapshot
are final too: no recovery goes back before it, and trimming goes no further. So ticks do not pile up in the log.
"""

import time
from dataclasses import dataclass, field
from pathlib import Path

from apps.matching import snapshots
from apps.orders.archive import policy
from apps.orders.archive.bases import snapshot_position
from apps.orders.archive.errors import ArchiveStopped
from apps.orders.archive.packing import Ends, frames_digest
from apps.streams.bus.base import START, Bus, CommandEntry, EntryId, EventEntry, Head

_N_MAX = 2**64 - 1


@dataclass(slots=True)
class Round:
    """What one append writes; `behind` is False when it reaches what was final at its beginning."""

    head: Head
    skips: dict[str, str]
    commands: list[CommandEntry] = field(default_factory=list)
    events: list[EventEntry] = field(default_factory=list)
    behind: bool = False


class Source:
    """One shard's log. Every method may raise BusAway."""

    def __init__(self, bus: Bus, snapshots_dir: Path) -> None:
        self._bus = bus
        self._snapshots_dir = snapshots_dir
        self._final = START
        self._look_at = 0.0

    def begin(self) -> Ends:
        """Where an archive of this log begins: before the first entry that is still there."""
        trimmed = self._bus.trimmed()
        entries = self._bus.read_events(0, count=1)
        if entries:
            first = entries[0]
            return Ends(
                seq=first.first_seq - 1, chain=first.prev_chain, epoch=first.epoch,
                rules_version=first.rules_version, cmd=trimmed.cmd,
            )  # fmt: skip
        head = self._bus.head()
        return Ends(seq=head.seq, chain=head.chain, head_cmd=head.cmd, cmd=trimmed.cmd)

    def check_joins(self, ends: Ends) -> None:
        """ArchiveStopped unless the log holds everything after `ends` and agrees with it there."""
        self._check_events(ends)
        self._check_commands(ends)

    def next_round(self, ends: Ends) -> Round:
        """The next entries, of both streams about ROUND_BYTES_MAX at most."""
        head = self._bus.head()
        final = max(head.cmd, self._final_command(head, ends))
        found = Round(head, dict(self._bus.read_skips()))
        size = 0
        seq = ends.seq
        while seq < head.seq and size < policy.ROUND_BYTES_MAX:
            events = self._bus.read_events(seq, count=policy.EVENT_ENTRIES_PER_READ)
            taken = [entry for entry in events if entry.last_seq <= head.seq]
            if not taken:
                raise ArchiveStopped(f"the log ends at event {head.seq}, but has no entry after {seq}")
            found.events += taken
            seq = taken[-1].last_seq
            size += sum(len(entry.body) for entry in taken)
        found.behind = seq < head.seq
        size, cmd = 0, ends.cmd
        while cmd < final and size < policy.ROUND_BYTES_MAX:
            commands = [
                entry
                for entry in self._bus.read_commands(cmd, count=policy.COMMAND_ENTRIES_PER_READ)
                if entry.id <= final
            ]
            if not commands:
                raise ArchiveStopped(f"the log's events cover commands up to {final}, but it has none after {cmd}")
            found.commands += commands
            cmd = commands[-1].id
            size += sum(len(entry.frames) for entry in commands)
        found.behind = found.behind or cmd < final
        return found

    # -- joins --------------------------------------------------------------------------------------------------------
    def _check_events(self, ends: Ends) -> None:
        head = self._bus.head()
        if head.seq < ends.seq:
            raise ArchiveStopped(
                f"the archive has events up to {ends.seq}, the log ends at {head.seq}: redis-core lost acknowledged"
                " events. Bring back its newest append-only file; the archive has what it lost."
            )
        following = next(iter(self._bus.read_events(ends.seq, count=1)), None)
        first, chain = (following.first_seq, following.prev_chain) if following else (head.seq + 1, head.chain)
        if first > ends.seq + 1:
            raise ArchiveStopped(
                f"the archive ends at event {ends.seq}, the log begins with event {first}: it was trimmed without the"
                " archive, or this archive is an old copy. Bring the newest copy of the archive back."
            )
        if first != ends.seq + 1 or chain != ends.chain:
            raise ArchiveStopped(
                f"at event {ends.seq} the archive has chain {ends.chain or '(none)'}, the log goes on from event"
                f" {first} with chain {chain or '(none)'}: two histories. Find out which one PostgreSQL shares."
            )

    def _check_commands(self, ends: Ends) -> None:
        newest, trimmed = self._bus.last_command(), self._bus.trimmed()
        if newest < ends.cmd:
            raise ArchiveStopped(
                f"the archive has commands up to {ends.cmd}, the log ends at {newest}: redis-core lost acknowledged"
                " commands. Bring back its newest append-only file; the archive has what it lost."
            )
        if trimmed.cmd > ends.cmd:
            raise ArchiveStopped(
                f"the archive ends at command {ends.cmd}, the log was trimmed up to {trimmed.cmd}: it was trimmed"
                " without the archive, or this archive is an old copy. Bring the newest copy of the archive back."
            )
        if trimmed.cmd < ends.cmd and ends.cmd_digest:
            same = next(iter(self._bus.read_commands(before(ends.cmd), count=1)), None)
            if same is None or same.id != ends.cmd or frames_digest(same.frames) != ends.cmd_digest:
                raise ArchiveStopped(f"command entry {ends.cmd} is another one in the log than in the archive")

    def _final_command(self, head: Head, ends: Ends) -> EntryId:
        """Up to where commands without events are final: the oldest kept snapshot, if it is of this log."""
        if ends.cmd < head.cmd or time.monotonic() < self._look_at:
            return self._final
        self._look_at = time.monotonic() + policy.IDLE_LOOK_S
        kept = snapshots.kept(self._snapshots_dir)
        position = snapshot_position(kept[-1]) if kept else None
        if (
            position is not None
            and position.seq <= head.seq
            and position.last_cmd <= self._bus.last_command()
            and self._bus.chain_at(position.seq) == position.chain
        ):
            self._final = max(self._final, position.last_cmd)
        return self._final


def before(entry: EntryId) -> EntryId:
    """The id that stands directly before `entry`."""
    return EntryId(entry.ms, entry.n - 1) if entry.n else EntryId(max(entry.ms - 1, 0), _N_MAX if entry.ms else 0)
