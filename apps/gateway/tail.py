"""This process's own reader of the events stream: answers waiting requests and feeds user data.

Redis fsyncs before it answers readers, so everything seen here is durable. Reading starts at the head of the moment
and goes on after the last entry seen over every reconnect, so nothing is lost and order is kept. An unknown event kind
or version raises FrameError, which ends the process: it must not guess about money.

Where a second site is set up the events come from its replica, and each answer counts only while that server is one: a
promoted site's events would answer this one's commands (apps/streams/bus/replicated.py).
"""

import asyncio
import struct
import time
from collections.abc import Callable, Iterator
from typing import Any, Final, Protocol

import structlog
from redis.exceptions import RedisError

from apps.gateway.core import CoreAway, CorePipe, CoreUnanswered
from apps.gateway.eventfields import offset_of
from apps.gateway.labelled import Labelled
from apps.streams.bus.replicated import NotAReplica, check_follows
from apps.streams.codec import decode_event
from apps.streams.events import PreventedMatch, Trade
from apps.streams.kinds import AcceptedFlag, EventKind
from apps.streams.names import ShardKeys
from apps.streams.records import EVENT_SIZE, EVENTS, FrameError

log = structlog.get_logger("nebannpet.gateway.tail")

READ_COUNT: Final = 200
# A blocking read ends by itself after this long, well before the pipe takes the server's silence for its end.
BLOCK_MS: Final = 500
RECONNECT_S: Final = 0.2
# An early answer is kept while appends are in flight, at most this long (longer than any request waits).
EARLY_KEPT_S: Final = 10.0

# version, kind, flags, reason, market, seq, cmd_ms, cmd_n, cmd_index, account; the rest of the record is skipped.
ROW: Final = struct.Struct(f"<BBBBIQQIIQ{EVENT_SIZE - 40}x")
CommandId = tuple[int, int]
ACCEPTED: Final = int(EventKind.ORDER_ACCEPTED)
STRATEGY: Final = int(AcceptedFlag.STRATEGY_ID | AcceptedFlag.STRATEGY_TYPE)
# Of a new order that shows all of itself these bytes are zero.
DISPLAY_AT: Final = offset_of(EventKind.ORDER_ACCEPTED, "display_lots")
NO_DISPLAY: Final = bytes(8)


# Where the other account of an event lies, if it has one.
OTHER_ACCOUNT_AT: Final = {
    int(EventKind.TRADE): offset_of(EventKind.TRADE, "maker_account_id"),
    int(EventKind.PREVENTED_MATCH): offset_of(EventKind.PREVENTED_MATCH, "maker_account_id"),
    int(EventKind.MONEY_MOVED): offset_of(EventKind.MONEY_MOVED, "to_account_id"),
}
U64: Final = struct.Struct("<Q")


class Feed(Protocol):
    """Somebody who follows one account; gets all events of one command that touch it, in order."""

    def on_events(self, events: list[Any]) -> None: ...

    def on_lost(self) -> None:
        """The history before the next event is not available: what was shown may be incomplete."""


