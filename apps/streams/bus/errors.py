"""What a bus may answer instead of doing it. Whoever catches one knows whether anything happened."""


class BusError(Exception):
    """Anything a bus can fail with."""


class BusAway(BusError):
    """The log cannot be reached, and nothing was changed by this call."""


class LogUnreadable(BusError):
    """An entry or a key of the shard is not what any release writes: the server's file was damaged or edited.

    Waiting does not help; whoever gets this stops and says so."""


class AppendUnknown(BusError):
    """The connection failed after the call was sent: it may have been done. Repeat an event append to find out;
    a command append must not be repeated blindly."""


class Fenced(BusError):
    """A newer epoch holds the shard; whoever gets this must stop writing for good."""

    def __init__(self, current_epoch: int) -> None:
        super().__init__(f"fenced: the shard is at epoch {current_epoch}")
        self.current_epoch = current_epoch


class Gap(BusError):
    """The append does not follow the head of the log; nothing was appended."""

    def __init__(self, seq: int, chain: str) -> None:
        super().__init__(f"the log's head is at event {seq}, chain {chain or '(none)'}")
        self.seq = seq
        self.chain = chain


class BadRange(BusError):
    """last_seq is below first_seq, or above what the log can number; nothing was appended."""


class BusRefused(BusAway):
    """The server answered that it will not do this now (loading, out of memory, disk full, not permitted)."""
