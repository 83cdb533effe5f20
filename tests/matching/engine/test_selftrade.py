"""T8: self-trade prevention in all its modes, over the whole family; NONE is refused (matching-rules.md 4)."""

from apps.matching.engine import Engine
from apps.streams.events import OrderClosed, PreventedMatch
from apps.streams.kinds import OrderStatus, Reason
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


# -- the other modes --------------------------------------------------------------------------------------------------
BOOK = """
    fund  carol 100000 USDT
    fund  carol 10 BTC
    ask   a1 bob   50000 0.1
    ask   a2 carol 50010 0.2
    ask   a3 bob   50020 0.3
"""


def test_expire_maker_goes_on_behind_the_own_order() -> None:
    play(
        BOOK
        + """
        bid  p1 carol 50020 0.5 stp expire_maker -> trade a1 50000 0.1, prevented a2 0.2, expired_in_match a2 self_trade, trade a3 50020 0.3, rests 0.1
        book                                     -> bids 50020 x 0.1
        balance carol BTC                        -> 10.4 available, 0 held
        balance carol USDT                       -> 74992 available, 5002 held
        """  # noqa: E501
    )


def test_expire_both_ends_both() -> None:
    play(
        BOOK
        + """
        bid  p1 carol 50020 0.5 stp expire_both  -> trade a1 50000 0.1, prevented a2 0.2, expired_in_match a2 self_trade, expired_in_match self_trade
        book                                     -> asks 50020 x 0.3
        balance carol BTC                        -> 10.1 available, 0 held
        balance carol USDT                       -> 95000 available, 0 held
        """  # noqa: E501
    )


def test_decrement_takes_the_smaller_off_both() -> None:
    play(
        BOOK
        + """
        bid  p1 carol 50020 0.8 stp decrement    -> trade a1 50000 0.1, prevented a2 0.2, expired_in_match a2 self_trade, trade a3 50020 0.3, rests 0.2
        balance carol BTC                        -> 10.4 available, 0 held
        balance carol USDT                       -> 69990 available, 10004 held
        sell s1 bob market 0.2                   -> trade p1 50020 0.2, done
        balance carol USDT                       -> 69990 available, 0 held
        """  # noqa: E501
    )


def test_decrement_leaves_the_rest_of_the_own_order_in_its_place() -> None:
    play(
        """
        ask  a1 carol 50000 0.5
        ask  a2 bob   50000 0.5
        bid  p1 carol 50000 0.2 stp decrement    -> prevented a1 0.2, expired_in_match self_trade
        book                                     -> asks 50000 x 0.8
        balance carol BTC                        -> 99.7 available, 0.3 held
        balance carol USDT                       -> 1000000 available, 0 held
        buy  p2 dave market 0.4                  -> trade a1 50000 0.3, trade a2 50000 0.1, done
        balance carol BTC                        -> 99.7 available, 0 held
        """
    )


def test_decrement_ends_both_where_they_are_equal() -> None:
    play(
        """
        ask  a1 carol 50000 0.2
        bid  p1 carol 50000 0.2 stp decrement    -> prevented a1 0.2, expired_in_match a1 self_trade, expired_in_match self_trade
        book                                     -> empty
        balance carol BTC                        -> 100 available, 0 held
        """  # noqa: E501
    )


def test_what_ends_by_a_print_after_a_decrement_is_filled() -> None:
    table = play("ask a1 carol 50000 0.2\nask a2 bob 50000 0.3")
    assert table.ask("bid p1 carol 50000 0.5 stp decrement") == (
        "prevented a1 0.2, expired_in_match a1 self_trade, trade a2 50000 0.3, done"
    )


def test_market_orders_by_quantity() -> None:
    table = play(BOOK)
    assert table.ask("buy p1 carol market 0.5 stp expire_maker").endswith(
        "expired_in_match a2 self_trade, trade a3 50020 0.3, expired no_liquidity"
    )
    table = play(BOOK)
    assert table.ask("buy p1 carol market 0.5 stp decrement") == (
        "trade a1 50000 0.1, prevented a2 0.2, expired_in_match a2 self_trade, trade a3 50020 0.2, done"
    )
    table.play("balance carol USDT -> 84996 available, 0 held")
    table = play("bid b1 carol 50000 0.2\nbid b2 bob 49000 0.1")
    table.play(
        """
        sell s1 carol market 0.25 stp decrement  -> prevented b1 0.2, expired_in_match b1 self_trade, trade b2 49000 0.05, done
        balance carol BTC                        -> 99.95 available, 0 held
        bid  b3 carol 50000 0.2
        sell s2 carol market 0.1 stp decrement   -> prevented b3 0.1, expired_in_match self_trade
        balance carol BTC                        -> 99.95 available, 0 held
        balance carol USDT                       -> 997450 available, 5000 held
        """  # noqa: E501
    )