class EventTail:
    """`run()` reads for ever. All methods belong to the event loop that runs it."""

    def __init__(self, url: str, keys: ShardKeys, *, of_replica: bool = False) -> None:
        self._pipe = CorePipe(url, server="events of redis-core:")
        self._said = ""
        self._keys = keys
        self._of_replica = of_replica
        self._expected: dict[CommandId, list[asyncio.Future[list[bytes]]]] = {}
        self._early: dict[CommandId, tuple[float, dict[int, list[bytes]]]] = {}
        self._last_command: CommandId = (0, 0)
        self._feeds: dict[int, set[Feed]] = {}
        # Gets the events of each command that this process sent, once.
        self.on_own_command: Callable[[list[bytes]], None] | None = None
        self.appends_in_flight = 0
        self.seq = 0
        self.connected = False
        self.started = asyncio.Event()
        self.labelled = Labelled(self.started, lambda: self.seq)

    # -- waiting requests ---------------------------------------------------------------------------------------------
    def expect(self, entry_ms: int, entry_n: int, replies: list["asyncio.Future[list[bytes]]"]) -> None:
        """The append of these commands was answered; their events may have been seen already."""
        command = (entry_ms, entry_n)
        early = self._early.pop(command, None)
        if early is not None:
            for index, events in early[1].items():
                if index < len(replies):
                    self._answer(replies[index], events)
        if any(not reply.done() for reply in replies):
            self._expected[command] = replies

    # -- accounts -----------------------------------------------------------------------------------------------------
    def follow(self, account_id: int, feed: Feed) -> None:
        self._feeds.setdefault(account_id, set()).add(feed)

    def unfollow(self, account_id: int, feed: Feed) -> None:
        feeds = self._feeds.get(account_id, set())
        feeds.discard(feed)
        if not feeds:
            self._feeds.pop(account_id, None)

    # -- reading ------------------------------------------------------------------------------------------------------
    async def run(self) -> None:
        """Read until cancelled; reconnects by itself. Raises FrameError for events this code does not know."""
        await asyncio.gather(self._pipe.run(), self._read())

    async def _read(self) -> None:
        while True:
            try:
                await self._find_place()
                self.connected = True
                self.started.set()
                while True:
                    await self._read_some()
            except (CoreAway, CoreUnanswered):
                self._said = ""
            except (RedisError, NotAReplica) as error:
                if str(error) != self._said:
                    log.warning("the events cannot be read", error=str(error))
                self._said = str(error)
            finally:
                self.connected = False
            await asyncio.sleep(RECONNECT_S)

    async def _find_place(self) -> None:
        """First start: the head of the moment. Later: where we stopped, unless the log no longer reaches there."""
        head = int(await self._ask("HGET", self._keys.head, "seq") or 0)
        trimmed = int(await self._ask("HGET", self._keys.trimmed, "seq") or 0)
        if not self.started.is_set():
            self.seq = head
        elif head < self.seq or trimmed > self.seq:
            log.error("the event log does not continue from where this process stopped", seq=self.seq, head=head)
            self.seq = head
            self.labelled.forget()
            for feed in [feed for feeds in self._feeds.values() for feed in feeds]:
                feed.on_lost()

    async def _ask(self, *command: str | int) -> Any:
        """The answer to a read. NotAReplica where the server must be a replica and is none right after it."""
        if not self._of_replica:
            return await self._pipe.execute(*command)
        answer, role = await asyncio.gather(self._pipe.execute(*command), self._pipe.execute("ROLE"))
        check_follows(role)
        return answer

    async def _skip_trimmed(self, first_seq: int) -> None:
        """We were so slow that the log was trimmed past us: go on at the head. Any other gap is a broken log."""
        before = self.seq
        await self._find_place()
        if self.seq == before:
            raise FrameError(f"an event entry starts at {first_seq} after {before}")

    async def _read_some(self) -> None:
        answer = await self._ask(
            "XREAD", "COUNT", READ_COUNT, "BLOCK", BLOCK_MS, "STREAMS", self._keys.events, f"{self.seq}-0"
        )
        for _stream, entries in streams_of(answer):
            for entry_id, fields in entries:
                values = dict(zip(fields[::2], fields[1::2], strict=True))
                last_seq, first_seq = int(bytes(entry_id).split(b"-")[0]), int(values[b"f"])
                if first_seq != self.seq + 1:
                    await self._skip_trimmed(first_seq)
                    return
                self.on_entry(values[b"d"])
                self.seq = last_seq
        self._drop_settled()

    def on_entry(self, body: bytes) -> None:
        """Hand out the events of one entry, command by command."""
        found = commands_of(body, with_accounts=bool(self._feeds), labelled=self.labelled.accounts)
        for command, events, accounts in found:
            self._hand_out(command, events, accounts)

    def _hand_out(self, command: tuple[int, int, int], events: list[bytes], accounts: set[int]) -> None:
        ms, n, index = command
        entry = (ms, n)
        replies = self._expected.get(entry)
        if replies is not None:
            if index < len(replies):
                self._answer(replies[index], events)
        elif self.appends_in_flight:
            self._early.setdefault(entry, (time.monotonic(), {}))[1][index] = events
        followed = accounts & self._feeds.keys()
        if followed:
            records = [decode_event(event) for event in events]
            for account_id in followed:
                touching = [record for record in records if _touches(record, account_id)]
                for feed in tuple(self._feeds[account_id]):
                    self._feed(feed, account_id, touching)

    def _answer(self, reply: "asyncio.Future[list[bytes]]", events: list[bytes]) -> None:
        if not reply.done():
            reply.set_result(events)
        if self.on_own_command is not None:
            self.on_own_command(events)

    @staticmethod
    def _feed(feed: Feed, account_id: int, events: list[Any]) -> None:
        try:
            feed.on_events(events)
        except Exception:  # what one account's page shows must not end the answers to everybody's orders
            log.exception("user data of an account failed; its streams end", account_id=account_id)
            feed.on_lost()

    def _drop_settled(self) -> None:
        """Forget answered and abandoned requests."""
        if self._expected:
            done = [entry for entry, replies in self._expected.items() if all(reply.done() for reply in replies)]
            for entry in done:
                del self._expected[entry]
        if self._early:
            if not self.appends_in_flight:
                self._early.clear()
            else:
                limit = time.monotonic() - EARLY_KEPT_S
                for entry in [entry for entry, (seen, _) in self._early.items() if seen < limit]:
                    del self._early[entry]


