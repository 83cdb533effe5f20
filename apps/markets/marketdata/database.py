"""PostgreSQL as `run_marketdata` uses it: plain psycopg on connections of its own, no Django models.

Trades are read from the table that settlement writes (orders_trade): the orders app stands above this one in the import
order, so its rows are read by SQL and its code is not imported.
"""

from collections.abc import Iterable
from typing import Any, Final

import psycopg
from django.conf import settings
from psycopg import sql

from apps.markets.intervals import INTERVALS
from apps.markets.klines import COLUMNS, bar_of_row
from apps.markets.liveintervals import ZONED, ZONED_SOURCE, live_open_ms
from apps.markets.marketdata import wire
from apps.markets.marketdata.bars import Bar

Connection = psycopg.Connection[Any]
CONNECT_TIMEOUT_S: Final = 5
_LIST: Final = ", ".join(COLUMNS)

# Tick and lot size change only before a market's first state change is asked for (services/listing.py), so the newest
# settings that were not refused are those of every trade. The market's own row may still be behind.
UNIT_FACTOR: Final = """
SELECT COALESCE(
    (SELECT (c.settings->>'tick_size')::bigint::numeric * (c.settings->>'lot_size')::bigint / 100000000
       FROM markets_marketsettingschange c JOIN outbox_outboxrow o ON o.key = c.outbox_key
      WHERE c.market_id = m.id AND o.state <> 'refused'
      ORDER BY c.settings_version DESC LIMIT 1),
    m.tick_size::numeric * m.lot_size / 100000000)::bigint
  FROM markets_market m WHERE m.id = %s
"""
TRADES_BETWEEN: Final = """
SELECT market_id, trade_id, price_ticks, quantity_lots, quote_units, time_ms, taker_is_buyer
  FROM orders_trade WHERE id > %s AND id <= %s ORDER BY id
"""
RECENT_TRADES: Final = """
SELECT trade_id, agg_id, price_ticks, quantity_lots, time_ms, taker_is_buyer, seq
  FROM orders_trade WHERE market_id = %s ORDER BY trade_id DESC LIMIT %s
"""
SETTLED_SEQ: Final = "SELECT seq FROM matching_watermark WHERE shard = %s AND reader = 'settlement'"
BARS_SINCE: Final = f"""
SELECT {_LIST} FROM markets_candle
 WHERE market_id = %s AND interval = %s AND open_ms >= %s ORDER BY open_ms
"""  # noqa: S608  # column names are constants
NEWEST_BARS: Final = f"""
SELECT wanted.interval, newest.*
  FROM unnest(%s::text[]) AS wanted(interval)
 CROSS JOIN LATERAL (
    SELECT {_LIST} FROM markets_candle AS c
     WHERE c.market_id = %s AND c.interval = wanted.interval ORDER BY c.open_ms DESC LIMIT 1) AS newest
"""  # noqa: S608  # column names are constants
CLOSE_BEFORE: Final = """
SELECT close_ticks FROM markets_candle
 WHERE market_id = %s AND interval = '1m' AND open_ms < %s ORDER BY open_ms DESC LIMIT 1
"""
WATERMARK: Final = "SELECT seq FROM markets_candlewatermark WHERE shard = %s"
CREATE_WATERMARK: Final = "INSERT INTO markets_candlewatermark (shard, seq) VALUES (%s, 0) ON CONFLICT DO NOTHING"
MOVE_WATERMARK: Final = "UPDATE markets_candlewatermark SET seq = %s WHERE shard = %s AND seq = %s"
# Bars of new prints are added to what stands there; the watermark in the same transaction makes that exact.
ADD_BARS: Final = f"""
INSERT INTO markets_candle AS c (market_id, interval, {_LIST})
VALUES (%s, %s, {", ".join(["%s"] * len(COLUMNS))})
ON CONFLICT (market_id, interval, open_ms) DO UPDATE SET
    high_ticks = GREATEST(c.high_ticks, EXCLUDED.high_ticks),
    low_ticks = LEAST(c.low_ticks, EXCLUDED.low_ticks),
    close_ticks = EXCLUDED.close_ticks,
    volume_lots = c.volume_lots + EXCLUDED.volume_lots,
    quote_units = c.quote_units + EXCLUDED.quote_units,
    trades = c.trades + EXCLUDED.trades,
    taker_base_lots = c.taker_base_lots + EXCLUDED.taker_base_lots,
    taker_quote_units = c.taker_quote_units + EXCLUDED.taker_quote_units,
    first_trade_id = CASE WHEN c.first_trade_id = -1 THEN EXCLUDED.first_trade_id ELSE c.first_trade_id END,
    last_trade_id = EXCLUDED.last_trade_id
"""  # noqa: S608  # constants of ours


