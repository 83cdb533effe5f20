"""T6: only the tip shows, a refill goes to the back of its level, hidden quantity never trades ahead of visible."""

import pytest

from apps.matching.engine import Engine
from apps.streams.events import IcebergRefilled, OrderAccepted, Trade
from apps.streams.kinds import OrderKind, Reason, Side, TimeInForce, TradeFlag
from tests.matching.engine.play import Table, play


def test_only_the_tip_shows_and_everything_is_held() -> None:
    play(
        """
        ask  a1 alice 50000 1 show 0.1     -> rested
        book                               -> asks 50000 x 0.1
        balance alice BTC                  -> 99 available, 1 held
        bid  b1 bob 49000 1 show 0.3       -> rested
        balance bob USDT                   -> 951000 available, 49000 held
        cancel a1                          -> canceled a1
        cancel b1                          -> canceled b1
        balance alice BTC                  -> 100 available, 0 held
        balance bob USDT                   -> 1000000 available, 0 held
        """
    )


def test_a_refill_stands_behind_a_newer_order() -> None:
    play(
        """
        ask  a1 alice 50000 0.25 show 0.1
        ask  a2 bob   50000 0.1
        buy  p1 carol market 0.1           -> trade a1 50000 0.1, done, refill a1 0.1
        book                               -> asks 50000 x 0.2
        buy  p2 carol market 0.15          -> trade a2 50000 0.1, trade a1 50000 0.05, done
        book                               -> asks 50000 x 0.05
        buy  p3 carol market 0.1           -> trade a1 50000 0.05, refill a1 0.05, trade a1 50000 0.05, done
        book                               -> empty
        """
    )


def test_two_icebergs_take_turns() -> None:
    play(
        """
        bid  b1 alice 50000 0.2 show 0.1
        bid  b2 bob   50000 0.3 show 0.1
        sell s1 carol market 0.45 -> trade b1 50000 0.1, refill b1 0.1, trade b2 50000 0.1, refill b2 0.1, trade b1 50000 0.1, trade b2 50000 0.1, refill b2 0.1, trade b2 50000 0.05, done
        book                      -> bids 50000 x 0.05
        """  # noqa: E501
    )


def test_the_incoming_order_trades_with_its_whole_quantity() -> None:
    play(
        """
        ask  a1 alice 50000 0.5
        bid  p1 carol 50000 0.9 show 0.3   -> trade a1 50000 0.5, rests 0.4
        book                               -> bids 50000 x 0.3
        balance carol USDT                 -> 955000 available, 20000 held
        sell s1 bob market 0.35            -> trade p1 50000 0.3, refill p1 0.1, trade p1 50000 0.05, done
        """
    )


def test_the_last_refill_is_what_is_left_and_the_order_ends_when_nothing_is() -> None:
    table = play("ask a1 alice 50000 0.25 show 0.1\nfund carol 90000 USDT")
    events = table.place("p1", "carol", side=Side.BUY, order_kind=OrderKind.MARKET, quantity_lots=25_000)
    trades = [event for event in events if isinstance(event, Trade)]
    assert [trade.maker_left_lots for trade in trades] == [15_000, 5_000, 0]
    assert [trade.level_lots for trade in trades] == [0, 0, 0]
    assert [bool(trade.flags & TradeFlag.MAKER_DONE) for trade in trades] == [False, False, True]
    assert len({trade.agg_id for trade in trades}) == 1
    refills = [event for event in events if isinstance(event, IcebergRefilled)]
    assert [(refill.tip_lots, refill.level_lots) for refill in refills] == [(10_000, 10_000), (5_000, 5_000)]
    assert table.answer(["book"]) == "empty"


def test_a_budget_and_the_cost_of_a_market_buy_see_the_reserve() -> None:
    play(
        """
        ask  a1 alice 50000 0.3 show 0.1
        fund carol 15000 USDT
        buy  p1 carol market 1             -> trade a1 50000 0.1, refill a1 0.1, trade a1 50000 0.1, refill a1 0.1, trade a1 50000 0.1, expired no_liquidity
        bid  b1 alice 40000 0.3 show 0.2
        sell s1 carol spend 12000          -> trade b1 40000 0.2, refill b1 0.1, trade b1 40000 0.1, filled budget_spent
        """  # noqa: E501
    )
    play(
        """
        ask  a1 alice 50000 0.3 show 0.1
        fund carol 14999 USDT
        buy  p1 carol market 1             -> rejected insufficient_balance
        """
    )


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"display_lots": -1}, Reason.MALFORMED),
        ({"display_lots": 10_001}, Reason.MALFORMED),
        ({"display_lots": 2**63 - 1}, Reason.MALFORMED),
        ({"display_lots": 1_000, "time_in_force": TimeInForce.IOC}, Reason.MALFORMED),
        ({"display_lots": 1_000, "time_in_force": TimeInForce.FOK}, Reason.MALFORMED),
        ({"display_lots": 9}, Reason.LOT_SIZE),
        ({"display_lots": 99}, Reason.ICEBERG_PARTS),
    ],
)
def test_refusals(changes: dict[str, int], reason: Reason) -> None:
    table = Table(min_lots=10)
    table.account("alice")
    before = table.state_but_seq()
    order = {
        "side": Side.BUY, "order_kind": OrderKind.LIMIT, "time_in_force": TimeInForce.GTC, "price_ticks": 5_000_000,
        "quantity_lots": 10_000,
    }  # fmt: skip
    (event,) = table.place("n", "alice", **(order | changes))
    assert Reason(event.reason) is reason
    assert table.state_but_seq() == before


def test_a_hundred_parts_and_a_display_of_the_whole_pass() -> None:
    for display_lots, shown in ((100, "0.001"), (10_000, "0.1")):
        table = Table()
        (accepted,) = table.place(
            "n", "alice", side=Side.BUY, order_kind=OrderKind.LIMIT, time_in_force=TimeInForce.GTC,
            price_ticks=5_000_000, quantity_lots=10_000, display_lots=display_lots,
        )  # fmt: skip
        assert isinstance(accepted, OrderAccepted)
        assert accepted.display_lots == display_lots
        assert table.answer(["book"]) == f"bids 50000 x {shown}"


def test_an_iceberg_of_the_family_is_met_again_after_its_refill() -> None:
    play(
        """
        ask  a1 carol 50000 0.3 show 0.1
        ask  a2 bob   50000 0.1
        bid  p1 carol 50000 0.35 stp decrement -> prevented a1 0.1, refill a1 0.1, trade a2 50000 0.1, prevented a1 0.1, refill a1 0.1, prevented a1 0.05, expired_in_match self_trade
        book                                   -> asks 50000 x 0.05
        balance carol BTC                      -> 100.05 available, 0.05 held
        bid  p2 carol 50000 0.35 stp expire_maker -> prevented a1 0.05, expired_in_match a1 self_trade, rests 0.35
        """  # noqa: E501
    )


def test_a_snapshot_keeps_tip_and_reserve() -> None:
    table = play("ask a1 alice 50000 0.25 show 0.1\nbid p1 carol 50000 0.15")
    table.engine = Engine.restore(table.engine.snapshot())
    table.play(
        """
        book                               -> asks 50000 x 0.05
        buy  p2 carol market 0.1           -> trade a1 50000 0.05, refill a1 0.05, trade a1 50000 0.05, done
        """
    )
