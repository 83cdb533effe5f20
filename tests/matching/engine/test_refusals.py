"""T7: every refusal of an order at entry: its reason, in the order of work, and that nothing else changed."""

from typing import Any

import pytest

from apps.common.amounts import AMOUNT_MAX
from apps.streams.codec import encode_command
from apps.streams.commands import PlaceOrder
from apps.streams.events import OrderRejected
from apps.streams.kinds import OrderKind, Reason, Side, TimeInForce
from tests.matching.engine.play import MARKET, Table

LIMIT = {
    "side": Side.BUY,
    "order_kind": OrderKind.LIMIT,
    "time_in_force": TimeInForce.GTC,
    "price_ticks": 5_000_000,
    "quantity_lots": 10_000,
    "client_id": "x",
}
MARKET_ORDER = {"side": Side.BUY, "order_kind": OrderKind.MARKET, "quantity_lots": 10_000, "client_id": "x"}
BUDGET = {"side": Side.BUY, "order_kind": OrderKind.MARKET, "budget_units": 10**10, "client_id": "x"}
HUGE = 2**63 - 1
LEAST = -(2**63)

MALFORMED = [
    (LIMIT, {"side": 2}),
    (LIMIT, {"side": 255}),
    (LIMIT, {"order_kind": 0}),
    (LIMIT, {"order_kind": 4}),
    (LIMIT, {"order_kind": 255}),
    (LIMIT, {"time_in_force": TimeInForce.NONE}),
    (LIMIT, {"time_in_force": 9}),
    (LIMIT, {"stp_mode": 0}),
    (LIMIT, {"stp_mode": 5}),
    (LIMIT, {"price_ticks": 0}),
    (LIMIT, {"price_ticks": -1}),
    (LIMIT, {"price_ticks": LEAST}),
    (LIMIT, {"quantity_lots": 0}),
    (LIMIT, {"quantity_lots": -1}),
    (LIMIT, {"quantity_lots": LEAST}),
    (LIMIT, {"budget_units": 1}),
    (LIMIT, {"budget_units": -1}),
    (LIMIT, {"display_lots": 10_001}),
    (LIMIT, {"display_lots": -1}),
    (LIMIT, {"display_lots": 1, "time_in_force": TimeInForce.IOC}),
    (LIMIT, {"stop_price_ticks": 1}),
    (LIMIT, {"expires_ms": 1}),
    (LIMIT, {"expires_ms": HUGE, "time_in_force": TimeInForce.FOK}),
    (LIMIT, {"time_in_force": TimeInForce.GTD}),
    (LIMIT, {"time_in_force": TimeInForce.GTD, "expires_ms": LEAST}),
    (LIMIT, {"time_in_force": 5}),
    (LIMIT, {"order_kind": OrderKind.LIMIT_MAKER, "time_in_force": TimeInForce.IOC}),
    (LIMIT, {"order_kind": OrderKind.LIMIT_MAKER, "time_in_force": TimeInForce.FOK}),
    (LIMIT, {"order_kind": OrderKind.LIMIT_MAKER, "time_in_force": TimeInForce.NONE}),
    (LIMIT, {"order_kind": OrderKind.LIMIT_MAKER, "price_ticks": 0}),
    (LIMIT, {"trailing_bips": 1}),
    (LIMIT, {"flags": 1}),
    (LIMIT, {"parts": 2}),
    (MARKET_ORDER, {"price_ticks": 1}),
    (MARKET_ORDER, {"time_in_force": TimeInForce.GTC}),
    (MARKET_ORDER, {"quantity_lots": 0}),
    (MARKET_ORDER, {"quantity_lots": -1}),
    (MARKET_ORDER, {"budget_units": 1}),
    (MARKET_ORDER, {"stp_mode": 0}),
    (MARKET_ORDER, {"display_lots": 1}),
    (MARKET_ORDER, {"expires_ms": HUGE}),
    (BUDGET, {"budget_units": -1}),
    (BUDGET, {"budget_units": LEAST}),
]


def refused(table: Table, order: dict[str, Any], reason: Reason) -> None:
    table.account("alice")
    before = table.state_but_seq()
    (event,) = table.place("n", "alice", **order)
    assert isinstance(event, OrderRejected)
    assert Reason(event.reason) == reason
    assert (event.account_id, event.client_id) == (table.accounts["alice"], order["client_id"])
    assert table.state_but_seq() == before
    table.engine.validate()


@pytest.mark.parametrize(("order", "change"), MALFORMED)
def test_malformed(order: dict[str, Any], change: dict[str, int]) -> None:
    refused(Table(), order | change, Reason.MALFORMED)


