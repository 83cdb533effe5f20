"""Cancel by order id, by client id, and all; each answer and each refusal."""

import pytest

from apps.streams.commands import CancelAll, CancelOrder
from apps.streams.events import AllCanceled, CancelRejected, OrderClosed
from apps.streams.kinds import OrderStatus, Reason
from tests.matching.engine.play import MARKET, Table, play

BOOK = """
    bid  b1 alice 50000 0.3 as x1
    bid  b2 alice 49000 0.1 as x2
    ask  a1 bob   51000 0.1
    sell s1 bob market 0.1
"""


def test_a_cancel_releases_what_the_order_still_holds() -> None:
    table = play(BOOK + "balance alice USDT -> 980100 available, 14900 held")
    (event,) = table.send(
        CancelOrder(market_id=MARKET, account_id=table.accounts["alice"], order_id=1, cancel_client_id="why")
    )
    assert isinstance(event, OrderClosed)
    assert (event.status, event.reason) == (OrderStatus.CANCELED, Reason.CANCELED_BY_USER)
    assert (event.quantity_lots, event.filled_lots, event.filled_quote_units) == (30_000, 10_000, 5_000 * 10**8)
    assert (event.client_id, event.cancel_client_id, event.level_lots) == ("x1", "why", 0)
    assert (event.available_units, event.held_units) == (990_100 * 10**8, 4_900 * 10**8)
    table.play("book -> bids 49000 x 0.1, asks 51000 x 0.1")


@pytest.mark.parametrize(
    ("named", "found"),
    [
        ({"order_id": 1}, True),
        ({"client_id": "x1"}, True),
        ({"order_id": 1, "client_id": "x1"}, True),
        ({"order_id": 1, "client_id": "x1", "market_id": MARKET}, True),
        ({"order_id": 1, "client_id": "x2"}, False),
        ({"order_id": 2, "client_id": "x1"}, False),
        ({"order_id": 1, "market_id": 2}, False),
        ({"order_id": 3}, False),  # bob's
        ({"order_id": 4}, False),  # ended
        ({"order_id": 99}, False),
        ({"client_id": "nobody"}, False),
    ],
)
def test_all_that_is_named_must_fit(named: dict[str, object], found: bool) -> None:
    table = play(BOOK)
    before = table.state_but_seq()
    (event,) = table.send(CancelOrder(account_id=table.accounts["alice"], **named))  # type: ignore[arg-type]
    if found:
        assert isinstance(event, OrderClosed)
        assert event.order_id == 1
    else:
        assert isinstance(event, CancelRejected)
        assert event.reason == Reason.UNKNOWN_ORDER
        assert table.state_but_seq() == before
    table.engine.validate()


def test_another_accounts_order_is_unknown() -> None:
    play(BOOK + "cancel b1 by bob -> cancel rejected unknown_order\ncancel b1 -> canceled b1")


def test_a_cancel_without_any_id_is_malformed() -> None:
    table = play(BOOK)
    (event,) = table.send(CancelOrder(account_id=table.accounts["alice"], market_id=MARKET))
    assert isinstance(event, CancelRejected)
    assert event.reason == Reason.MALFORMED


def test_an_account_the_engine_does_not_know_has_no_orders() -> None:
    table = play(BOOK)
    (event,) = table.send(CancelOrder(account_id=5, order_id=1))
    assert isinstance(event, CancelRejected)
    assert event.reason == Reason.UNKNOWN_ORDER
    (event,) = table.send(CancelAll(account_id=5))
    assert isinstance(event, AllCanceled)
    assert event.count == 0


def test_cancel_all_goes_by_ascending_order_id_and_counts() -> None:
    play(
        """
        ask  a1 alice 52000 0.1
        bid  b1 alice 50000 0.1
        bid  b2 bob   50000 0.1
        bid  b3 alice 51000 0.1
        cancel-all alice              -> canceled a1, canceled b1, canceled b3, 3 canceled
        cancel-all alice              -> 0 canceled
        book                          -> bids 50000 x 0.1
        balance alice USDT            -> 1000000 available, 0 held
        balance alice BTC             -> 100 available, 0 held
        """
    )


