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