@pytest.mark.parametrize(
    ("settings", "order", "change", "reason"),
    [
        ({}, LIMIT, {"market_id": 9}, Reason.UNKNOWN_MARKET),
        ({}, LIMIT, {"settings_version": 0}, Reason.STALE_SETTINGS),
        ({"min_price_ticks": 5_000_001}, LIMIT, {}, Reason.PRICE_FILTER),
        ({}, LIMIT, {"price_ticks": 100_000_001}, Reason.PRICE_FILTER),
        ({}, LIMIT, {"price_ticks": HUGE}, Reason.PRICE_FILTER),
        ({"min_lots": 10_001}, LIMIT, {}, Reason.LOT_SIZE),
        ({"max_lots": 9_999}, LIMIT, {}, Reason.LOT_SIZE),
        ({}, LIMIT, {"quantity_lots": HUGE}, Reason.LOT_SIZE),
        ({"min_lots": 10_001}, MARKET_ORDER, {}, Reason.LOT_SIZE),
        ({"max_lots": 9_999}, MARKET_ORDER, {}, Reason.LOT_SIZE),
        ({"market_max_lots": 9_999}, MARKET_ORDER, {}, Reason.MARKET_LOT_SIZE),
        ({}, MARKET_ORDER, {"quantity_lots": HUGE}, Reason.LOT_SIZE),
        ({"min_notional_units": 5_000 * 10**8 + 1}, LIMIT, {}, Reason.NOTIONAL),
        ({"max_notional_units": 5_000 * 10**8 - 1}, LIMIT, {}, Reason.NOTIONAL),
        # Market orders: at the reference price, here the initial 51,000.
        ({"min_notional_units": 5_100 * 10**8 + 1}, MARKET_ORDER, {}, Reason.NOTIONAL),
        ({"max_notional_units": 5_100 * 10**8 - 1}, MARKET_ORDER, {}, Reason.NOTIONAL),
        ({"min_notional_units": 10**10 + 1}, BUDGET, {}, Reason.NOTIONAL),
        ({"max_notional_units": 10**10 - 1}, BUDGET, {}, Reason.NOTIONAL),
        ({}, BUDGET, {"budget_units": HUGE}, Reason.OVERFLOW),
        (
            {"max_price_ticks": AMOUNT_MAX, "max_lots": AMOUNT_MAX // 1_000},
            LIMIT,
            {"price_ticks": AMOUNT_MAX, "quantity_lots": 1},
            Reason.OVERFLOW,
        ),
        (
            {"max_price_ticks": AMOUNT_MAX, "max_lots": AMOUNT_MAX // 1_000},
            LIMIT,
            {"price_ticks": AMOUNT_MAX, "quantity_lots": AMOUNT_MAX // 1_000},
            Reason.OVERFLOW,
        ),
        ({"max_lots": AMOUNT_MAX // 1_000, "market_max_lots": AMOUNT_MAX // 1_000}, MARKET_ORDER,
         {"quantity_lots": AMOUNT_MAX // 1_000}, Reason.OVERFLOW),
        ({}, LIMIT, {"quantity_lots": 10**9}, Reason.INSUFFICIENT_BALANCE),
        ({}, LIMIT, {"side": Side.SELL, "quantity_lots": 10**9}, Reason.INSUFFICIENT_BALANCE),
        ({}, MARKET_ORDER, {"side": Side.SELL, "quantity_lots": 10**8}, Reason.INSUFFICIENT_BALANCE),
        ({}, BUDGET, {"budget_units": 10**15}, Reason.INSUFFICIENT_BALANCE),
    ],
)  # fmt: skip
def test_refused(settings: dict[str, Any], order: dict[str, Any], change: dict[str, Any], reason: Reason) -> None:
    refused(Table(**settings), order | change, reason)


def test_exactly_at_each_limit_an_order_passes() -> None:
    table = Table(
        min_price_ticks=5_000_000,
        max_price_ticks=5_100_000,
        initial_price_ticks=5_000_000,
        min_lots=10_000,
        max_lots=10_000,
        market_max_lots=10_000,
        min_notional_units=5_000 * 10**8,
        max_notional_units=5_000 * 10**8,
    )
    table.play(
        """
        bid b1 alice 50000 0.1        -> rested
        sell s1 bob market 0.1        -> trade b1 50000 0.1, done
        buy p1 bob spend 5000         -> expired no_liquidity
        """
    )


BANDS = {"bid_down_bp": 2_000, "bid_up_bp": 11_000, "ask_down_bp": 9_000, "ask_up_bp": 50_000}


@pytest.mark.parametrize(
    ("line", "passes"),
    [
        ("bid n alice 10200 0.01", True),
        ("bid n alice 10199.99 0.01", False),
        ("bid n alice 56100 0.01", True),
        ("bid n alice 56100.01 0.01", False),
        ("ask n alice 45900 0.01", True),
        ("ask n alice 45899.99 0.01", False),
        ("ask n alice 255000 0.01", True),
        ("ask n alice 255000.01 0.01", False),
        ("buy n alice market 0.01", True),
        ("sell n alice spend 10", True),
    ],
)
def test_price_band_around_the_initial_price(line: str, passes: bool) -> None:
    table = Table(**BANDS)
    table.account("alice")
    before = table.state_but_seq()
    answer = table.answer(line.split())
    assert (answer != "rejected percent_price") == passes
    if not passes:
        assert table.state_but_seq() == before


def test_after_a_trade_the_band_stands_around_its_price() -> None:
    table = Table(**BANDS)
    table.play(
        """
        ask a1 bob 60000 1
        bid b1 alice 56100.01 0.01    -> rejected percent_price
        buy p1 alice market 0.01      -> trade a1 60000 0.01, done
        bid b1 alice 56100.01 0.01    -> rested
        bid b2 alice 66000 0.01       -> trade a1 60000 0.01, done
        bid b3 alice 66000.01 0.01    -> rejected percent_price
        """
    )


def test_a_buy_at_twice_the_market_is_refused() -> None:
    Table(bid_up_bp=15_000).play("bid b1 alice 102000 0.01 -> rejected percent_price")


def test_open_orders_are_limited_by_account_and_market() -> None:
    Table(max_open_orders=2).play(
        """
        bid  b1 alice 50000 0.1       -> rested
        ask  a1 alice 52000 0.1       -> rested
        bid  b2 alice 50000 0.1       -> rejected max_num_orders
        bid  b3 bob   50000 0.1       -> rested
        buy  p1 alice market 0.1      -> prevented a1 0.1, expired_in_match self_trade
        cancel b1
        bid  b4 alice 50000 0.1       -> rested
        """
    )


def test_an_account_the_engine_does_not_know() -> None:
    table = Table()
    before = table.state_but_seq()
    (event,) = table.send(PlaceOrder(market_id=MARKET, account_id=5, settings_version=1, **LIMIT))
    assert (event.reason, event.account_id) == (Reason.UNKNOWN_ACCOUNT, 5)
    assert table.state_but_seq() == before


@pytest.mark.parametrize("garbage", [b"\xff", b"a\0b", b"\0x", b"\x80" * 36])
def test_a_client_id_that_is_no_text_is_refused_without_it(garbage: bytes) -> None:
    table = Table()
    account_id = table.account("alice")
    frame = bytearray(encode_command(PlaceOrder(market_id=MARKET, account_id=account_id, settings_version=1, **LIMIT)))
    frame[92:128] = garbage.ljust(36, b"\0")
    before = table.state_but_seq()
    (event,) = table.run(bytes(frame))
    assert (event.reason, event.client_id) == (Reason.MALFORMED, "")
    assert table.state_but_seq() == before


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"stop_price_ticks": 1}, Reason.MALFORMED),
        ({"settings_version": 0}, Reason.STALE_SETTINGS),
        ({"client_id": "taken"}, Reason.DUPLICATE_CLIENT_ID),
        ({}, Reason.MARKET_HALTED),
    ],
)
def test_the_first_failing_step_gives_the_reason(wrong: dict[str, Any], reason: Reason) -> None:
    # This order fails everywhere: format, settings, client id, state, filters, band, number of orders, funds.
    table = Table(max_open_orders=1, bid_up_bp=11_000)
    table.play("bid b1 alice 50000 0.1 as taken\nstate HALTED")
    everywhere = LIMIT | {"price_ticks": 200_000_000, "quantity_lots": 2 * 10**9, "client_id": "y"}
    refused(table, everywhere | wrong, reason)


def test_the_later_steps_come_in_their_order() -> None:
    table = Table(max_open_orders=1, bid_up_bp=11_000, max_notional_units=10**15)
    table.play("bid b1 alice 50000 0.1")
    order = LIMIT | {"price_ticks": 200_000_000, "quantity_lots": 2 * 10**9, "client_id": "y"}
    for fix, reason in [
        ({}, Reason.PRICE_FILTER),
        ({"price_ticks": 60_000_00}, Reason.LOT_SIZE),
        ({"quantity_lots": 10**9}, Reason.NOTIONAL),
        ({"quantity_lots": 10**7}, Reason.PERCENT_PRICE),
        ({"price_ticks": 5_000_000}, Reason.MAX_NUM_ORDERS),
    ]:
        order |= fix
        refused(table, order, reason)
    table.play("cancel b1")
    refused(table, order, Reason.INSUFFICIENT_BALANCE)
