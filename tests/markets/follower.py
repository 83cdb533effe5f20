"""A reader of market data as a gateway is one: snapshot, then the stream; it asserts what the contract promises."""

from dataclasses import dataclass, field
from typing import Any

import redis

from apps.markets.marketdata import wire
from apps.streams import names
from apps.streams.kinds import Side


@dataclass
class Followed:
    """One market as this reader knows it."""

    u: dict[str, int]
    levels: dict[str, dict[Side, dict[int, int]]]
    trades: list[int]
    aggs: list[int]
    after: tuple[int, int]
    tops: list[dict[str, Any]] = field(default_factory=list)
    klines: list[dict[str, Any]] = field(default_factory=list)
    tickers: list[dict[str, Any]] = field(default_factory=list)
    windows: list[dict[str, Any]] = field(default_factory=list)
    states: list[dict[str, Any]] = field(default_factory=list)

    def book(self, kind: str, side: Side) -> list[tuple[int, int]]:
        return sorted(self.levels[kind][side].items(), reverse=side == Side.BUY)


def position(entry_id: str) -> tuple[int, int]:
    ms, _, n = entry_id.partition("-")
    return int(ms), int(n)


class Follower:
    """Start with `join`, then call `read` as often as you like: every gap, repeat or step back fails the test."""

    def __init__(self, edge: redis.Redis, shard: str) -> None:
        self.edge = edge
        self.shard = shard
        self.markets: dict[int, Followed] = {}
        self.after = "0-0"

    def snapshot(self, market_id: int) -> dict[str, Any]:
        data = self.edge.get(names.market_data_snapshot(self.shard, market_id))
        assert data is not None, f"no snapshot of market {market_id}"
        return wire.decode(data)

    def join(self, *market_ids: int) -> None:
        afters = []
        for market_id in market_ids:
            found = self.snapshot(market_id)
            sides = {Side.BUY: found["b"], Side.SELL: found["a"]}
            assert found["b"] == sorted(found["b"], reverse=True)
            assert found["a"] == sorted(found["a"])
            self.markets[market_id] = Followed(
                u={"depth": found["u"], "depth1s": found["us"]},
                levels={kind: {side: dict(levels) for side, levels in sides.items()} for kind in ("depth", "depth1s")},
                trades=[trade["id"] for trade in found["trades"]],
                aggs=[agg["a"] for agg in found["aggs"]],
                after=position(found["after"]),
            )
            afters.append(found["after"])
        self.after = min(afters, key=position)

    def read(self) -> int:
        """Take everything new; returns the number of records."""
        count = 0
        for entry_id, fields in self.edge.xrange(names.market_data_stream(self.shard), min=f"({self.after}"):
            self.after = entry_id.decode()
            for record in wire.decode(fields[wire.FIELD]):
                if record["t"] != "alive" and position(self.after) > self.markets[record["m"]].after:
                    count += 1
                    self._take(record)
        return count

    def _take(self, record: dict[str, Any]) -> None:
        market = self.markets[record["m"]]
        kind = record["t"]
        if kind in ("depth", "depth1s"):
            self._depth(market, kind, record)
        elif kind == "trade":
            assert record["id"] == (market.trades[-1] if market.trades else 0) + 1, "trades are told once, in order"
            market.trades.append(record["id"])
        elif kind == "agg":
            assert record["a"] == (market.aggs[-1] if market.aggs else 0) + 1, "aggregates are told once, in order"
            market.aggs.append(record["a"])
        else:
            told = {
                "top": market.tops, "kline": market.klines, "ticker": market.tickers, "window": market.windows,
                "state": market.states,
            }  # fmt: skip
            told[kind].append(record)

    def _depth(self, market: Followed, kind: str, record: dict[str, Any]) -> None:
        assert record["U"] == market.u[kind] + 1, f"{kind}: a gap after {market.u[kind]}: {record['U']}"
        assert record["u"] >= record["U"]
        assert record["b"] or record["a"], "nothing changed, nothing is sent"
        for side, changed in ((Side.BUY, record["b"]), (Side.SELL, record["a"])):
            for price, lots in changed:
                if lots:
                    market.levels[kind][side][price] = lots
                else:
                    del market.levels[kind][side][price]
        market.u[kind] = record["u"]
