"""User data of two orders that met, which is told to both accounts of the family, and of orders that are parked."""

import dataclasses
from types import SimpleNamespace
from typing import Any, cast

import pytest
from msgspec import structs

from apps.gateway.accountfeed import AccountFeed
from apps.gateway.markets import Asset, Market, Markets
from apps.gateway.replies import order_status, placed
from apps.gateway.told import Listener
from apps.streams.codec import encode_event
from apps.streams.events import (
    Allocated,
    ListChanged,
    OrderAccepted,
    OrderClosed,
    OrderParked,
    OrderRested,
    OrderReviewed,
    OrderTriggered,
    PendingEntered,
    PreventedMatch,
)
from apps.streams.kinds import (
    AcceptedFlag,
    AllocationStep,
    ListKind,
    ListStatus,
    MarketState,
    OrderKind,
    OrderStatus,
    Reason,
    Review,
    Side,
    StpMode,
)
from tests.orders.tape import market_settings

BTC, USDT = SimpleNamespace(id=1, code="BTC"), SimpleNamespace(id=2, code="USDT")
MARKETS = cast(
    Markets,
    SimpleNamespace(
        by_id={1: SimpleNamespace(base=BTC, quote=USDT)}, asset_code=lambda asset_id: {1: "BTC", 2: "USDT"}[asset_id]
    ),
)
TAKER, MAKER = 7, 8


def told(account_id: int, mode: StpMode) -> list[tuple[str, str, str]]:
    """(asset, free, locked) of the positions that the account is told of."""
    feed = AccountFeed(account_id, MARKETS)
    feed.load(0, ())
    messages: list[dict[str, Any]] = []
    feed.listeners.append(Listener(lambda told: messages.extend(told.events), lambda: None))
    numbers = {"taker_available": 5 * 10**8, "taker_held": 10**8, "maker_available": 3 * 10**8, "maker_held": 2 * 10**8}
    feed.on_events(
        [
            PreventedMatch(
                market_id=1, seq=1, cmd_ms=9, cmd_n=0, cmd_index=0, account_id=TAKER, prevented_id=1, taker_order_id=2,
                maker_order_id=1, maker_account_id=MAKER, price_ticks=5, prevented_lots=1, stp_mode=mode,
                taker_side=Side.BUY, **numbers,
            )
        ]
    )  # fmt: skip
    return [(row["a"], row["f"], row["l"]) for message in messages for row in message["B"]]


def test_both_accounts_hear_of_what_was_released() -> None:
    assert told(TAKER, StpMode.DECREMENT) == [("USDT", "5.00000000", "1.00000000")]
    assert told(MAKER, StpMode.DECREMENT) == [("BTC", "3.00000000", "2.00000000")]


def test_the_other_modes_move_no_money() -> None:
    assert told(TAKER, StpMode.EXPIRE_MAKER) == told(MAKER, StpMode.EXPIRE_BOTH) == []


@pytest.mark.parametrize(
    ("step", "side", "assets"),
    [
        (AllocationStep.HELD, Side.BUY, ["USDT"]),
        (AllocationStep.RELEASED, Side.SELL, ["BTC"]),
        (AllocationStep.PREVENTED, Side.SELL, ["BTC"]),
        (AllocationStep.FILLED, Side.BUY, ["BTC", "USDT"]),
    ],
)
def test_a_sub_account_hears_how_a_block_order_moved_its_balances(
    step: AllocationStep, side: Side, assets: list[str]
) -> None:
    feed = AccountFeed(MAKER, MARKETS)
    feed.load(0, ())
    messages: list[dict[str, Any]] = []
    feed.listeners.append(Listener(lambda told: messages.extend(told.events), lambda: None))
    share = Allocated(
        market_id=1, seq=1, cmd_ms=9, cmd_n=0, cmd_index=0, account_id=MAKER, order_id=3, owner_account_id=TAKER,
        trade_id=0, price_ticks=0, quantity_lots=1, fee_units=0, final_lots=2, allocated_lots=1, base_available=10**8,
        base_held=2 * 10**8, quote_available=3 * 10**8, quote_held=4 * 10**8, step=step, side=side,
    )  # fmt: skip
    feed.on_events([share])
    rows = {"BTC": ("1.00000000", "2.00000000"), "USDT": ("3.00000000", "4.00000000")}
    (message,) = messages
    assert [(row["a"], (row["f"], row["l"])) for row in message["B"]] == [(asset, rows[asset]) for asset in assets]


