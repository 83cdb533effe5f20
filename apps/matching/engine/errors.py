"""What stops the shard. Expected refusals are events with a Reason, never exceptions.

After any of these except FrameError and SnapshotError the state is undefined: discard it and rebuild it from a
snapshot and the log (architecture.md section 3, Poison).
"""

from apps.streams.records import FrameError

__all__ = ["FrameError", "InvariantBroken", "RelayGap", "SnapshotError", "UnreadableVersion"]


class InvariantBroken(AssertionError):
    """The engine found itself wrong. Nothing of this batch may become durable."""


class RelayGap(Exception):
    """A relayed command's relay_seq is not the next one of its source: a command is missing from the log."""


class SnapshotError(ValueError):
    """Bytes that are not a whole snapshot body of a rules version that this engine reads."""


class UnreadableVersion(SnapshotError):
    """A snapshot body of a rules version that this engine does not read: a newer one, or one older than it knows."""

    def __init__(self, *, found: int, own: int, oldest_readable: int) -> None:
        reads = f"{oldest_readable} to {own}" if oldest_readable < own else f"{own} only"
        super().__init__(f"the body is of rules version {found}, this engine has {own} and reads {reads}")
        self.found = found
        self.own = own
        self.oldest_readable = oldest_readable


def require(holds: bool, rule: str) -> None:
    """InvariantBroken naming the rule, unless it holds."""
    if not holds:
        raise InvariantBroken(rule)
