"""Public market data as it travels on redis-edge: the contract between `run_marketdata` and the gateways.

Layout
    Stream `names.market_data_stream(shard)`: each entry has one field `d`, the msgpack of a list of maps. Each map has
    `t` (what it is) and `m` (market id); all numbers are integers: prices in ticks, quantities in lots, money in units
    (10^-8 of the quote asset), times in milliseconds. Only the gateway knows the clients' dialect.

    trade    id agg p q T bm u         bm: the buyer is the maker; u: event seq
    agg      a p q f l T bm            all prints of one taker order at one price, when complete; f, l: trade ids
    depth    U u b a T                 b, a: [[price, lots], ...], absolute, 0 removes; U = previous u + 1
    depth1s  as depth                  the same book each 1000 ms, a chain of its own
    top      u bp bq ap aq             best bid and ask; 0 0 for an empty side
    kline    i o c p v q n bv bq f l x i: of liveintervals.LIVE; p: [open, high, low, close]; f, l: -1 without trades;
                                       x: the bar is closed
    ticker   o h l c v q n F L O C Q x b B a A
                                       rolling 24 h: open, high, low, last price, volume, quote volume, trades, first
                                       and last trade id, window from O to C, Q last quantity, x last price before the
                                       window, best bid b B and ask a A. Weighted average price = q / (v x unit_factor)
                                       ticks: both are here so that the reader divides once. All 0 before any trade.
    window   w o h l c v q n F L O C   the same of the last hour, 4 hours or day (w: 1h 4h 1d), from a full minute
    state    u state cause until reopens rule
                                       u: event seq that it is as of; kinds.MarketState,
                                       kinds.HaltCause, end of this state (0: no timer), when the
                                       market opens by itself (0: it does not), the circuit breaker that halted it
    auction  p q                       in AUCTION: what would be traded if the call phase ended now, 0 0 for nothing
    distance up down                   nearest prices that would halt the market, while it is OPEN; 0: none
    alive    u T                       once a second, of no market (m is 0): all events up to u were told in this entry
                                       and those before it

    String `names.market_data_snapshot(shard, market_id)`: msgpack map
    u us b a trades aggs klines ticker state auction distance after: the book at `u` (best price first), `us` the u of
    the depth1s chain, the last 1000 trade and agg maps oldest first, {interval: kline map}, the ticker, state, auction
    and distance maps (null before the first, auction outside a call phase), and the stream entry after which to read
    on.

    String `names.market_data_states(shard)`: the msgpack list of the state maps of all markets, for readers that do not
    follow the stream. It is written each second and is gone SILENT_MS after the last time.

Invariants
    Depth ids never go back, not over a restart either. A snapshot's book is exactly what the depth messages up to its
    `u` add up to. A reader that finds a gap (U > its u + 1) has lost messages and starts again from the snapshot.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from apps.markets.intervals import bar_close_ms
from apps.markets.marketdata.bars import Bar

Record = dict[str, Any]
Levels = list[tuple[int, int]]

FIELD: Final = b"d"
_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final = msgspec.msgpack.Decoder()


def encode(value: object) -> bytes:
    return _encoder.encode(value)


def decode(data: bytes) -> Any:
    """Maps and lists of one stream entry or snapshot. msgspec.DecodeError where it is none."""
    return _decoder.decode(data)


def trade(
    market_id: int,
    *,
    trade_id: int,
    agg_id: int,
    price_ticks: int,
    lots: int,
    time_ms: int,
    buyer_maker: bool,
    seq: int,
) -> Record:
    return {
        "t": "trade", "m": market_id, "id": trade_id, "agg": agg_id, "p": price_ticks, "q": lots, "T": time_ms,
        "bm": buyer_maker, "u": seq,
    }  # fmt: skip


def aggregate(first: Record) -> Record:
    """The aggregate that begins with trade map `first`."""
    return {
        "t": "agg", "m": first["m"], "a": first["agg"], "p": first["p"], "q": first["q"], "f": first["id"],
        "l": first["id"], "T": first["T"], "bm": first["bm"],
    }  # fmt: skip


def depth(kind: str, market_id: int, *, first: int, last: int, bids: Levels, asks: Levels, time_ms: int) -> Record:
    """`kind` is 'depth' or 'depth1s'; covers events first..last."""
    return {"t": kind, "m": market_id, "U": first, "u": last, "b": bids, "a": asks, "T": time_ms}


def top(market_id: int, *, seq: int, bid: tuple[int, int], ask: tuple[int, int]) -> Record:
    return {"t": "top", "m": market_id, "u": seq, "bp": bid[0], "bq": bid[1], "ap": ask[0], "aq": ask[1]}


def kline(market_id: int, interval: str, bar: Bar, *, closed: bool, close_ms: int | None = None) -> Record:
    """`close_ms` is known of the stored intervals."""
    if close_ms is None:
        close_ms = bar_close_ms(interval, bar.open_ms)
    return {
        "t": "kline", "m": market_id, "i": interval, "o": bar.open_ms, "c": close_ms,
        "p": [bar.open, bar.high, bar.low, bar.close], "v": bar.volume_lots, "q": bar.quote_units, "n": bar.trades,
        "bv": bar.taker_base_lots, "bq": bar.taker_quote_units, "f": bar.first_trade_id, "l": bar.last_trade_id,
        "x": closed,
    }  # fmt: skip


def state(
    market_id: int, *, seq: int, new_state: int, cause: int, until_ms: int, reopens_ms: int = 0, rule_id: int = 0
) -> Record:
    return {
        "t": "state", "m": market_id, "u": seq, "state": new_state, "cause": cause, "until": until_ms,
        "reopens": reopens_ms, "rule": rule_id,
    }  # fmt: skip


def auction(market_id: int, *, price_ticks: int, lots: int) -> Record:
    return {"t": "auction", "m": market_id, "p": price_ticks, "q": lots}


def distance(market_id: int, *, up_ticks: int, down_ticks: int) -> Record:
    return {"t": "distance", "m": market_id, "up": up_ticks, "down": down_ticks}


def alive(*, seq: int, time_ms: int) -> Record:
    return {"t": "alive", "m": 0, "u": seq, "T": time_ms}


def snapshot(
    *,
    u: int,
    us: int,
    bids: Levels,
    asks: Levels,
    trades: Iterable[Record],
    aggs: Iterable[Record],
    klines: Mapping[str, Record],
    ticker: Record | None,
    market_state: Record | None,
    market_auction: Record | None,
    halt_distance: Record | None,
    after: str,
) -> Record:
    return {
        "u": u, "us": us, "b": bids, "a": asks, "trades": list(trades), "aggs": list(aggs), "klines": dict(klines),
        "ticker": ticker, "state": market_state, "auction": market_auction, "distance": halt_distance, "after": after,
    }  # fmt: skip
