"""Events that this process did not follow when they happened, read from the log for one account.

The log keeps at least 100,000 events (apps/matching/policy.py), much more as a rule: it is trimmed behind the oldest
snapshot. Whoever comes later has missed them for good, and loads orders and balances instead.

It is a bulk read, so it has a connection of its own, on which nothing else waits behind it, and few happen at a time.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from redis.exceptions import RedisError

from apps.gateway import errors
from apps.gateway.core import CoreAway, CorePipe, CoreUnanswered
from apps.gateway.tail import commands_of, touching
from apps.streams.bus.replicated import NotAReplica, check_follows
from apps.streams.names import ShardKeys

# Events of one answer (400 KB), unless a single entry has more.
READ_EVENTS: Final = 2_000
TIMEOUT_S: Final = 5.0
# So many read at a time in one process, so many wait for that, and so long.
READINGS_MAX: Final = 2
WAITING_MAX: Final = 20
TURN_TIMEOUT_S: Final = 5.0
# One request reads no more than this: events of everybody, and of the account (they become frames of one connection).
EVENTS_MAX: Final = 300_000
EVENTS_OF_ACCOUNT_MAX: Final = 4_000


class PastEvents:
    """`pipe` leads to where this process reads the events, and is for this alone."""

    def __init__(self, pipe: CorePipe, keys: ShardKeys, *, of_replica: bool) -> None:
        self._pipe = pipe
        self._keys = keys
        self._of_replica = of_replica
        self._turns = asyncio.Semaphore(READINGS_MAX)
        self._waiting = 0

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Within it the past may be read. -1008 where too many wait for that already, and to whom waits too long."""
        if self._waiting >= WAITING_MAX:
            raise errors.too_many_readings()
        self._waiting += 1
        try:
            async with asyncio.timeout(TURN_TIMEOUT_S):
                await self._turns.acquire()
        except TimeoutError as error:
            raise errors.too_many_readings() from error
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._turns.release()

    async def of_account(self, account_id: int, *, after: int, until: int) -> list[list[Any]]:
        """The events of each command that touch the account, oldest first: of all commands that have an event in
        (after, until], with those of their events that came before. `until` ends a command. -1130 where they cannot all
        be had, 503 without redis-core.
        """
        if after > until:
            raise errors.from_seq_ahead(until)
        if until - after > EVENTS_MAX:
            raise errors.from_seq_too_old()
        found: list[list[Any]] = []
        count = 0
        next_seq = after + 1
        # As it stands in records; where it does not, none is about the account.
        number = account_id.to_bytes(8, "little")
        try:
            async with asyncio.timeout(TIMEOUT_S):
                while next_seq <= until:
                    for first_seq, last_seq, body in await self._entries(next_seq):
                        # The first entry may hold events from before.
                        if first_seq > next_seq:
                            raise errors.from_seq_too_old()
                        next_seq = last_seq + 1
                        if number not in body:
                            continue
                        for _command, records, accounts in commands_of(body):
                            if account_id in accounts:
                                group = touching(records, account_id)
                                if group and after < group[-1].seq <= until:
                                    found.append(group)
                                    count += len(group)
                        if count > EVENTS_OF_ACCOUNT_MAX:
                            raise errors.from_seq_too_old()
                        # Orders of others need not wait for the next one.
                        await asyncio.sleep(0)
        except (TimeoutError, CoreAway, CoreUnanswered, RedisError, NotAReplica) as error:
            raise errors.not_executed() from error
        return found

    async def _entries(self, from_seq: int) -> list[tuple[int, int, bytes]]:
        """(first event, last event, records) of some entries, from the one that holds `from_seq`."""
        answer = await self._range(f"{from_seq}-0", f"{from_seq + READ_EVENTS - 1}-0")
        if not answer:
            answer = await self._range(f"{from_seq}-0", "+", "COUNT", 1)
        if not answer:
            # The log ends before what settlement has seen: it is another log.
            raise errors.not_executed()
        entries = []
        for entry_id, fields in answer:
            values = dict(zip(fields[::2], fields[1::2], strict=True))
            entries.append((int(values[b"f"]), int(bytes(entry_id).split(b"-")[0]), values[b"d"]))
        return entries

    async def _range(self, *bounds: str | int) -> Any:
        """Entries by the number of their last event."""
        reading = self._pipe.execute("XRANGE", self._keys.events, *bounds)
        if not self._of_replica:
            return await reading
        answer, role = await asyncio.gather(reading, self._pipe.execute("ROLE"))
        check_follows(role)
        return answer


def align(seq: int, groups: list[list[Any]]) -> tuple[int, list[list[Any]]]:
    """Where to begin so that no command is told in part: before the one that `seq` lies within."""
    if groups and groups[0][0].seq <= seq:
        seq = groups[0][0].seq - 1
    return seq, groups
