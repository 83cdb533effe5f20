"""What pages read of an account."""

from apps.orders import selectors
from apps.streams.kinds import OrderStatus, Reason
from tests.orders.recorded import ALICE, BOB, CAROL, Recorded
from tests.orders.tape import BTC, MARKET, USDT
from tests.orders.test_settlement import play_t2


def test_an_account_sees_its_own_and_only_that(recorded: Recorded) -> None:
    play_t2(recorded)
    recorded.tape.close(3, OrderStatus.CANCELED, Reason.CANCELED_BY_USER)
    position = recorded.settle()
    assert selectors.settled_seq("spot") == position.seq
    assert selectors.settled_seq("another") == 0
    assert [row.asset_id for row in selectors.balances(account_id=ALICE)] == [BTC, USDT]
    assert selectors.balances(account_id=CAROL) == []
    assert [row.id for row in selectors.open_orders(account_id=ALICE)] == [2]
    assert [row.id for row in selectors.open_orders(account_id=ALICE, market_id=MARKET)] == [2]
    assert selectors.open_orders(account_id=ALICE, market_id=2) == []
    assert [row.id for row in selectors.order_history(account_id=ALICE)] == [3, 2, 1]
    assert [row.id for row in selectors.order_history(account_id=ALICE, market_id=MARKET, before_id=3, limit=1)] == [2]
    assert selectors.order_history(account_id=CAROL) == []


def test_trades_from_both_sides(recorded: Recorded) -> None:
    play_t2(recorded)
    recorded.settle()
    second, first = selectors.own_trades(account_id=ALICE, market_id=MARKET)
    assert [(own.trade.trade_id, own.order_id, own.is_buyer, own.is_maker) for own in (first, second)] == [
        (1, 1, True, True), (2, 2, True, True),
    ]  # fmt: skip
    assert (first.fee_units, second.fee_units) == (40_000, 16_000)
    (sold,) = selectors.own_trades(account_id=BOB, market_id=MARKET, before_trade_id=2)
    assert (sold.order_id, sold.is_buyer, sold.is_maker, sold.fee_units) == (4, False, False, 25_47500000)
    assert selectors.own_trades(account_id=BOB, market_id=MARKET, limit=1)[0].trade.trade_id == 2
    assert selectors.own_trades(account_id=BOB, market_id=2) == []
