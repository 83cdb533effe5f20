"""A long past for the tables that history is read from: orders, trades and what belongs to them; and its readers.

Rows are a function of their numbers, so that tests know what an answer has to be. Accounts are very unequal: one has
half of everything, one next to nothing. All of them trade in one market and a little in a second one.
"""

import asyncio
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from msgspec import structs
from psycopg_pool import AsyncConnectionPool

from apps.gateway.book import PublicMarket
from apps.gateway.history import History
from apps.gateway.labelled import Labelled
from apps.gateway.markets import Asset, Market
from apps.gateway.ownhistory import OwnHistory
from apps.gateway.pasttrades import PastTrades
from apps.gateway.reads import Reads
from apps.streams.kinds import MarketState
from tests.orders.tape import market_settings

FIRST_MS: Final = 1_790_000_000_000
# Between one trade and the next.
STEP_MS: Final = 500
MARKET: Final = Market(
    **structs.asdict(market_settings()), base=Asset(1, "BTC", "BTC"), quote=Asset(5, "USDT", "USDT"),
    state=MarketState.OPEN, state_seq=1,
)  # fmt: skip
BUSY, QUIET = 1001, 1009

_ORDERS: Final = """
INSERT INTO orders_order (id, market_id, account_id, client_order_id, side, kind, time_in_force, stp_mode, price_ticks,
    quantity_lots, budget_units, display_lots, stop_price_ticks, expires_ms, order_list_id, filled_lots,
    filled_quote_units, prevented_lots, trailing_bips, is_waiting, working_ms, status, reason, created_ms, updated_ms,
    seq)
SELECT n, CASE WHEN n %% 10 = 0 THEN 2 ELSE 1 END, {account}, 'id' || (n %% 1000), 1 + n %% 2, 1, 1, 1, 5000, 10, 0, 0,
       0, 0, CASE WHEN n %% 20 = 1 THEN n WHEN n %% 20 = 2 THEN n - 1 ELSE 0 END,
       CASE WHEN n %% 50 = 0 THEN 0 ELSE 10 END, 100, CASE WHEN n %% 97 = 0 THEN 1 ELSE 0 END, 0, FALSE, 0,
       CASE WHEN n %% 50 = 0 THEN 1 ELSE 3 END, 0,
       %(first)s + n * %(step)s, %(first)s + n * %(step)s, n
  FROM generate_series(%(low)s::bigint, %(high)s) n
"""
# Order n is the maker of print n and the taker of the one before it.
# Every third print belongs to the aggregate of the one before it, and has its time and price.
_TRADES: Final = """
INSERT INTO orders_trade (id, market_id, trade_id, agg_id, maker_order_id, taker_order_id, maker_account_id,
    taker_account_id, price_ticks, quantity_lots, quote_units, taker_is_buyer, taker_fee_units, maker_fee_units,
    time_ms, seq)
SELECT n, CASE WHEN n %% 10 = 0 THEN 2 ELSE 1 END, t, t - t / 3, n, n + 1, {account}, {other}, 5000 + (t - t / 3) %% 7,
       10, 1000, n %% 2 = 0, 1, 1,
       %(first)s + %(step)s * CASE WHEN t %% 3 > 0 THEN n WHEN n %% 10 = 0 THEN n - 10 WHEN n %% 10 = 1 THEN n - 2
                                   ELSE n - 1 END, n
  FROM generate_series(%(low)s::bigint, %(high)s) n,
       LATERAL (SELECT CASE WHEN n %% 10 = 0 THEN n / 10 ELSE n - n / 10 END) AS own(t)
"""
_ACCOUNT: Final = "CASE WHEN {n} %% 2 = 0 THEN 1001 WHEN {n} %% 4001 = 1 THEN 1009 ELSE 1002 + {n} %% 7 END"
_LISTS: Final = """
INSERT INTO orders_orderlist (id, market_id, account_id, client_order_id, kind, order_id_1, order_id_2, order_id_3,
    status, created_ms, updated_ms, seq)
SELECT n, 1, {account}, 'list' || n, 1, n, n + 1, 0, CASE WHEN n %% 50 = 1 THEN 1 ELSE 3 END,
       %(first)s + n * %(step)s, %(first)s + n * %(step)s, n
  FROM generate_series(%(low)s::bigint, %(high)s) n WHERE n %% 20 = 1
"""
_PREVENTED: Final = """
INSERT INTO orders_preventedmatch (id, market_id, prevented_id, taker_order_id, maker_order_id, taker_account_id,
    maker_account_id, price_ticks, prevented_lots, stp_mode, time_ms, seq)
SELECT n, 1, n / 97, n, n - 1, {account}, {account}, 5000, 1, 4, %(first)s + n * %(step)s, n
  FROM generate_series(%(low)s::bigint, %(high)s) n WHERE n %% 97 = 0
"""
_AMENDMENTS: Final = """
INSERT INTO orders_amendment (id, market_id, order_id, account_id, old_quantity_lots, quantity_lots, time_ms, seq)
SELECT n, 1, n - n %% 3, {account}, 20 - n %% 3, 19 - n %% 3, %(first)s + n * %(step)s, n
  FROM generate_series(%(low)s::bigint, %(high)s) n WHERE n %% 20 < 3
"""
_CANDLES: Final = """
INSERT INTO markets_candle (market_id, interval, open_ms, open_ticks, high_ticks, low_ticks, close_ticks, volume_lots,
    quote_units, trades, taker_base_lots, taker_quote_units, first_trade_id, last_trade_id, simulated)
SELECT 1 + n %% 2, i.name, n / 2 * i.ms + %(first)s / i.ms * i.ms, 5000, 5006, 5000, 5001, 120, 12000, 12, 60, 6000, n,
       n, FALSE
  FROM generate_series(0::bigint, %(bars)s) n, (VALUES ('1m', 60000::bigint), ('1h', 3600000)) AS i(name, ms)
"""


