"""The relay: outbox rows to the engine's command stream, in order, without losing or skipping one (architecture.md 6).

Steps, each safe to repeat
    1. number  Rows without a relay_seq get the next dense numbers, in one transaction, before anything is sent.
    2. send    Numbered rows that are not settled are appended in relay_seq order, many in one append.
    3. settle  Settlement marks a row when its event is settled; the relay never does.

After a crash, or an append whose outcome is unknown, everything not settled is sent again: the engine ignores what is
not newer than the last relay_seq it applied, so a repetition changes nothing, and no number is ever skipped.
A relay is single by a session advisory lock held on the same connection that numbers the rows.

A database restored from a backup does not know the numbers it gave out since. They would be given out again, and the
engine would ignore whatever they now stand for. So a relay begins only when PostgreSQL is settled up to where the log
was (`settled_seq`): settlement stops at the first relayed event whose row was lost, and then nothing is numbered.
"""

import struct
from dataclasses import dataclass
from typing import Any, Final, Protocol

import psycopg

from apps.common.crashpoints import reach
from apps.outbox.models import OutboxState
from apps.outbox.policy import RELAY_LOCK, ROWS_PER_APPEND
from apps.streams.bus.base import Head
from apps.streams.kinds import Source
from apps.streams.records import COMMAND_HEADER

# relay_seq and source stand right behind the header of every relayed command (commands.Relayed).
_RELAY_FIELDS: Final = struct.Struct("<QH")

_LOCK: Final = "SELECT pg_try_advisory_lock(%s, hashtext(%s))"
_COUNTER: Final = """
INSERT INTO outbox_relaycounter (shard, source, last_relay_seq) VALUES (%s, %s, 0)
ON CONFLICT (shard, source) DO NOTHING
"""
_LOCK_COUNTER: Final = "SELECT last_relay_seq FROM outbox_relaycounter WHERE shard = %s AND source = %s FOR UPDATE"
_NUMBER: Final = """
UPDATE outbox_outboxrow AS o SET relay_seq = %(last)s + n.position, numbered_at = now()
  FROM (SELECT id, row_number() OVER (ORDER BY id) AS position FROM outbox_outboxrow
         WHERE shard = %(shard)s AND source = %(source)s AND relay_seq IS NULL) AS n
 WHERE o.id = n.id
"""
_MOVE_COUNTER: Final = "UPDATE outbox_relaycounter SET last_relay_seq = %s WHERE shard = %s AND source = %s"
_IN_FLIGHT: Final = """
SELECT relay_seq, frames FROM outbox_outboxrow
 WHERE shard = %s AND source = %s AND state = %s AND relay_seq > %s ORDER BY relay_seq LIMIT %s
"""
_SETTLED: Final = "SELECT seq FROM matching_watermark WHERE shard = %s AND reader = 'settlement'"


class CommandLog(Protocol):
    """What the relay needs of a bus (streams.bus.base.Bus)."""

    def append_commands(self, frames: bytes) -> object: ...
    def head(self) -> Head: ...
    def close(self) -> None: ...


@dataclass(slots=True)
class Relay:
    """One shard's relay on one PostgreSQL connection. Not thread-safe.

    `sent_seq` is the last relay_seq this process knows to be in the stream; 0 = nothing is known, send all.
    """

    connection: psycopg.Connection[Any]
    commands: CommandLog
    shard: str
    source: int = int(Source.OUTBOX)
    sent_seq: int = 0

    def acquire(self) -> bool:
        """Become the relay of this shard; False while another process is."""
        row = self.connection.execute(_LOCK, [RELAY_LOCK, self.shard]).fetchone()
        return bool(row and row[0])

    def settled_seq(self) -> int:
        """The event up to which PostgreSQL has the record; 0 before the first."""
        row = self.connection.execute(_SETTLED, [self.shard]).fetchone()
        return int(row[0]) if row else 0

    def number(self) -> int:
        """Give each waiting row its relay_seq and commit; returns how many got one."""
        who = [self.shard, self.source]
        with self.connection.transaction():
            self.connection.execute(_COUNTER, who)
            row = self.connection.execute(_LOCK_COUNTER, who).fetchone()
            assert row is not None
            last = int(row[0])
            found = self.connection.execute(
                _NUMBER, {"last": last, "shard": self.shard, "source": self.source}
            ).rowcount
            if found:
                self.connection.execute(_MOVE_COUNTER, [last + found, *who])
        return found

    def send(self) -> int:
        """Append the next rows that this process has not sent; returns how many. Raises what the bus raises.

        When it raises, the append may or may not have happened: call `forget` before going on.
        """
        rows = self.connection.execute(
            _IN_FLIGHT, [self.shard, self.source, OutboxState.WAITING.value, self.sent_seq, ROWS_PER_APPEND]
        ).fetchall()
        if not rows:
            return 0
        numbers = [int(relay_seq) for relay_seq, _ in rows]
        first = self.sent_seq + 1 if self.sent_seq else numbers[0]
        assert numbers == list(range(first, first + len(numbers))), f"relay numbers are not dense: {numbers}"
        run = b"".join(stamped(bytes(frames), relay_seq, self.source) for relay_seq, frames in rows)
        reach("outbox.append.before")
        self.commands.append_commands(run)
        reach("outbox.append.after")
        self.sent_seq = numbers[-1]
        return len(numbers)

    def forget(self) -> None:
        """Send everything unsettled again: an append failed or its outcome is unknown."""
        self.sent_seq = 0


def stamped(frames: bytes, relay_seq: int, source: int) -> bytes:
    """The frame run with the relay's number in place."""
    run = bytearray(frames)
    _RELAY_FIELDS.pack_into(run, COMMAND_HEADER.size, relay_seq, source)
    return bytes(run)