# -- Parked for review ------------------------------------------------------------------------------------------------
REAL = Market(
    **structs.asdict(market_settings()), base=Asset(1, "BTC", "BTC"), quote=Asset(5, "USDT", "USDT"),
    state=MarketState.OPEN, state_seq=1,
)  # fmt: skip
HEAD: dict[str, Any] = {"market_id": 1, "cmd_ms": 9, "cmd_n": 0, "cmd_index": 0, "account_id": TAKER}
PARKED = (
    OrderAccepted(
        **HEAD, seq=1, order_id=4, price_ticks=6_000_000, quantity_lots=10_000, budget_units=0, display_lots=0,
        stop_price_ticks=0, expires_ms=0, available_units=10**8, held_units=6_000 * 10**8, level_lots=0,
        trailing_bips=0, side=Side.BUY, order_kind=1, time_in_force=1, stp_mode=1, client_id="x",
    ),
    OrderParked(
        **HEAD, seq=2, order_id=4, price_ticks=6_000_000, reference_price_ticks=5_000_000, until_ms=10**6, side=Side.BUY
    ),
)  # fmt: skip


def reports(*commands: tuple[Any, ...]) -> list[tuple[str, str, bool]]:
    """(x, X, w) of the execution reports."""
    feed = AccountFeed(TAKER, cast(Markets, SimpleNamespace(by_id={1: REAL}, asset_code=lambda asset_id: "USDT")))
    feed.load(0, ())
    messages: list[dict[str, Any]] = []
    feed.listeners.append(Listener(lambda told: messages.extend(told.events), lambda: None))
    for events in commands:
        feed.on_events(list(events))
    return [(each["x"], each["X"], each["w"]) for each in messages if each["e"] == "executionReport"]


def reviewed(decision: Review) -> OrderReviewed:
    return OrderReviewed(**HEAD, seq=3, order_id=4, decision=decision, relay_seq=1, source=1)


def closed(status: OrderStatus, reason: Reason) -> OrderClosed:
    return OrderClosed(
        **HEAD, seq=4, reason=reason, order_id=4, price_ticks=6_000_000, quantity_lots=10_000, filled_lots=0,
        filled_quote_units=0, available_units=10**8, held_units=0, level_lots=0, status=status, side=Side.BUY,
        order_kind=1, time_in_force=1, client_id="x", cancel_client_id="", stp_mode=1,
    )  # fmt: skip


def test_a_released_order_is_told_as_new_when_it_goes_into_the_book() -> None:
    rested = OrderRested(
        **HEAD, seq=4, order_id=4, price_ticks=6_000_000, left_lots=10_000, level_lots=10_000, side=Side.BUY
    )
    assert reports(PARKED, (reviewed(Review.RELEASE), rested)) == [
        ("NEW", "PENDING_NEW", False), ("NEW", "NEW", True),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("events", "last"),
    [
        ((reviewed(Review.REJECT), closed(OrderStatus.REJECTED, Reason.REJECTED_BY_STAFF)), ("REJECTED", "REJECTED")),
        ((closed(OrderStatus.EXPIRED, Reason.PARK_EXPIRED),), ("EXPIRED", "EXPIRED")),
        ((closed(OrderStatus.CANCELED, Reason.CANCELED_BY_USER),), ("CANCELED", "CANCELED")),
    ],
)
def test_every_other_end_of_a_parked_order(events: tuple[Any, ...], last: tuple[str, str]) -> None:
    assert reports(PARKED, events) == [("NEW", "PENDING_NEW", False), (*last, False)]


def test_the_answer_to_a_parked_order_says_that_it_does_not_work_yet() -> None:
    view = placed([encode_event(event) for event in PARKED], REAL)
    answer = order_status(view, REAL)  # type: ignore[arg-type]
    assert (answer["status"], answer["isWorking"], answer["workingTime"]) == ("PENDING_NEW", False, -1)


# -- A stop that waits and is triggered -------------------------------------------------------------------------------
def test_a_stop_is_told_when_it_is_accepted_and_again_when_it_is_triggered() -> None:
    market = SimpleNamespace(symbol="BTCUSDT", base=BTC, quote=USDT, price=str, quantity=str, quote_units=int.__mul__)
    markets = cast(Markets, SimpleNamespace(by_id={1: market}, asset_code={1: "BTC", 2: "USDT"}.__getitem__))
    feed = AccountFeed(7, markets)
    feed.load(0, ())
    messages: list[dict[str, Any]] = []
    feed.listeners.append(Listener(lambda told: messages.extend(told.events), lambda: None))
    head = {"market_id": 1, "cmd_n": 0, "cmd_index": 0, "account_id": 7, "order_id": 3, "side": Side.SELL}
    accepted = OrderAccepted(
        seq=1, cmd_ms=9, flags=AcceptedFlag.WAITING, price_ticks=48, quantity_lots=5, budget_units=0, display_lots=0,
        stop_price_ticks=49, expires_ms=0, available_units=0, held_units=5, level_lots=0, trailing_bips=100,
        order_kind=OrderKind.STOP_LOSS_LIMIT, time_in_force=1, stp_mode=1, client_id="mine", **head,
    )  # fmt: skip
    triggered = OrderTriggered(
        seq=4, cmd_ms=20, price_ticks=48, stop_price_ticks=49, last_price_ticks=48,
        order_kind=OrderKind.STOP_LOSS_LIMIT, client_id="mine", **head,
    )  # fmt: skip
    feed.on_events([accepted])
    feed.on_events([triggered])
    first, second = (message for message in messages if message["e"] == "executionReport")
    assert [(first[name], second[name]) for name in ("x", "X", "P", "d", "w", "O", "T")] == [
        ("NEW", "NEW"), ("NEW", "NEW"), ("49", "49"), (100, 100), (False, True), (9, 9), (9, 20),
    ]  # fmt: skip
    assert ("W" in first, second["W"]) == (False, 20)
    # Its hold is what it was: no balances are told with the trigger.
    assert [message["e"] for message in messages].count("outboundAccountPosition") == 1


