"""What pages read of an account."""

from apps.orders import selectors
from apps.streams.kinds import OrderStatus, Reason, Side, StpMode
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


def test_prevented_matches_are_found_by_account_order_and_id(recorded: Recorded) -> None:
    tape = recorded.tape
    recorded.fund(ALICE, usdt=300_000, btc=1)
    recorded.fund(BOB, btc=2)
    tape.accept(1, ALICE, Side.BUY, 5_000_000, 50_000)
    tape.accept(2, ALICE, Side.SELL, 5_000_000, 20_000)
    tape.prevent(1, 2, 20_000, StpMode.EXPIRE_TAKER)
    tape.close(2, OrderStatus.EXPIRED_IN_MATCH, Reason.SELF_TRADE)
    tape.accept(3, BOB, Side.SELL, 5_000_000, 30_000)
    tape.prevent(1, 3, 30_000, StpMode.DECREMENT)
    recorded.settle()

    def ids(**query: int) -> list[int]:
        return [row.prevented_id for row in selectors.prevented_matches(market_id=MARKET, **query)]

    assert ids(account_id=ALICE) == [1, 2]
    assert ids(account_id=BOB) == [2]
    assert ids(account_id=CAROL) == []
    assert ids(account_id=ALICE, order_id=2) == [1]
    assert ids(account_id=ALICE, order_id=1) == [1, 2]
    assert ids(account_id=BOB, order_id=1) == []
    assert ids(account_id=ALICE, prevented_id=2) == [2]
    assert ids(account_id=ALICE, from_prevented_id=2) == [2]
    assert ids(account_id=ALICE, limit=1) == [1]
    assert selectors.prevented_matches(account_id=ALICE, market_id=2) == []
    first, second = selectors.prevented_matches(account_id=ALICE, market_id=MARKET)
    assert (first.taker_order_id, first.maker_order_id, first.taker_account_id, first.maker_account_id) == (
        2, 1, ALICE, ALICE,
    )  # fmt: skip
    assert (second.price_ticks, second.prevented_lots, second.stp_mode) == (5_000_000, 30_000, StpMode.DECREMENT)
    assert first.time_ms < second.time_ms or first.seq < second.seq
