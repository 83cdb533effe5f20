"""History over a long past: every query is an index range scan in the order of its answer, and the answers are exact.

200,000 orders and trades on real PostgreSQL after ANALYZE; plans are looked at for the parameters as they are and for
any parameters, since a statement that is repeated gets a plan for all of them.
"""

import itertools
import json
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from psycopg_pool import AsyncConnectionPool

from apps.gateway.database import INDEX_ORDER
from tests.gateway.filled import BUSY, FIRST_MS, MARKET, QUIET, Past, fill, readers, time_ms

SIZE = 200_000
DATABASE = "history_tests"
HOUR = 3_600_000


@pytest.fixture(scope="module")
def dsn(postgres: str, migrated: str) -> Iterator[str]:
    with psycopg.connect(postgres, autocommit=True) as owner:
        owner.execute(f"DROP DATABASE IF EXISTS {DATABASE}")
        owner.execute(f"CREATE DATABASE {DATABASE} TEMPLATE {migrated}")
        filled = make_conninfo(postgres, dbname=DATABASE)
        with psycopg.connect(filled, autocommit=True) as connection:
            fill(connection, SIZE)
        yield filled
        owner.execute(f"DROP DATABASE {DATABASE} WITH (FORCE)")


@pytest.fixture
def asked() -> list[tuple[str, Any]]:
    """Statements that were executed, with their parameters."""
    return []


@pytest.fixture
async def past(dsn: str, asked: list[tuple[str, Any]]) -> Any:
    class Cursor(psycopg.AsyncCursor[Any]):
        async def execute(self, query: Any, params: Any = None, **options: Any) -> Any:
            asked.append((query, params))
            return await super().execute(query, params, **options)

    pool: AsyncConnectionPool[Any] = AsyncConnectionPool(
        dsn,
        min_size=1,
        max_size=2,
        open=False,
        kwargs={"autocommit": True, "cursor_factory": Cursor, "options": INDEX_ORDER},
    )
    async with pool:
        yield readers(pool)


