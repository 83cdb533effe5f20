"""T3: MARKET orders by quantity and by quote budget (matching-rules.md 2). They never rest."""

from tests.matching.engine.play import play

ASKS = """
    ask  a1  alice  50000  0.1
    ask  a2  bob    50100  0.2
"""
BIDS = """
    bid  b1  alice  50000  0.1
    bid  b2  bob    49900  0.2
"""


def test_by_quantity_on_an_empty_book_expires_without_a_fill() -> None:
    play(
        """
        buy  p1 carol market 1        -> expired no_liquidity
        sell s1 carol market 1        -> expired no_liquidity
        balance carol BTC             -> 100 available, 0 held
        balance carol USDT            -> 1000000 available, 0 held
        book                          -> empty
        """
    )


def test_what_a_market_order_does_not_find_expires() -> None:
    play(
        ASKS
        + """
        buy  p1 carol market 0.5      -> trade a1 50000 0.1, trade a2 50100 0.2, expired no_liquidity
        balance carol USDT            -> 984980 available, 0 held
        balance carol BTC             -> 100.3 available, 0 held
        """
    )
    play(
        BIDS
        + """
        sell s1 carol market 0.5      -> trade b1 50000 0.1, trade b2 49900 0.2, expired no_liquidity
        balance carol BTC             -> 99.7 available, 0 held
        balance carol USDT            -> 1014980 available, 0 held
        """
    )


def test_a_buy_must_afford_what_would_print_not_what_it_asks_for() -> None:
    play(
        "fund carol 15019.99 USDT"
        + ASKS
        + """
        buy  p1 carol market 0.3      -> rejected insufficient_balance
        buy  p2 carol market 9        -> rejected insufficient_balance
        book                          -> asks 50000 x 0.1 50100 x 0.2
        fund carol 0.01 USDT
        buy  p3 carol market 9        -> trade a1 50000 0.1, trade a2 50100 0.2, expired no_liquidity
        balance carol USDT            -> 0 available, 0 held
        """
    )


def test_a_sell_must_have_its_whole_quantity_even_where_less_would_print() -> None:
    play(
        "fund carol 0.3 BTC"
        + BIDS
        + """
        sell s1 carol market 0.30001  -> rejected insufficient_balance
        sell s2 carol market 0.3      -> trade b1 50000 0.1, trade b2 49900 0.2, done
        """
    )


def test_a_sell_without_a_balance_is_refused_on_an_empty_book_too() -> None:
    play(
        """
        fund carol 1 USDT
        sell s1 carol market 0.1      -> rejected insufficient_balance
        """
    )


def test_budget_buy_spends_what_fits_and_releases_the_dust() -> None:
    # 5000 buys 0.1 at 50000; 5015 more buys 0.1001 at 50100 = 5015.01: one lot less, 0.10009 = 5014.509.
    play(
        ASKS
        + """
        buy  p1 carol spend 10015     -> trade a1 50000 0.1, trade a2 50100 0.10009, filled budget_spent
        balance carol USDT            -> 989985.491 available, 0 held
        balance carol BTC             -> 100.20009 available, 0 held
        """
    )


def test_budget_buy_that_ends_exactly_at_a_maker_is_filled() -> None:
    play(
        ASKS
        + """
        buy  p1 carol spend 5000      -> trade a1 50000 0.1, filled budget_spent
        book                          -> asks 50100 x 0.2
        """
    )


def test_budget_buy_that_takes_the_whole_book_with_its_last_unit_is_filled() -> None:
    play(
        ASKS
        + """
        buy  p1 carol spend 15020     -> trade a1 50000 0.1, trade a2 50100 0.2, filled budget_spent
        book                          -> empty
        """
    )


def test_budget_buy_expires_where_the_book_ends_first() -> None:
    play(
        ASKS
        + """
        buy  p1 carol spend 20000     -> trade a1 50000 0.1, trade a2 50100 0.2, expired no_liquidity
        balance carol USDT            -> 984980 available, 0 held
        """
    )


def test_budget_buy_holds_the_whole_budget() -> None:
    play(
        "fund carol 100 USDT"
        + ASKS
        + """
        buy  p1 carol spend 100.01    -> rejected insufficient_balance
        buy  p2 carol spend 100       -> trade a1 50000 0.002, filled budget_spent
        """
    )


def test_a_budget_below_one_lot_is_refused_but_not_on_an_empty_book() -> None:
    play(
        """
        buy  p1 carol spend 0.49      -> expired no_liquidity
        ask  a1 alice 50000 1
        buy  p2 carol spend 0.49      -> rejected lot_size
        buy  p3 carol spend 0.5       -> trade a1 50000 0.00001, filled budget_spent
        bid  b1 alice 49000 1
        sell s1 carol spend 0.48      -> rejected lot_size
        sell s2 carol spend 0.49      -> trade b1 49000 0.00001, filled budget_spent
        """
    )


def test_budget_sell_sells_as_much_as_the_budget_takes() -> None:
    # 5000 from 0.1 at 50000, then floor(2000 / 0.499) = 4008 lots at 49900.
    play(
        BIDS
        + """
        sell s1 carol spend 7000      -> trade b1 50000 0.1, trade b2 49900 0.04008, filled budget_spent
        balance carol BTC             -> 99.85992 available, 0 held
        balance carol USDT            -> 1006999.992 available, 0 held
        """
    )


def test_budget_sell_needs_only_the_lots_it_will_sell() -> None:
    play(
        "fund carol 0.14007 BTC"
        + BIDS
        + """
        sell s1 carol spend 7000      -> rejected insufficient_balance
        fund carol 0.00001 BTC
        sell s2 carol spend 7000      -> trade b1 50000 0.1, trade b2 49900 0.04008, filled budget_spent
        balance carol BTC             -> 0 available, 0 held
        """
    )


def test_budget_sell_expires_where_the_book_ends_first_and_on_an_empty_book() -> None:
    play(
        BIDS
        + """
        sell s1 carol spend 20000     -> trade b1 50000 0.1, trade b2 49900 0.2, expired no_liquidity
        sell s2 carol spend 20000     -> expired no_liquidity
        balance carol BTC             -> 99.7 available, 0 held
        """
    )


def test_budget_sell_stops_at_the_maker_it_cannot_take_whole_though_a_lower_one_would_fit() -> None:
    # After 0.00001 at 50000 = 0.5 there is 0.3 left: too little for a lot here, enough for one at 20000.
    play(
        """
        bid  b1 alice 50000 1
        bid  b2 alice 20000 1
        fund carol 0.00001 BTC
        sell s1 carol spend 0.8       -> trade b1 50000 0.00001, filled budget_spent
        balance carol BTC             -> 0 available, 0 held
        """
    )