def _touches(record: Any, account_id: int) -> bool:
    if record.account_id == account_id:
        return True
    if isinstance(record, Trade | PreventedMatch):
        return record.maker_account_id == account_id
    return getattr(record, "to_account_id", 0) == account_id


def streams_of(answer: Any) -> list[tuple[bytes, list[Any]]]:
    """XREAD's answer in either protocol version as [(stream, entries)]; nothing is [] ."""
    if not answer:
        return []
    return list(answer.items()) if isinstance(answer, dict) else [(name, entries) for name, entries in answer]


def commands_of(
    body: bytes, *, with_accounts: bool = True, labelled: set[int] | None = None
) -> Iterator[tuple[tuple[int, int, int], list[bytes], set[int]]]:
    """Each command in one entry: its id and index, its events, and the accounts that they touch. Accounts with a new
    order that has a label (labelled.py) are added to `labelled`.

    Raises FrameError for events this code does not know.
    """
    if len(body) % EVENT_SIZE:
        raise FrameError(f"{len(body)} bytes are not whole events")
    current: tuple[int, int, int] | None = None
    group: list[bytes] = []
    accounts: set[int] = set()
    for number, row in enumerate(ROW.iter_unpack(body)):
        version, kind, flags, _reason, _market_id, _seq, ms, n, index, account_id = row
        if version != 1 or kind not in EVENTS:
            raise FrameError(f"unknown event version {version}, kind {kind}")
        start = number * EVENT_SIZE
        if (
            kind == ACCEPTED
            and labelled is not None
            and (flags & STRATEGY or body[start + DISPLAY_AT : start + DISPLAY_AT + 8] != NO_DISPLAY)
        ):
            labelled.add(account_id)
        command = (ms, n, index)
        if command != current:
            if current is not None:
                yield current, group, accounts
            current, group, accounts = command, [], set()
        group.append(body[start : start + EVENT_SIZE])
        if with_accounts:
            accounts.add(account_id)
            if kind in OTHER_ACCOUNT_AT:
                accounts.add(U64.unpack_from(body, start + OTHER_ACCOUNT_AT[kind])[0])
    if current is not None:
        yield current, group, accounts


def touching(records: list[bytes], account_id: int) -> list[Any]:
    """Those that touch the account. Raises FrameError for events this code does not know."""
    return [event for event in map(decode_event, records) if _touches(event, account_id)]
