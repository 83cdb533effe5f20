"""T8: self-trade prevention EXPIRE_TAKER, over the whole family; NONE is refused (matching-rules.md 4)."""

from apps.streams.kinds import OrderStatus, Reason
from apps.streams.records import OrderClosed, PreventedMatch
from tests.matching.engine.play import play


def test_what_the_taker_filled_before_stands_and_its_rest_expires() -> None:
    play(
        """
        ask  a1 bob   50000 0.1
        ask  a2 alice 50010 0.2
        ask  a3 bob   50020 0.3
        bid  p1 alice 50020 0.5       -> trade a1 50000 0.1, prevented a2 0.2, expired_in_match self_trade
        book                          -> asks 50010 x 0.2 50020 x 0.3
        balance alice USDT            -> 995000 available, 0 held
        balance alice BTC             -> 99.9 available, 0.2 held
        """
    )


def test_market_orders_stop_there_too() -> None:
    play(
        """
        ask  a1 bob   50000 0.1
        ask  a2 alice 50010 0.2
        buy  p1 alice market 0.5      -> trade a1 50000 0.1, prevented a2 0.2, expired_in_match self_trade
        buy  p2 alice spend 5001      -> prevented a2 0.1, expired_in_match self_trade
        bid  b1 alice 49000 0.1
        sell s1 alice market 0.05     -> prevented b1 0.05, expired_in_match self_trade
        sell s2 alice spend 490       -> prevented b1 0.01, expired_in_match self_trade
        balance alice USDT            -> 990100 available, 4900 held
        balance alice BTC             -> 99.9 available, 0.2 held
        """
    )


def test_the_cost_of_a_market_buy_ends_at_the_first_own_order() -> None:
    play(
        """
        fund alice 5000 USDT
        fund alice 1 BTC
        ask  a1 bob   50000 0.1
        ask  a2 alice 50010 0.2
        ask  a3 bob   50020 9
        buy  p1 alice market 5        -> trade a1 50000 0.1, prevented a2 0.2, expired_in_match self_trade
        """
    )


def test_a_family_counts_as_one() -> None:
    play(
        """
        family sub1 head
        family sub2 head
        ask  a1 sub1  50000 0.1       -> rested
        bid  p1 sub2  50000 0.1       -> prevented a1 0.1, expired_in_match self_trade
        bid  p2 head  50000 0.1       -> prevented a1 0.1, expired_in_match self_trade
        bid  p3 carol 50000 0.1       -> trade a1 50000 0.1, done
        """
    )


def test_the_family_changes_only_without_open_orders() -> None:
    play(
        """
        ask  a1 sub 50000 0.1
        family sub head               -> refused account_has_orders
        tier sub 3                    -> applied
        cancel a1
        family sub head               -> applied
        """
    )


def test_prevented_matches_have_dense_ids_and_name_both_orders() -> None:
    table = play("ask a1 alice 50000 0.1")
    for expected_id in (1, 2):
        events = table.place(
            f"p{expected_id}",
            "alice",
            side=0,
            order_kind=1,
            time_in_force=1,
            price_ticks=5_000_000,
            quantity_lots=30_000,
            client_id=f"p{expected_id}",
        )
        _, prevented, closed = events
        assert isinstance(prevented, PreventedMatch)
        assert isinstance(closed, OrderClosed)
        assert prevented.prevented_id == expected_id
        assert (prevented.maker_order_id, prevented.taker_order_id) == (table.orders["a1"], closed.order_id)
        assert (prevented.price_ticks, prevented.prevented_lots) == (5_000_000, 10_000)
        assert (closed.status, closed.reason) == (OrderStatus.EXPIRED_IN_MATCH, Reason.SELF_TRADE)
    assert table.answer(["balance", "alice", "USDT"]) == "1000000 available, 0 held"