def time_ms(number: int) -> int:
    """Of order and trade `number`."""
    return FIRST_MS + number * STEP_MS


def account(n: str = "n") -> str:
    """SQL of the account that row `n` belongs to."""
    return _ACCOUNT.format(n=n)


def fill(connection: psycopg.Connection[Any], size: int, *, low: int = 1) -> None:
    """Rows `low` to `size` of every table, and their statistics."""
    values = {"first": FIRST_MS, "step": STEP_MS, "low": low, "high": size, "bars": size // 4}
    for statement in (_ORDERS, _TRADES, _LISTS, _PREVENTED, _AMENDMENTS):
        connection.execute(statement.format(account=account(), other=account("(n + 1)")), values)
    if low == 1:
        connection.execute(_CANDLES, values)
    connection.execute("ANALYZE")


def fill_fast(connection: psycopg.Connection[Any], size: int, *, low: int) -> None:
    """The same for millions of rows: indexes that are no constraints are made once, afterwards."""
    rows = connection.execute(
        "SELECT indexname, indexdef FROM pg_indexes i WHERE tablename IN ('orders_order', 'orders_trade')"
        " AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conname = i.indexname)"
    ).fetchall()
    for name, _ in rows:
        connection.execute(f"DROP INDEX {name}")  # type: ignore[call-overload]
    connection.execute("SET maintenance_work_mem = '256MB'")
    fill(connection, size, low=low)
    for _, definition in rows:
        connection.execute(definition)
    connection.execute("ANALYZE")


# -- readers ----------------------------------------------------------------------------------------------------------
class Settled:
    """Everything is settled here."""

    async def wait(self, timeout_s: float = 0) -> None:
        return None


class Memory:
    """Public data that a gateway has in memory: nothing, unless a test says so."""

    def __init__(self) -> None:
        self.market = PublicMarket(MARKET.id)

    def known(self, market: Market) -> PublicMarket:
        return self.market

    state = known


class AllMarkets:
    by_id = {1: MARKET, 2: MARKET}


@dataclass(frozen=True, slots=True)
class Past:
    """The gateway's readers over the filled tables."""

    reads: Reads
    own: OwnHistory
    bars: History
    public: PastTrades
    memory: Memory


def readers(pool: AsyncConnectionPool[Any]) -> Past:
    reads, memory = Reads(pool, Settled(), AllMarkets(), "spot", Labelled(asyncio.Event(), int)), Memory()  # type: ignore[arg-type]
    bars, public = History(reads, memory), PastTrades(reads, memory)  # type: ignore[arg-type]
    return Past(reads, OwnHistory(reads), bars, public, memory)