def test_cancel_all_of_an_unknown_market_is_refused() -> None:
    table = play(BOOK)
    before = table.state_but_seq()
    (event,) = table.send(CancelAll(account_id=table.accounts["alice"], market_id=9))
    assert isinstance(event, CancelRejected)
    assert event.reason == Reason.UNKNOWN_MARKET
    assert table.state_but_seq() == before
    *_, last = table.send(CancelAll(account_id=table.accounts["alice"], market_id=MARKET))
    assert isinstance(last, AllCanceled)
    assert last.count == 2


def test_a_second_cancel_of_the_same_order_is_refused() -> None:
    table = Table()
    table.play("bid b1 alice 50000 0.1\ncancel b1 -> canceled b1\ncancel b1 -> cancel rejected unknown_order")


# -- restrictions -----------------------------------------------------------------------------------------------------
PARKS = {"bid_up_bp": 12_000, "park_outside_band": True}
STATUSES = {
    "new": "bid o1 alice 50000 0.3",
    "new, amended": "bid o1 alice 50000 0.3\namend o1 0.2",
    "new, waits": "sell o1 alice market 0.3 stop 48000",
    "new, an iceberg": "bid o1 alice 50000 0.3 show 0.1",
    "new, lots prevented": "bid o1 alice 50000 0.3\nsell s1 alice market 0.1 stp decrement",
    "new, of a list": "oco - / ask o1 alice 52000 0.1 maker / sell o2 alice market 0.1 stop 48000",
    "partially_filled": "bid o1 alice 50000 0.3\nsell s1 carol market 0.1",
    "partially_filled, amended": "bid o1 alice 50000 0.3\nsell s1 carol market 0.1\namend o1 0.2",
    "partially_filled, an iceberg": "bid o1 alice 50000 0.3 show 0.1\nsell s1 carol market 0.1",
    "partially_filled, at entry": "ask s1 carol 50000 0.1\nbid o1 alice 50000 0.3",
    "pending": "oto - / bid o2 alice 50000 0.1 / ask o1 alice 52000 0.1",
    "parked": "bid o1 alice 90000 0.1",
}


@pytest.mark.parametrize("only", ["new", "partially_filled"])
@pytest.mark.parametrize("status", STATUSES)
def test_a_restricted_cancel_takes_an_order_of_that_status_only(status: str, only: str) -> None:
    table = play(STATUSES[status], **PARKS)
    copy = type(table.engine).restore(table.engine.snapshot())
    before = table.state_but_seq()
    for engine in (table.engine, copy):
        table.engine = engine
        answer = table.ask(f"cancel o1 only {only}")
        if status.split(",")[0] == only:
            assert answer.startswith("canceled o1")
        else:
            assert answer == "cancel rejected cancel_restricted"
            assert table.state_but_seq() == before
            assert table.ask("cancel o1").startswith("canceled o1")
        engine.validate()


@pytest.mark.parametrize("turn", [("pending", "sell s1 carol market 0.1"), ("parked", "review o1 release")])
def test_an_order_that_was_pending_or_parked_is_new_once_it_had_its_turn(turn: tuple[str, str]) -> None:
    table = play(STATUSES[turn[0]], **PARKS)
    table.play(f"cancel o1 only new -> cancel rejected cancel_restricted\n{turn[1]}")
    assert table.ask("cancel o1 only partially_filled") == "cancel rejected cancel_restricted"
    assert table.ask("cancel o1 only new").startswith("canceled o1")


@pytest.mark.parametrize("flags", [3, 4, 128, 255])
def test_a_restriction_that_is_none_is_malformed(flags: int) -> None:
    table = play(BOOK)
    before = table.state_but_seq()
    (event,) = table.send(CancelOrder(account_id=table.accounts["alice"], order_id=1, flags=flags))
    assert isinstance(event, CancelRejected)
    assert event.reason == Reason.MALFORMED
    (event,) = table.send(CancelAll(account_id=table.accounts["alice"], flags=1))
    assert isinstance(event, CancelRejected)
    assert event.reason == Reason.MALFORMED
    assert table.state_but_seq() == before


def test_an_unknown_order_is_unknown_before_it_is_restricted() -> None:
    table = play(BOOK)
    for flags in (1, 2):
        (event,) = table.send(CancelOrder(account_id=table.accounts["alice"], order_id=99, flags=flags))
        assert isinstance(event, CancelRejected)
        assert event.reason == Reason.UNKNOWN_ORDER
