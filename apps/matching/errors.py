"""Why a worker stops. A `Halt` needs a person and leaves every copy untouched; the others end or restart a reign.

Each halt has its own reason word and a page docs/runbooks/<reason>.md; its text says which check failed, what to do,
and names the page.
"""


class Halt(Exception):
    """The shard must not go on: no event is appended until somebody has looked. `reason` is stable and documented."""

    reason = "halted"

    def __str__(self) -> str:
        return f"{super().__str__()} Exact steps: docs/runbooks/{self.reason}.md"


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


class LogDamaged(Halt):
    """The log contradicts itself: bytes, chain and head of the published entries do not belong together."""

    reason = "log-damaged"


class CommandsMiscounted(Halt):
    """The command stream does not hold as many frames as were appended: entries are missing or stand twice."""

    reason = "commands-miscounted"


class ReplayDiffers(Halt):
    """Replaying the commands does not give the published events."""

    reason = "replay-differs"


class OtherRulesVersion(Halt):
    """The log holds work of another rules version that this worker must not replay."""

    reason = "rules-version"


class SnapshotUnreadable(Halt):
    """The newest snapshot is what was written, by its checksum, but the engine cannot read its body."""

    reason = "snapshot-unreadable"


class ReplayFailed(Halt):
    """The engine raised at a command whose events were published: it is not the engine that published them."""

    reason = "replay-failed"


class ReplayCrashes(Halt):
    """The process died repeatedly while replaying one published command; skipping it would change history."""

    reason = "replay-crashes"


class RelayNumbersMissing(Halt):
    """A relayed command does not follow the last one of its source: one is missing from the log."""

    reason = "relay-gap"


class SkipFailed(Halt):
    """The engine raised while turning a skipped command into its INTERNAL_REJECT."""

    reason = "skip-failed"


class BadCommand(Halt):
    """An entry of the command stream is not whole, known frames; nothing of it was applied.

    `good_entries` of the batch stand before it in the log; they are applied and published before the shard halts.
    """

    reason = "bad-command"

    def __init__(self, message: str, *, good_entries: int) -> None:
        super().__init__(message)
        self.good_entries = good_entries


class EngineFailed(Exception):
    """The engine raised while applying `command` (ms, n, index): poison, to be skipped (architecture.md section 3).

    Its state is undefined and nothing of the batch is durable. `invariant_broken`: it found itself wrong.
    """

    def __init__(self, message: str, *, command: tuple[int, int, int], invariant_broken: bool = False) -> None:
        super().__init__(message)
        self.command = command
        self.invariant_broken = invariant_broken


class SnapshotCorrupt(Exception):
    """A snapshot file that is not what was written; an older one is used."""


class TakeoverLost(Exception):
    """Somebody else raised the epoch at the same time; this process ends and its supervisor starts it again."""


class LeaseLost(Exception):
    """Another worker holds the lease; this process ends."""