def connect(dsn: str | None = None) -> Connection:
    """A connection in autocommit mode with the process's role."""
    connection: Connection = psycopg.connect(
        dsn or settings.DATABASE_DSN, autocommit=True, connect_timeout=CONNECT_TIMEOUT_S
    )
    if settings.DATABASE_ROLE:
        connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(settings.DATABASE_ROLE)))
    connection.execute("SET statement_timeout = '15s'")
    return connection


def unit_factor(connection: Connection, market_id: int) -> int:
    """Quote units of one tick times one lot. LookupError for a market that PostgreSQL does not have."""
    row = connection.execute(UNIT_FACTOR, (market_id,)).fetchone()
    if row is None:
        raise LookupError(f"the log names market {market_id}, which is not in PostgreSQL")
    return int(row[0])


def watermark(connection: Connection, shard: str) -> int:
    row = connection.execute(WATERMARK, (shard,)).fetchone()
    if row is None:
        connection.execute(CREATE_WATERMARK, (shard,))
        return 0
    return int(row[0])


def settled_seq(connection: Connection, shard: str) -> int:
    row = connection.execute(SETTLED_SEQ, (shard,)).fetchone()
    return int(row[0]) if row else 0


class WatermarkMoved(RuntimeError):
    """Another writer has moved the candle watermark: two are running, or the database was restored."""


def add_bars(
    connection: Connection, shard: str, *, from_seq: int, to_seq: int, bars: Iterable[tuple[int, str, Bar]]
) -> None:
    """Add the bars (market_id, interval, bar) of all prints in (from_seq, to_seq], and move the watermark with them.

    One transaction. Raises WatermarkMoved, and nothing is added, unless the watermark stands at `from_seq`.
    """
    rows = [
        (market_id, interval, bar.open_ms, bar.open, bar.high, bar.low, bar.close, bar.volume_lots, bar.quote_units,
         bar.trades, bar.taker_base_lots, bar.taker_quote_units, bar.first_trade_id, bar.last_trade_id, bar.simulated)
        for market_id, interval, bar in bars
    ]  # fmt: skip
    with connection.transaction():
        moved = connection.execute(MOVE_WATERMARK, (to_seq, shard, from_seq)).rowcount
        if moved != 1:
            raise WatermarkMoved(f"the candle watermark of {shard} is not at {from_seq}")
        with connection.cursor() as cursor:
            cursor.executemany(ADD_BARS, rows)


def newest_bars(connection: Connection, market_id: int) -> dict[str, Bar]:
    """{interval: newest bar} of one market."""
    rows = connection.execute(NEWEST_BARS, (list(INTERVALS), market_id)).fetchall()
    return {interval: bar_of_row(row) for interval, *row in rows}


def zoned_bars(connection: Connection, market_id: int, now_ms: int) -> dict[str, Bar]:
    """{name: running bar} of the bars at UTC+8; one that has no trades yet is missing."""
    opens = {name: live_open_ms(name, now_ms) for name in ZONED}
    rows = connection.execute(BARS_SINCE, (market_id, ZONED_SOURCE, min(opens.values()))).fetchall()
    bars: dict[str, Bar] = {}
    for part in map(bar_of_row, rows):
        for name, open_ms in opens.items():
            if part.open_ms < open_ms:
                continue
            if name in bars:
                bars[name].merge(part)
            else:
                bars[name] = part.starting_at(open_ms)
    return bars


def minutes_since(connection: Connection, market_id: int, start_ms: int) -> tuple[list[Bar], int]:
    """(one-minute bars from `start_ms` on, oldest first; last price before, 0 where there is none)."""
    rows = connection.execute(BARS_SINCE, (market_id, "1m", start_ms)).fetchall()
    before = connection.execute(CLOSE_BEFORE, (market_id, start_ms)).fetchone()
    return [bar_of_row(row) for row in rows], int(before[0]) if before else 0


def recent_trades(connection: Connection, market_id: int, count: int) -> list[wire.Record]:
    """The market's last `count` settled prints as trade maps, oldest first."""
    rows = connection.execute(RECENT_TRADES, (market_id, count)).fetchall()
    return [
        wire.trade(
            market_id,
            trade_id=trade_id,
            agg_id=agg_id,
            price_ticks=price_ticks,
            lots=lots,
            time_ms=time_ms,
            buyer_maker=not taker_is_buyer,
            seq=seq,
        )
        for trade_id, agg_id, price_ticks, lots, time_ms, taker_is_buyer, seq in reversed(rows)
    ]
