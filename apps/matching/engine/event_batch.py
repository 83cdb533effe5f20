"""The events of the current batch, packed and numbered."""

from apps.matching.engine.errors import InvariantBroken


class EventBatch:
    """`now_ms`, `cmd_n` and `cmd_index` are the id of the command being applied; `now_ms` is the engine's time."""

    __slots__ = ("cmd_index", "cmd_n", "emit", "now_ms", "records", "seq")

    def __init__(self) -> None:
        self.seq = 0
        self.now_ms = 0
        self.cmd_n = 0
        self.cmd_index = 0
        self.begin()

    def begin(self) -> None:
        """A new batch."""
        self.records: list[bytes] = []
        self.emit = self.records.append

    def take(self, seq_before: int) -> bytes:
        """The batch's events; InvariantBroken unless they are numbered without a gap from `seq_before` on."""
        records = self.records
        if self.seq - seq_before != len(records):
            raise InvariantBroken("event numbers are not gapless")
        self.begin()
        return b"".join(records)