async def ask_everything(past: Past) -> None:
    """Every list that an endpoint can ask for, in each of its forms, for a busy account and a quiet one."""
    middle = SIZE // 2
    times = ((None, None), (time_ms(middle), None), (None, time_ms(middle)), (time_ms(middle), time_ms(middle) + HOUR))
    for account in (BUSY, QUIET):
        for start, end in times:
            await past.reads.all_orders(account, MARKET, from_id=None, start_ms=start, end_ms=end, limit=500)
            await past.reads.all_lists(account, from_id=None, start_ms=start, end_ms=end, limit=500)
            await past.own.trades(account, MARKET, order_id=None, from_id=None, start_ms=start, end_ms=end, limit=500)
        await past.reads.all_orders(account, MARKET, from_id=middle, start_ms=None, end_ms=None, limit=500)
        await past.reads.all_lists(account, from_id=middle, start_ms=None, end_ms=None, limit=500)
        await past.reads.open_lists(account)
        await past.reads.open_orders(account, MARKET)
        await past.reads.open_orders(account, None)
        for from_id in (None, middle):
            await past.own.trades(
                account, MARKET, order_id=None, from_id=from_id, start_ms=None, end_ms=None, limit=500
            )
            await past.own.trades(
                account, MARKET, order_id=middle + 2, from_id=from_id, start_ms=None, end_ms=None, limit=500
            )
        await past.own.prevented_match(account, MARKET, middle // 97)
        await past.own.prevented_matches_of(account, MARKET, 97 * 1000, from_id=0, limit=500)
        await past.own.amendments(60_000, None, 500)
    # Ids that the client chose, the same ones again and again.
    order = (await past.reads.all_orders(BUSY, MARKET, from_id=middle, start_ms=None, end_ms=None, limit=1))[0]
    await past.reads.order(BUSY, MARKET, None, order.client_id)
    await past.reads.order(BUSY, MARKET, order.order_id, None)
    await past.own.filled_before(order.order_id, SIZE)
    assert await past.reads.order_with_fills(BUSY, order.order_id) is not None
    assert await past.reads.order_list(1002 + 21 % 7, None, "list21") is not None
    await past.public.recent_trades(MARKET, 500)
    await past.public.recent_aggregates(MARKET, 500)
    await past.public.trades(MARKET, middle, 500)
    for start, end in times[1:]:
        await past.public.aggregates(MARKET, from_id=None, start_ms=start, end_ms=end, limit=500)
    await past.public.aggregates(MARKET, from_id=middle, start_ms=None, end_ms=None, limit=500)
    for interval in ("1m", "1h"):
        for start, end in times:
            await past.bars.klines(MARKET, interval, start_ms=start, end_ms=end, limit=500, now_ms=time_ms(SIZE))


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from nodes(part)


def faults(plan: dict[str, Any]) -> list[str]:
    """What is not a range or a point of an index, read in its order."""
    found = list(nodes(plan))
    scans = [node for node in found if "Relation Name" in node]
    wrong = [node["Node Type"] for node in found if "Sort" in node["Node Type"] or "Hash" in node["Node Type"]]
    wrong += [
        f"{node['Node Type']} of {node['Relation Name']}" for node in scans
        if node["Node Type"] not in ("Index Scan", "Index Only Scan") or "Index Cond" not in node
    ]  # fmt: skip
    return wrong if scans else ["no table"]


@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
async def test_every_query_is_an_index_range_scan(
    past: Past, asked: list[tuple[str, Any]], dsn: str, mode: str
) -> None:
    await ask_everything(past)
    different = dict(asked)
    assert len(different) >= 30
    options = f"{INDEX_ORDER} -c plan_cache_mode={mode}".strip()
    with psycopg.connect(dsn, autocommit=True, prepare_threshold=0, options=options) as connection:
        plans = {}
        for query, params in different.items():
            row = connection.execute(f"EXPLAIN (FORMAT JSON) {query}", params).fetchone()
            assert row is not None
            plans[query] = row[0][0]["Plan"]
    wrong = {query: found for query, plan in plans.items() if (found := faults(plan))}
    assert not wrong, json.dumps(wrong, indent=1)


def test_a_scan_or_a_sort_would_be_found() -> None:
    """What the check is for, in the form in which PostgreSQL tells it."""
    scan = {"Node Type": "Index Scan", "Relation Name": "t", "Index Cond": "(id > 1)"}
    assert faults({"Node Type": "Limit", "Plans": [scan]}) == []
    for node, fault in (
        ({"Node Type": "Sort", "Plans": [scan]}, "Sort"),
        ({"Node Type": "Incremental Sort", "Plans": [scan]}, "Incremental Sort"),
        ({"Node Type": "Hash Join", "Plans": [scan]}, "Hash Join"),
        ({"Node Type": "Seq Scan", "Relation Name": "t"}, "Seq Scan of t"),
        ({"Node Type": "Bitmap Heap Scan", "Relation Name": "t", "Recheck Cond": "(id > 1)"}, "Bitmap Heap Scan of t"),
        # The whole of an index.
        ({"Node Type": "Index Scan", "Relation Name": "t", "Filter": "(id > 1)"}, "Index Scan of t"),
    ):
        assert faults({"Node Type": "Limit", "Plans": [node]}) == [fault]
    assert faults({"Node Type": "Result"}) == ["no table"]


@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
async def test_of_one_order_only_its_own_trades_are_read(
    past: Past, asked: list[tuple[str, Any]], dsn: str, mode: str
) -> None:
    """However much its account traded while it was open: row by row, what the index names is what is answered."""
    await ask_about_one_order(past, BUSY, SIZE // 2 + 2)
    options = f"{INDEX_ORDER} -c plan_cache_mode={mode}".strip()
    # Where a time begins is found by single look-ups, which the other test looks at.
    of_trades = [(query, params) for query, params in asked if "_order_id = %s" in query and "orders_trade" in query]
    assert len(of_trades) >= 6
    with psycopg.connect(dsn, autocommit=True, prepare_threshold=0, options=options) as connection:
        for query, params in of_trades:
            row = connection.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {query}", params).fetchone()
            assert row is not None
            plan = row[0][0]["Plan"]
            scans = [node for node in nodes(plan) if node.get("Relation Name") == "orders_trade"]
            assert scans
            assert not faults(plan), query
            for scan in scans:
                assert "order_id = " in scan["Index Cond"], (query, scan)
                assert scan["Actual Rows"] <= 1, "each order has one print on each side"
                assert scan.get("Rows Removed by Filter", 0) <= 1


async def ask_about_one_order(past: Past, account: int, order_id: int) -> None:
    every: dict[str, Any] = {"order_id": order_id, "from_id": None, "start_ms": None, "end_ms": None, "limit": 500}
    for bounds in ({}, {"from_id": 1}, {"start_ms": time_ms(order_id - 1), "end_ms": time_ms(order_id)}):
        found = await past.own.trades(account, MARKET, **{**every, **bounds})
        assert [(trade.order_id, trade.is_maker) for trade in found] == [(order_id, False), (order_id, True)]
    [newest] = await past.own.trades(account, MARKET, **{**every, "limit": 1})
    assert newest.is_maker
    assert await past.own.trades(account + 1, MARKET, **every) == [], "nobody else's order"
    await past.own.filled_before(order_id, SIZE)
    assert await past.reads.order_with_fills(account, order_id) is not None


async def test_lists_by_time_id_and_limit(past: Past) -> None:
    """Most recent without a bound, from a bound upward with one, oldest first, nothing of anybody else."""
    orders = past.reads.all_orders
    mine = [n for n in range(2, SIZE + 1, 2) if n % 10]
    assert [
        view.order_id for view in await orders(BUSY, MARKET, from_id=None, start_ms=None, end_ms=None, limit=5)
    ] == mine[-5:]
    middle = mine[len(mine) // 2]
    for bounds, expected in (
        ({"from_id": middle}, [n for n in mine if n >= middle][:5]),
        ({"start_ms": time_ms(middle)}, [n for n in mine if n >= middle][:5]),
        ({"start_ms": time_ms(middle) + 1}, [n for n in mine if n > middle][:5]),
        ({"end_ms": time_ms(middle)}, [n for n in mine if n <= middle][-5:]),
        ({"end_ms": time_ms(middle) - 1}, [n for n in mine if n < middle][-5:]),
        ({"start_ms": time_ms(middle), "end_ms": time_ms(middle + 4)}, [n for n in mine if middle <= n <= middle + 4]),
        ({"start_ms": time_ms(SIZE) + 1}, []), ({"end_ms": FIRST_MS}, []), ({"from_id": SIZE + 1}, []),
    ):  # fmt: skip
        values: dict[str, Any] = {"from_id": None, "start_ms": None, "end_ms": None, "limit": 5, **bounds}
        assert [view.order_id for view in await orders(BUSY, MARKET, **values)] == expected, bounds
        if "from_id" not in bounds:
            lists = await past.reads.all_lists(QUIET, **values)
            assert [view.list_id for view, _ in lists] == sorted(view.list_id for view, _ in lists)


async def test_trades_of_both_sides(past: Past) -> None:
    """Every second order is the busy account's, so it is the maker of one trade and the taker of the next."""

    def trade_id(n: int) -> int:
        return n - n // 10

    mine = [(trade_id(n), n % 2 == 0) for n in range(1, SIZE + 1) if n % 10]
    every: dict[str, Any] = {"order_id": None, "from_id": None, "start_ms": None, "end_ms": None, "limit": 6}
    found = await past.own.trades(BUSY, MARKET, **every)
    assert [(trade.trade_id, trade.is_maker) for trade in found] == mine[-6:]
    middle = trade_id(SIZE // 2 + 1)
    upward = [row for row in mine if row[0] >= middle][:6]
    found = await past.own.trades(BUSY, MARKET, **{**every, "from_id": middle})
    assert [(trade.trade_id, trade.is_maker) for trade in found] == upward
    order = SIZE // 2 + 2
    found = await past.own.trades(BUSY, MARKET, **{**every, "order_id": order})
    assert [(t.trade_id, t.is_maker) for t in found] == [(trade_id(order - 1), False), (trade_id(order), True)]
    for bounds in ({"order_id": order, "from_id": trade_id(order) + 1}, {"order_id": SIZE + 5}):
        assert await past.own.trades(BUSY, MARKET, **{**every, **bounds}) == []


async def test_aggregates_are_whole_from_either_end(past: Past) -> None:
    last = SIZE - SIZE // 10
    aggregates = past.public.aggregates
    for end, start in ((time_ms(SIZE), None), (None, time_ms(SIZE - 3000))):
        found = await aggregates(MARKET, from_id=None, start_ms=start, end_ms=end, limit=1000)
        assert len(found) == 1000
        for one, following in itertools.pairwise(found):
            assert (following["a"], following["f"]) == (one["a"] + 1, one["l"] + 1)
        assert all(each["q"] == 10 * (each["l"] - each["f"] + 1) for each in found)
        assert {each["l"] - each["f"] for each in found} == {0, 1}
    assert (await aggregates(MARKET, from_id=None, start_ms=None, end_ms=time_ms(SIZE), limit=3))[-1]["l"] == last
    first = await aggregates(MARKET, from_id=5, start_ms=None, end_ms=None, limit=3)
    assert [each["a"] for each in first] == [5, 6, 7]
    assert await aggregates(MARKET, from_id=last, start_ms=None, end_ms=None, limit=3) == []
    assert await past.public.recent_aggregates(MARKET, 4) == await aggregates(
        MARKET, from_id=None, start_ms=None, end_ms=time_ms(SIZE), limit=4
    )


async def test_recent_trades_come_from_the_tables_where_memory_is_short(past: Past) -> None:
    last = SIZE - SIZE // 10
    trades = past.public.recent_trades
    assert [each["id"] for each in await trades(MARKET, 3)] == [last - 2, last - 1, last]
    memory = past.memory.market.trades
    memory.extend({"id": last + n, "p": 5000, "q": 1, "T": time_ms(SIZE) + n, "bm": False} for n in (1, 2))
    assert [each["id"] for each in await trades(MARKET, 4)] == [last - 1, last, last + 1, last + 2]
    assert [each["id"] for each in await trades(MARKET, 2)] == [last + 1, last + 2]
    assert [each["id"] for each in await past.public.trades(MARKET, last, 10)] == [last, last + 1, last + 2]
    # A gap between the tables and memory is never shown as if it were none.
    memory.clear()
    memory.append({"id": last + 5, "p": 5000, "q": 1, "T": time_ms(SIZE) + 5, "bm": False})
    assert [each["id"] for each in await past.public.trades(MARKET, last, 10)] == [last]


async def test_answers_stay_the_same_while_trades_follow(past: Past, dsn: str) -> None:
    middle = SIZE // 2
    every: dict[str, Any] = {"order_id": None, "from_id": None, "start_ms": None, "end_ms": None, "limit": 500}

    async def answers() -> list[Any]:
        return [
            await past.own.trades(BUSY, MARKET, **{**every, "from_id": middle}),
            await past.own.trades(BUSY, MARKET, **{**every, "start_ms": time_ms(middle)}),
            await past.own.trades(BUSY, MARKET, **{**every, "end_ms": time_ms(middle)}),
            await past.own.trades(BUSY, MARKET, **{**every, "order_id": middle + 2}),
            await past.reads.all_orders(BUSY, MARKET, from_id=middle, start_ms=None, end_ms=None, limit=500),
            await past.public.aggregates(MARKET, from_id=None, start_ms=None, end_ms=time_ms(middle), limit=500),
            await past.public.aggregates(MARKET, from_id=middle, start_ms=None, end_ms=None, limit=500),
            await past.public.trades(MARKET, middle, 500),
        ]

    before = await answers()
    with psycopg.connect(dsn) as connection:
        fill(connection, SIZE + 2_000, low=SIZE + 1)
        connection.commit()
    try:
        assert await answers() == before
        [newest] = await past.own.trades(BUSY, MARKET, **{**every, "limit": 1})
        assert newest.trade_id > SIZE - SIZE // 10
    finally:
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute("SET session_replication_role = replica")
            for table in ("orders_order", "orders_trade", "orders_orderlist", "orders_amendment"):
                connection.execute(f"DELETE FROM {table} WHERE id > {SIZE}")
            connection.execute(f"DELETE FROM orders_preventedmatch WHERE id > {SIZE}")
