"""Why a worker stops. A `Halt` needs a person and leaves every copy untouched; the others end or restart a reign.

Each halt has its own reason word, and its text says which check failed and what to do.
"""


class Halt(Exception):
    """The shard must not go on: no event is appended until somebody has looked. `reason` is stable and documented."""

    reason = "halted"


class SnapshotNotOfThisLog(Halt):
    """The newest snapshot and the event log have different histories."""

    reason = "snapshot-chain-differs"


class CommandsTrimmedTooFar(Halt):
    """Commands after the newest good snapshot are no longer in the log."""

    reason = "commands-trimmed"


class LogBehindSnapshot(Halt):
    """redis-core knows less than a snapshot: it lost acknowledged events or commands."""

    reason = "log-behind-snapshot"


class LogBehindPostgres(Halt):
    """redis-core knows less than PostgreSQL: it lost acknowledged events."""

    reason = "log-behind-postgres"


class PostgresNotOfThisLog(Halt):
    """PostgreSQL and the event log have different histories."""

    reason = "postgres-chain-differs"


class PostgresTooOld(Halt):
    """PostgreSQL needs events that were trimmed from the log."""

    reason = "postgres-before-trim"


class NoUsableSnapshot(Halt):
    """The start of the log was trimmed and no snapshot can be loaded."""

    reason = "no-usable-snapshot"


class SnapshotsUnreadable(Halt):
    """The directory of the snapshots cannot be looked at, so nobody knows whether there is one."""

    reason = "snapshots-unreadable"


class ReplayDiffers(Halt):
    """Replaying the commands does not give the published events."""

    reason = "replay-differs"


class OtherRulesVersion(Halt):
    """The log holds work of another rules version that this worker must not replay."""

    reason = "rules-version"


class BadCommand(Halt):
    """An entry of the command stream is not whole, known frames; nothing of it was applied.

    `good_entries` of the batch stand before it in the log; they are applied and published before the shard halts.
    """

    reason = "bad-command"

    def __init__(self, message: str, *, good_entries: int) -> None:
        super().__init__(message)
        self.good_entries = good_entries


class EngineFailed(Halt):
    """The engine raised while applying a command; its state was discarded and nothing of the batch is durable."""

    reason = "engine-failed"


class SnapshotCorrupt(Exception):
    """A snapshot file that is not what was written; an older one is used."""


class TakeoverLost(Exception):
    """Somebody else raised the epoch at the same time; this process ends and its supervisor starts it again."""


class LeaseLost(Exception):
    """Another worker holds the lease; this process ends."""
