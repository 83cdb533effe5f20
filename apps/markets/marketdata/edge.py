"""redis-edge as the producer sees it: the stream, the snapshots, and what readers have been told so far.

Any call may raise RedisError. The caller then carries on without redis-edge and comes back with `told`, which reads
from redis-edge itself up to where readers are, so nothing has to be remembered about calls with an unknown outcome.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
import redis
import structlog
from redis.backoff import NoBackoff
from redis.retry import Retry

from apps.markets.marketdata import wire
from apps.markets.policy import SILENT_MS, STREAM_ENTRIES_MAX
from apps.streams import names
from apps.streams.kinds import Side

log = structlog.get_logger(__name__)

SOCKET_TIMEOUT_S: Final = 1.0
READ_ENTRIES: Final = 500


@dataclass(slots=True)
class ToldChain:
    """What one depth chain has told: levels by side at `u`."""

    u: int
    levels: dict[Side, dict[int, int]]

    def follow(self, record: wire.Record) -> bool:
        """Apply one depth message; False where messages before it are missing."""
        if record["u"] <= self.u:
            return True
        if record["U"] != self.u + 1:
            return False
        for side, changed in ((Side.BUY, record["b"]), (Side.SELL, record["a"])):
            for price, lots in changed:
                if lots:
                    self.levels[side][price] = lots
                else:
                    self.levels[side].pop(price, None)
        self.u = record["u"]
        return True


@dataclass(slots=True)
class Told:
    """What readers know of one market."""

    after: str
    chains: dict[str, ToldChain]
    trade_id: int
    agg_id: int
    complete: bool = field(default=True)

    def follow(self, record: wire.Record) -> None:
        kind = record["t"]
        if kind == "trade":
            self.trade_id = max(self.trade_id, record["id"])
        elif kind == "agg":
            self.agg_id = max(self.agg_id, record["a"])
        elif kind in self.chains:
            self.complete = self.chains[kind].follow(record) and self.complete


def _told_by_snapshot(data: bytes) -> Told:
    found = wire.decode(data)
    sides = {Side.BUY: found["b"], Side.SELL: found["a"]}
    # Snapshots are written when both chains have just been flushed, so the levels are the same at `u` and `us`.
    chains = {
        kind: ToldChain(u, {side: dict(levels) for side, levels in sides.items()})
        for kind, u in (("depth", found["u"]), ("depth1s", found["us"]))
    }
    return Told(
        after=found["after"],
        chains=chains,
        trade_id=max((trade["id"] for trade in found["trades"]), default=0),
        agg_id=max((agg["a"] for agg in found["aggs"]), default=0),
    )


def _position(entry_id: str) -> tuple[int, int]:
    ms, _, n = entry_id.partition("-")
    return int(ms), int(n)


class Edge:
    """Blocking client; every call answers within a second or raises RedisError."""

    def __init__(self, url: str, shard: str) -> None:
        self._shard = shard
        self._stream = names.market_data_stream(shard)
        self._client: Any = redis.Redis.from_url(
            url,
            socket_timeout=SOCKET_TIMEOUT_S,
            socket_connect_timeout=SOCKET_TIMEOUT_S,
            retry=Retry(NoBackoff(), 0),
        )

    def close(self) -> None:
        self._client.close()

    def publish(self, records: Sequence[wire.Record]) -> str:
        """Append one entry to the stream; returns its id."""
        entry_id: bytes = self._client.xadd(
            self._stream, {wire.FIELD: wire.encode(records)}, maxlen=STREAM_ENTRIES_MAX, approximate=True
        )
        return entry_id.decode()

    def last_entry_id(self) -> str:
        """'0-0' where the stream is empty."""
        newest = self._client.xrevrange(self._stream, count=1)
        return newest[0][0].decode() if newest else "0-0"

    def write_snapshots(self, snapshots: Iterable[tuple[int, wire.Record]], states: Sequence[wire.Record]) -> None:
        """Those of markets, and the states of all; the latter end by themselves where nobody writes them again."""
        pipe = self._client.pipeline(transaction=False)
        pipe.set(names.market_data_states(self._shard), wire.encode(states), px=SILENT_MS)
        for market_id, snapshot in snapshots:
            pipe.set(names.market_data_snapshot(self._shard, market_id), wire.encode(snapshot))
        pipe.execute()

    def missing_snapshots(self, market_ids: Sequence[int]) -> list[int]:
        """Those of `market_ids` without a snapshot: redis-edge was flushed."""
        pipe = self._client.pipeline(transaction=False)
        for market_id in market_ids:
            pipe.exists(names.market_data_snapshot(self._shard, market_id))
        return [market_id for market_id, found in zip(market_ids, pipe.execute(), strict=True) if not found]

    def told(self, market_ids: Sequence[int]) -> dict[int, Told]:
        """What readers know, by market: the snapshot and the stream entries after it.

        A market is missing where that cannot be said: no snapshot, or messages after it are gone.
        """
        pipe = self._client.pipeline(transaction=False)
        for market_id in market_ids:
            pipe.get(names.market_data_snapshot(self._shard, market_id))
        told: dict[int, Told] = {}
        for market_id, data in zip(market_ids, pipe.execute(), strict=True):
            if data is not None:
                try:
                    told[market_id] = _told_by_snapshot(data)
                except (msgspec.DecodeError, KeyError, TypeError, ValueError) as error:
                    log.warning("snapshot on redis-edge is not readable", market_id=market_id, error=repr(error))
        if not told:
            return {}
        if _position(self.last_entry_id()) < max(_position(known.after) for known in told.values()):
            log.warning("the market data stream on redis-edge was lost; readers start again")
            return {}
        self._follow(told)
        return {market_id: known for market_id, known in told.items() if known.complete}

    def _follow(self, told: dict[int, Told]) -> None:
        after = min((known.after for known in told.values()), key=_position)
        while entries := self._client.xrange(self._stream, min=f"({after}", count=READ_ENTRIES):
            for entry_id, fields in entries:
                after = entry_id.decode()
                for record in wire.decode(fields[wire.FIELD]):
                    known = told.get(record["m"])
                    if known is not None and _position(after) > _position(known.after):
                        known.follow(record)
