"""Follows marketdata's stream on redis-edge and keeps `PublicMarket`s current; tells listeners what is new."""

import asyncio
import time
from typing import Any, Final, Protocol

import structlog
from redis.exceptions import RedisError

from apps.gateway import errors
from apps.gateway.book import Gap, Position, PublicMarket, Record, parse_position
from apps.gateway.core import answer_of, connect, connection_of
from apps.gateway.feedage import FeedAge
from apps.gateway.markets import Market, Markets
from apps.gateway.tail import streams_of
from apps.markets.marketdata import wire
from apps.streams.names import market_data_snapshot, market_data_stream

log = structlog.get_logger("nebannpet.gateway.public")

READ_COUNT: Final = 100
BLOCK_MS: Final = 500
RECONNECT_S: Final = 0.5
# A blocking read ends by itself after BLOCK_MS; a server silent for longer is lost.
SILENT_MAX_S: Final = BLOCK_MS / 1000 + 5
# Their ids never go back for any client, so they are told only once.
DEPTH_KINDS: Final = frozenset({"depth", "depth1s"})
# A market without a snapshot is asked for again this often.
LOAD_AGAIN_S: Final = 0.5


class Listener(Protocol):
    def on_record(self, market: Market, state: PublicMarket, record: Record) -> None: ...

    def on_entry_end(self) -> None:
        """All records of one stream entry were told."""

    def on_reload(self, market: Market) -> None:
        """Records were lost: chains of depth messages of this market are broken."""


class PublicFeed:
    """`age` says whether what is known here is what happened."""

    def __init__(self, url: str, shard: str, markets: Markets, age: FeedAge) -> None:
        self._url = url
        self._shard = shard
        self._markets = markets
        self.age = age
        self._states: dict[int, PublicMarket] = {}
        self._position: Position = (0, 0)
        # Not `_position`: a quiet market's snapshot may name an entry that was trimmed long ago.
        self._seen: Position = (0, 0)
        # The stream's end when this connection began: what was said before says nothing of now.
        self._old_until: Position = (0, 0)
        self._tried_s: dict[int, float] = {}
        self.listeners: list[Listener] = []
        self.connected = False

    def state(self, market: Market) -> PublicMarket:
        """503 while the market's public data is not there (marketdata has not written a snapshot yet).

        Nor before it has caught up with the stream: the gateway before this one may have shown all of that.
        """
        state = self._states.get(market.id)
        if state is None or state.position < state.known_until:
            raise errors.not_executed()
        return state

    def known(self, market: Market) -> PublicMarket | None:
        return self._states.get(market.id)

    def has_every_book(self) -> bool:
        """Whether `state` would answer for each market."""
        states = self._states
        return all(
            (state := states.get(market_id)) is not None and state.position >= state.known_until
            for market_id in self._markets.by_id
        )

    async def run(self) -> None:
        while True:
            connection = connection_of(self._url)
            try:
                await connect(connection)
                self._old_until = await self._newest(connection)
                if self._old_until != (0, 0):
                    self.age.spoke_before(self._old_until[0])
                self.connected = True
                while True:
                    await self._load_missing(connection)
                    await self._read_some(connection)
            except (OSError, RedisError, TimeoutError) as error:
                log.warning(
                    "redis-edge connection lost; public data stands still", error=str(error) or type(error).__name__
                )
            finally:
                self.connected = False
                await connection.disconnect(nowait=True)
            await asyncio.sleep(RECONNECT_S)

    async def _load_missing(self, connection: Any) -> None:
        now = time.monotonic()
        for market_id in self._markets.by_id:
            if market_id in self._states or now - self._tried_s.get(market_id, float("-inf")) < LOAD_AGAIN_S:
                continue
            self._tried_s[market_id] = now
            await connection.send_command("GET", market_data_snapshot(self._shard, market_id))
            data = await answer_of(connection, timeout_s=SILENT_MAX_S)
            if data is None:
                continue
            state = PublicMarket.from_snapshot(market_id, wire.decode(data))
            state.known_until = await self._newest(connection)
            self._seen = max(self._seen, state.known_until)
            # Read again from the oldest snapshot: each market skips what it has by its own position.
            self._position = min(self._position, state.position) if self._states else state.position
            self._states[market_id] = state

    async def _newest(self, connection: Any) -> Position:
        """Of the stream's entries; what a snapshot lacks up to there is not news."""
        await connection.send_command("XREVRANGE", market_data_stream(self._shard), "+", "-", "COUNT", 1)
        entries = await answer_of(connection, timeout_s=SILENT_MAX_S)
        return parse_position(bytes(entries[0][0]).decode("ascii")) if entries else (0, 0)

    async def _read_some(self, connection: Any) -> None:
        if not self._states and self._markets.by_id:
            await asyncio.sleep(LOAD_AGAIN_S)
            return
        after = f"{self._position[0]}-{self._position[1]}"
        stream = market_data_stream(self._shard)
        await connection.send_command("XREAD", "COUNT", READ_COUNT, "BLOCK", BLOCK_MS, "STREAMS", stream, after)
        news = streams_of(await answer_of(connection, timeout_s=SILENT_MAX_S))
        if news and not await self._reaches_back(connection):
            log.warning("the public stream begins anew; loading every market again")
            self._seen = (0, 0)
            for market in [self._markets.by_id[market_id] for market_id in self._states]:
                self._forget(market)
            return
        for _stream, entries in news:
            for entry_id, fields in entries:
                position = parse_position(bytes(entry_id).decode("ascii"))
                for record in wire.decode(fields[1]):
                    if record["t"] != "alive":
                        self._apply(position, record)
                    elif position > max(self._old_until, self._seen):
                        self.age.told(record["u"])
                for listener in self.listeners:
                    listener.on_entry_end()
                self._position, self._seen = position, max(self._seen, position)
                for state in self._states.values():
                    state.position = max(state.position, position)

    async def _reaches_back(self, connection: Any) -> bool:
        """Whether the stream still has the newest entry that this process knows of: nothing after it is missing.

        redis-edge may be emptied at any time. A quiet market would not show it: without news of its own there is no gap
        in its ids, and its book would stay as it was before the loss.
        """
        await connection.send_command("XRANGE", market_data_stream(self._shard), "-", "+", "COUNT", 1)
        oldest = await answer_of(connection, timeout_s=SILENT_MAX_S)
        begins = parse_position(bytes(oldest[0][0]).decode("ascii")) if oldest else (0, 0)
        return self._seen == (0, 0) or (0, 0) < begins <= self._seen

    def _forget(self, market: Market) -> None:
        """Records of it are missing: it is loaded from its snapshot again, and its listeners start over."""
        del self._states[market.id]
        self._tried_s.pop(market.id, None)
        for listener in self.listeners:
            listener.on_reload(market)

    def _apply(self, position: Position, record: Record) -> None:
        market = self._markets.by_id.get(record["m"])
        state = self._states.get(record["m"])
        if market is None or state is None or position <= state.position:
            return
        try:
            news = state.apply(record)
        except Gap:
            log.warning("public records were lost; loading the market again", market=market.symbol)
            self._forget(market)
            return
        if news and not (record["t"] in DEPTH_KINDS and position <= state.known_until):
            for listener in self.listeners:
                listener.on_record(market, state, record)
