"""The state to start from: books of the newest engine snapshot, prints and bars of PostgreSQL, and the events since.

Three positions meet here: the snapshot's, the candles' watermark and settlement's. Prints between the lowest of them
and the snapshot are counted from the log without touching the books; from the snapshot on, events do both.
"""

from pathlib import Path
from typing import Final

import structlog

from apps.markets.marketdata import database, wire
from apps.markets.marketdata.events import TRADES, wanted_events
from apps.markets.marketdata.marketfeed import MarketFeed
from apps.markets.marketdata.record import Record, load_history
from apps.markets.marketdata.shardfeed import EventGap, ShardFeed
from apps.matching import snapshots
from apps.matching.engine import Engine
from apps.streams.bus.base import Bus
from apps.streams.kinds import MarketState, Side

log = structlog.get_logger(__name__)

ENTRIES_MAX: Final = 1_000


def load_shard(
    bus: Bus,
    connection: database.Connection,
    *,
    snapshot_dir: Path,
    record: Record,
    now_ms: int,
) -> ShardFeed:
    """The shard at the head of its log. Raises EventGap, BusError, psycopg.Error."""
    shard = _books(snapshot_dir, record)
    if shard.seq > (head_seq := bus.head().seq):
        # The engine's snapshots are as new as redis-core; a second site may not have those events yet (replicated.py).
        raise EventGap(f"the newest snapshot stands at event {shard.seq}, the log that may be told ends at {head_seq}")
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        candles_seq = database.watermark(connection, bus.shard)
        settled_seq = database.settled_seq(connection, bus.shard)
        for feed in shard.markets.values():
            load_history(connection, feed, candles_seq=candles_seq, time_ms=now_ms)
    _count_prints(bus, shard, after_seq=min(candles_seq, settled_seq))
    while shard.seq < bus.head().seq:
        for entry in bus.read_events(shard.seq, count=ENTRIES_MAX):
            shard.take(entry)
    log.info("market data is loaded", seq=shard.seq, markets=len(shard.markets))
    return shard


def _books(snapshot_dir: Path, record: Record) -> ShardFeed:
    """Books and states of the newest engine snapshot; an empty shard at event 0 where there is none yet."""
    snapshot = snapshots.newest(snapshot_dir)
    if snapshot is None:
        return ShardFeed(record.listed, 0, "")
    engine = Engine.restore(snapshot.body)
    feeds = []
    for row in engine.markets():
        feed = MarketFeed(row.market_id, record.unit_factor, snapshot.seq)
        feed.state = wire.state(
            row.market_id, seq=snapshot.seq, new_state=row.state, cause=row.cause, until_ms=row.until_ms,
            reopens_ms=row.reopens_ms, rule_id=row.rule_id,
        )  # fmt: skip
        if row.state == MarketState.AUCTION:
            feed.auction = wire.auction(row.market_id, price_ticks=row.auction_ticks, lots=row.auction_lots)
        if row.halt_up_ticks or row.halt_down_ticks:
            feed.distance = wire.distance(row.market_id, up_ticks=row.halt_up_ticks, down_ticks=row.halt_down_ticks)
        for side, levels in ((Side.BUY, row.bid_levels), (Side.SELL, row.ask_levels)):
            for price_ticks, lots in engine.depth(row.market_id, side, levels):
                feed.book.set_level(side, price_ticks, lots)
        feeds.append(feed)
    return ShardFeed(record.listed, snapshot.seq, snapshot.chain, feeds)


def _count_prints(bus: Bus, shard: ShardFeed, *, after_seq: int) -> None:
    """Prints after `after_seq` up to the snapshot, which the books have already."""
    position = after_seq
    while position < shard.seq:
        entries = bus.read_events(position, count=ENTRIES_MAX)
        if not entries:
            break
        for entry in entries:
            for event in wanted_events(entry.body, TRADES, after_seq=position):
                if event.seq <= shard.seq and event.market_id in shard.markets:
                    shard.markets[event.market_id].count_print(event)
            position = entry.last_seq
    for feed in shard.markets.values():
        feed.tape.complete()