# -- Order lists ------------------------------------------------------------------------------------------------------
def member(order_id: int, flags: int) -> OrderAccepted:
    return OrderAccepted(
        **HEAD, seq=order_id, flags=flags, order_id=order_id, price_ticks=5_000_000, quantity_lots=10, budget_units=0,
        display_lots=0, stop_price_ticks=0, expires_ms=0, available_units=10**8, held_units=5 * 10**8, level_lots=0,
        trailing_bips=0, side=Side.BUY if order_id == 11 else Side.SELL, order_kind=OrderKind.LIMIT,
        time_in_force=1, stp_mode=StpMode.EXPIRE_TAKER, client_id=f"c{order_id}",
    )  # fmt: skip


def changed(seq: int, status: ListStatus) -> ListChanged:
    return ListChanged(
        **HEAD, seq=seq, list_id=11, order_id_1=11, order_id_2=12, order_id_3=0, list_kind=ListKind.OTO,
        status=status, list_client_id="mine",
    )  # fmt: skip


def test_a_list_is_told_behind_the_reports_of_its_orders() -> None:
    feed = AccountFeed(TAKER, cast(Markets, SimpleNamespace(by_id={1: REAL}, asset_code=lambda number: str(number))))
    feed.load(0, ())
    told: list[dict[str, Any]] = []
    feed.listeners.append(Listener(lambda each: told.extend(each.events), lambda: None))
    feed.on_events([changed(10, ListStatus.EXEC_STARTED), member(11, 0), member(12, AcceptedFlag.PENDING)])
    assert [message["e"] for message in told] == [
        "executionReport", "executionReport", "listStatus", "outboundAccountPosition",
    ]  # fmt: skip
    assert [(message["X"], message["g"], message["w"]) for message in told[:2]] == [
        ("NEW", 11, True), ("PENDING_NEW", 11, False),
    ]  # fmt: skip
    listed = told[2]
    assert (listed["g"], listed["c"], listed["l"], listed["L"], listed["C"]) == (
        11, "OTO", "EXEC_STARTED", "EXECUTING", "mine",
    )  # fmt: skip
    assert [(row["i"], row["c"]) for row in listed["O"]] == [(11, "c11"), (12, "c12")]
    assert [row["a"] for row in told[3]["B"]] == ["5"]  # a pending order moves nothing

    told.clear()
    entered = PendingEntered(
        **HEAD, seq=21, order_id=12, list_id=11, price_ticks=5_000_000, available_units=0, held_units=10_000,
        side=Side.SELL, order_kind=OrderKind.LIMIT, client_id="c12",
    )  # fmt: skip
    feed.on_events([changed(20, ListStatus.UPDATED), entered])
    assert [(message["e"], message.get("X")) for message in told] == [
        ("executionReport", "NEW"), ("listStatus", None), ("outboundAccountPosition", None),
    ]  # fmt: skip
    # The dialect's UPDATED is another thing: a client order id was changed.
    assert (told[1]["l"], told[1]["L"]) == ("EXEC_STARTED", "EXECUTING")
    told.clear()
    ends = [
        dataclasses.replace(
            closed(OrderStatus.CANCELED, Reason.CANCELED_BY_USER), seq=seq, order_id=order_id, cancel_client_id=bye
        )
        for seq, order_id, bye in ((31, 11, ""), (32, 12, "bye"))
    ]
    feed.on_events([changed(30, ListStatus.ALL_DONE), *ends])
    assert [(message["x"], message["c"], message["C"]) for message in told if message["e"] == "executionReport"] == [
        ("CANCELED", "bye", "c11"), ("CANCELED", "bye", "c12"),
    ]  # fmt: skip
    assert [(message["l"], message["L"]) for message in told if message["e"] == "listStatus"] == [
        ("ALL_DONE", "ALL_DONE")
    ]
