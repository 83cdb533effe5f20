"""Conditional orders that are refused at entry (T5, T7)."""

from typing import Any

import pytest

from apps.common.amounts import AMOUNT_MAX
from tests.matching.engine.examples import CONDITIONAL_BOOK as BOOK
from tests.matching.engine.play import Table, play

STOP: dict[str, Any] = {"side": 1, "order_kind": 4, "quantity_lots": 1_000, "stop_price_ticks": 4_900_000}
STOP_LIMIT: dict[str, Any] = STOP | {"order_kind": 5, "time_in_force": 1, "price_ticks": 4_900_000}


@pytest.mark.parametrize(
    "fields",
    [
        STOP | {"stop_price_ticks": 0},
        STOP | {"stop_price_ticks": -1},
        STOP | {"stop_price_ticks": -5, "trailing_bips": 100},
        STOP | {"quantity_lots": 0},
        STOP | {"quantity_lots": -1},
        STOP | {"budget_units": 10**9},
        STOP | {"quantity_lots": 0, "budget_units": 10**9},
        STOP | {"price_ticks": 4_900_000},
        STOP | {"time_in_force": 1},
        STOP | {"display_lots": 10},
        STOP | {"expires_ms": 2 * 10**12},
        STOP_LIMIT | {"price_ticks": 0},
        STOP_LIMIT | {"stop_price_ticks": 0},
        STOP_LIMIT | {"time_in_force": 0},
        STOP_LIMIT | {"time_in_force": 4},
        STOP_LIMIT | {"time_in_force": 2, "display_lots": 100},
        STOP_LIMIT | {"display_lots": 1_001},
        STOP_LIMIT | {"expires_ms": 2 * 10**12},
        STOP_LIMIT | {"budget_units": 1},
        STOP_LIMIT | {"order_kind": 1},
        STOP_LIMIT | {"order_kind": 3},
        STOP_LIMIT | {"order_kind": 1, "stop_price_ticks": 0, "trailing_bips": 100},
        STOP | {"order_kind": 2},
        STOP | {"order_kind": 8},
    ],
)
def test_malformed(fields: dict[str, Any]) -> None:
    table = play(BOOK)
    table.account("alice")
    before = table.state_but_seq()
    assert table.words(table.place("s1", "alice", **fields)) == "rejected malformed"
    assert table.state_but_seq() == before


@pytest.mark.parametrize(
    ("change", "order", "reason"),
    [
        ("max_price_ticks 6000000", "buy s1 alice market 0.1 stop 60000.01", "price_filter"),
        ("min_price_ticks 4900000", "sell s1 alice market 0.1 stop 48999.99", "price_filter"),
        ("min_price_ticks 4900000", "ask s1 alice 48000 0.1 stop 49100", "price_filter"),
        ("min_lots 2000", "sell s1 alice market 0.01 stop 49000", "lot_size"),
        ("market_max_lots 2000", "sell s1 alice market 0.1 stop 49000", "market_lot_size"),
        ("min_notional_units 490000000001", "sell s1 alice market 0.1 stop 49000", "notional"),
        ("max_notional_units 520000000000", "buy s1 alice market 0.1 stop 52000.01", "notional"),
        ("min_lots 2000", "ask s1 alice 48000 0.1 show 0.01 stop 49000", "lot_size"),
        ("max_open_orders 6", "ask s1 alice 48000 200 stop 49000", "insufficient_balance"),
        ("max_open_orders 6", "buy s1 alice market 20 stop 52000", "insufficient_balance"),
        ("max_open_orders 6", "sell s1 alice market 100.00001 stop 50000", "insufficient_balance"),
        ("max_open_orders 6", "sell s1 alice market 100 stop 50000", "would_trigger"),
    ],
)
def test_the_later_steps_come_in_their_order(change: str, order: str, reason: str) -> None:
    table = play(BOOK)
    table.account("alice")
    assert table.ask(f"set {change}") == "applied"
    before = table.state_but_seq()
    assert table.ask(order) == f"rejected {reason}"
    assert table.state_but_seq() == before


def test_a_hold_that_is_no_amount_is_refused() -> None:
    table = Table(max_price_ticks=AMOUNT_MAX, max_lots=10**9, market_max_lots=10**9, conditional_buffer_bp=10_000)
    table.account("alice")
    stop = AMOUNT_MAX // 10 // 1_000  # its notional is an amount, twice that is not
    events = table.place("s1", "alice", side=0, order_kind=4, quantity_lots=1_000, stop_price_ticks=stop)
    assert table.words(events) == "rejected overflow"


def test_the_number_of_conditional_orders_is_limited_by_account_and_market() -> None:
    table = play(BOOK)
    table.play(
        """
        set  max_conditional_orders 2
        sell s1 alice market 0.1 stop 49500     -> waits
        sell s2 alice market 0.1 stop 49000     -> waits
        sell s3 alice market 0.1 stop 49000     -> rejected max_num_algo_orders
        sell s4 bob   market 0.1 stop 49000     -> waits
        sell q  erin  market 0.1 -> trade d1 49500 0.1, done, triggered s1, trade d1 49500 0.1 by s1, done s1
        sell s5 alice market 0.1 stop 49000     -> waits
        cancel s5                               -> canceled s5
        sell s6 alice market 0.1 stop 49000     -> waits
        set  max_conditional_orders 0 max_open_orders 3
        sell s7 alice market 0.1 stop 49000     -> waits
        sell s8 alice market 0.1 stop 49000     -> rejected max_num_orders
        """
    )