def test_a_market_buy_must_afford_only_what_would_print() -> None:
    """Behind its own order in EXPIRE_MAKER and DECREMENT, up to it in the others."""
    for mode, cost in (("expire_taker", "5000"), ("expire_both", "5000"), ("expire_maker", "20006"),
                       ("decrement", "15004")):  # fmt: skip
        for short, refused in (("0.01", True), ("0", False)):
            table = play("ask a1 bob 50000 0.1\nask a2 carol 50010 0.1\nask a3 bob 50020 0.3".replace("carol", "head"))
            table.play(f"fund carol {cost} USDT\nfund eve 1 BTC\nfamily carol head")
            if refused:
                table.play(f"withdraw carol {short} USDT")
            answer = table.answer(["buy", "p1", "carol", "market", "0.4", "stp", mode])
            assert (answer == "rejected insufficient_balance") == refused, (mode, short, answer)
            table.engine.validate()


def test_a_budget_falls_by_what_a_decrement_takes() -> None:
    play(
        BOOK
        + """
        buy  p1 carol spend 15002 stp decrement  -> trade a1 50000 0.1, prevented a2 0.2, expired_in_match a2 self_trade, expired_in_match self_trade
        balance carol USDT                       -> 95000 available, 0 held
        buy  p2 carol spend 1000.4 stp decrement -> trade a3 50020 0.02, filled budget_spent
        """  # noqa: E501
    )
    play(
        BOOK
        + """
        buy  p1 carol spend 10001 stp decrement  -> trade a1 50000 0.1, prevented a2 0.1, expired_in_match self_trade
        balance carol USDT                       -> 95000 available, 0 held
        balance carol BTC                        -> 10 available, 0.1 held
        """
    )
    play(
        BOOK
        + """
        buy  p1 carol spend 20003 stp decrement  -> trade a1 50000 0.1, prevented a2 0.2, expired_in_match a2 self_trade, trade a3 50020 0.09998, filled budget_spent
        buy  p2 carol spend 80000 stp decrement  -> trade a3 50020 0.20002, expired no_liquidity
        """  # noqa: E501
    )


def test_a_sell_by_budget_holds_only_what_will_print() -> None:
    play(
        """
        fund  carol 100000 USDT
        fund  carol 0.3 BTC
        bid   b1 bob   50000 0.1
        bid   b2 carol 49000 0.2
        bid   b3 bob   48000 0.3
        sell  s1 carol spend 24400 stp decrement -> trade b1 50000 0.1, prevented b2 0.2, expired_in_match b2 self_trade, trade b3 48000 0.2, filled budget_spent
        balance carol BTC                        -> 0 available, 0 held
        balance carol USDT                       -> 114600 available, 0 held
        """  # noqa: E501
    )


def test_a_decrement_says_what_both_orders_have_left() -> None:
    table = play("family sub carol\nask a1 sub 50000 0.5\nfund carol 1 USDT")
    events = table.place(
        "p1", "carol", side=0, order_kind=1, time_in_force=1, price_ticks=5_000_000, quantity_lots=20_000, stp_mode=4
    )
    prevented = events[1]
    assert isinstance(prevented, PreventedMatch)
    assert (prevented.account_id, prevented.maker_account_id) == (table.accounts["carol"], table.accounts["sub"])
    assert (prevented.taker_side, prevented.prevented_lots) == (0, 20_000)
    assert (prevented.taker_left_lots, prevented.maker_left_lots, prevented.level_lots) == (0, 30_000, 30_000)
    assert (prevented.taker_available, prevented.taker_held) == table.balance("carol", "USDT")
    assert (prevented.maker_available, prevented.maker_held) == table.balance("sub", "BTC")


def test_the_takers_mode_decides() -> None:
    play(
        """
        ask  a1 carol 50000 0.2 stp expire_maker
        bid  p1 carol 50000 0.1                  -> prevented a1 0.1, expired_in_match self_trade
        bid  p2 carol 50000 0.1 stp expire_maker -> prevented a1 0.1, expired_in_match a1 self_trade, rests 0.1
        ask  s1 carol 50000 0.1 stp decrement    -> prevented p2 0.1, expired_in_match p2 self_trade, expired_in_match self_trade
        """  # noqa: E501
    )


def test_a_snapshot_keeps_what_was_taken_off() -> None:
    table = play("ask a1 carol 50000 0.5\nbid p1 carol 50000 0.2 stp decrement")
    table.engine = Engine.restore(table.engine.snapshot())
    table.engine.validate()
    (order,) = table.engine.open_orders()
    assert (order.quantity_lots, order.left_lots, order.prevented_lots) == (50_000, 30_000, 20_000)
