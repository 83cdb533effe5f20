"""T1 and T2: price-time priority, prints at the maker's price, a limit never trades beyond its price."""

import pytest

from apps.streams.events import Trade
from tests.matching.engine.play import play

BIDS = """
    bid   b1  alice  50950  0.5   -> rested
    bid   b2  bob    50940  1.0   -> rested
    bid   b3  bob    50930  2.5   -> rested
"""
ASKS = """
    ask   a1  dave   51000  1.2   -> rested
    ask   a2  erin   51100  0.8   -> rested
    ask   a3  erin   51200  0.3   -> rested
"""


def test_market_sell_takes_the_best_bids_to_the_last_digit() -> None:
    play(
        BIDS
        + ASKS
        + """
        sell  s1  carol  market 0.7   -> trade b1 50950 0.5, trade b2 50940 0.2, done
        book                          -> bids 50940 x 0.8 50930 x 2.5, asks 51000 x 1.2 51100 x 0.8 51200 x 0.3
        last                          -> 50940
        balance carol USDT            -> 1035663 available, 0 held
        balance carol BTC             -> 99.3 available, 0 held
        balance alice BTC             -> 100.5 available, 0 held
        balance alice USDT            -> 974525 available, 0 held
        balance bob   BTC             -> 100.2 available, 0 held
        balance bob   USDT            -> 821735 available, 168077 held
        """
    )


def test_the_same_with_fees_out_of_what_each_party_receives() -> None:
    play(
        "fees 1000:1000"
        + BIDS
        + """
        sell  s1  carol  market 0.7   -> trade b1 50950 0.5, trade b2 50940 0.2, done
        balance carol USDT            -> 1035627.337 available, 0 held
        balance carol BTC             -> 99.3 available, 0 held
        balance alice BTC             -> 100.4995 available, 0 held
        balance bob   BTC             -> 100.1998 available, 0 held
        balance bob   USDT            -> 821735 available, 168077 held
        fees-of USDT                  -> 35.663
        fees-of BTC                   -> 0.0007
        """
    )


def test_limit_sell_at_the_best_bid_prints_there_and_rests_the_remainder() -> None:
    play(
        BIDS
        + """
        ask   s1  carol  50950  0.7   -> trade b1 50950 0.5, rests 0.2
        book                          -> bids 50940 x 1 50930 x 2.5, asks 50950 x 0.2
        balance carol BTC             -> 99.3 available, 0.2 held
        balance carol USDT            -> 1025475 available, 0 held
        """
    )


@pytest.mark.parametrize("price", ["50940", "50935", "50000", "1"])
def test_limit_sell_below_the_second_bid_prints_both(price: str) -> None:
    play(
        BIDS
        + f"""
        ask   s1  carol  {price}  0.7 -> trade b1 50950 0.5, trade b2 50940 0.2, done
        book                          -> bids 50940 x 0.8 50930 x 2.5
        balance carol USDT            -> 1035663 available, 0 held
        """
    )


def test_limit_buy_fills_at_the_lowest_ask_first_and_gets_the_difference_back_at_once() -> None:
    play(
        ASKS
        + """
        bid   p1  carol  51100  1.5   -> trade a1 51000 1.2, trade a2 51100 0.3, done
        balance carol USDT            -> 923470 available, 0 held
        balance carol BTC             -> 101.5 available, 0 held
        book                          -> asks 51100 x 0.5 51200 x 0.3
        """
    )


def test_what_a_limit_buy_cannot_fill_rests_and_holds_its_own_price() -> None:
    play(
        ASKS
        + """
        bid   p1  carol  51050  2     -> trade a1 51000 1.2, rests 0.8
        balance carol USDT            -> 897960 available, 40840 held
        book                          -> bids 51050 x 0.8, asks 51100 x 0.8 51200 x 0.3
        """
    )


def test_at_one_price_first_come_first_served() -> None:
    play(
        """
        bid   b1  alice  50000  0.1   -> rested
        bid   b2  bob    50000  0.2   -> rested
        bid   b3  dave   50000  0.3   -> rested
        sell  s1  carol  market 0.15  -> trade b1 50000 0.1, trade b2 50000 0.05, done
        bid   b4  alice  50000  0.1   -> rested
        sell  s2  carol  market 0.5   -> trade b2 50000 0.15, trade b3 50000 0.3, trade b4 50000 0.05, done
        book                          -> bids 50000 x 0.05
        """
    )


def test_a_canceled_order_in_the_middle_leaves_the_others_in_their_order() -> None:
    play(
        """
        ask   a1  alice  50000  0.1
        ask   a2  bob    50000  0.2
        ask   a3  dave   50000  0.3
        cancel a2                     -> canceled a2
        book                          -> asks 50000 x 0.4
        buy   p1  carol  market 0.4   -> trade a1 50000 0.1, trade a3 50000 0.3, done
        book                          -> empty
        """
    )


def test_price_goes_before_time() -> None:
    play(
        """
        ask   a1  alice  50010  1
        ask   a2  bob    50000  1
        bid   p1  carol  50020  1     -> trade a2 50000 1, done
        bid   p2  carol  50005  1     -> rested
        """
    )


def test_a_partly_filled_maker_keeps_its_place_and_its_hold_fits() -> None:
    play(
        """
        bid   b1  alice  50000  1
        bid   b2  bob    50000  1
        ask   s1  carol  50000  0.4   -> trade b1 50000 0.4, done
        balance alice USDT            -> 950000 available, 30000 held
        ask   s2  carol  50000  0.7   -> trade b1 50000 0.6, trade b2 50000 0.1, done
        """
    )


def test_trade_ids_are_dense_and_one_agg_id_covers_one_price_of_one_taker() -> None:
    table = play(BIDS)
    events = table.place("s1", "carol", side=1, order_kind=2, quantity_lots=160_000, client_id="s1")
    events += table.place("s2", "carol", side=1, order_kind=2, quantity_lots=10_000, client_id="s2")
    trades = [event for event in events if isinstance(event, Trade)]
    assert [trade.trade_id for trade in trades] == [1, 2, 3, 4]
    assert [trade.agg_id for trade in trades] == [1, 2, 3, 4]
    table.play(
        """
        ask  a1  alice 60000 0.1
        ask  a2  bob   60000 0.1
        ask  a3  bob   60001 0.1
        """
    )
    trades = table.place("p1", "carol", side=0, order_kind=2, quantity_lots=30_000, client_id="p1")[1:]
    assert [(trade.trade_id, trade.agg_id) for trade in trades] == [(5, 5), (6, 5), (7, 6)]
