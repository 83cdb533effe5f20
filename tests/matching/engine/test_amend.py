"""T4: amend down keeps the place; every other amendment is refused and changes nothing."""

from typing import Any

import pytest

from apps.matching.engine import Engine
from apps.matching.engine.snapshot_tables import COUNT, TABLES
from apps.matching.engine.terms import AMENDS_MAX
from apps.streams.codec import encode_command
from apps.streams.commands import AmendOrder
from apps.streams.events import AmendRejected, OrderAmended
from apps.streams.kinds import MarketState, Reason
from tests.matching.engine.play import MARKET, Table, in_state, play, quantity_text

AMENDS = TABLES[-1].row  # the last table of a body


def test_it_keeps_its_place_and_releases_what_it_held() -> None:
    play(
        """
        bid  b1 alice 50000 0.5
        bid  b2 bob   50000 0.5
        amend b1 0.2                  -> amended b1 0.2
        book                          -> bids 50000 x 0.7
        balance alice USDT            -> 990000 available, 10000 held
        sell s1 carol market 0.3      -> trade b1 50000 0.2, trade b2 50000 0.1, done
        balance alice USDT            -> 990000 available, 0 held
        """
    )


def test_more_than_what_is_filled_and_less_than_now() -> None:
    play(
        """
        ask  a1 alice 50000 0.5
        buy  p1 carol market 0.2
        amend a1 0.5                  -> amend rejected amend_quantity
        amend a1 0.6                  -> amend rejected amend_quantity
        amend a1 0.2                  -> amend rejected amend_quantity
        amend a1 0.20001              -> amended a1 0.20001
        balance alice BTC             -> 99.79999 available, 0.00001 held
        buy  p2 carol market 0.1      -> trade a1 50000 0.00001, expired no_liquidity
        """
    )


def test_what_a_prevented_match_took_is_gone_too() -> None:
    play(
        """
        ask  a1 carol 50000 0.5
        bid  p1 carol 50000 0.2 stp decrement
        amend a1 0.2                  -> amend rejected amend_quantity
        amend a1 0.3                  -> amended a1 0.3
        book                          -> asks 50000 x 0.1
        balance carol BTC             -> 99.9 available, 0.1 held
        """
    )


def test_an_iceberg_gives_its_reserve_first() -> None:
    play(
        """
        ask  a1 alice 50000 0.5 show 0.2
        ask  a2 bob   50000 0.1
        amend a1 0.3                  -> amended a1 0.3
        book                          -> asks 50000 x 0.3
        amend a1 0.15                 -> amended a1 0.15
        book                          -> asks 50000 x 0.25
        balance alice BTC             -> 99.85 available, 0.15 held
        buy  p1 carol market 0.2      -> trade a1 50000 0.15, trade a2 50000 0.05, done
        """
    )


def test_a_repeat_of_the_order_as_it_was_placed_is_still_answered() -> None:
    table = play(
        """
        bid  b1 alice 50000 0.5 as x
        amend b1 0.4
        amend b1 0.3
        bid  b2 alice 50000 0.5 as x  -> duplicate of b1
        bid  b3 alice 50000 0.3 as x  -> rejected duplicate_client_id
        """
    )
    table.engine = Engine.restore(table.engine.snapshot())
    table.play(
        """
        bid  b2 alice 50000 0.5 as x  -> duplicate of b1
        cancel b1                     -> canceled b1
        bid  b2 alice 50000 0.5 as x  -> duplicate of b1
        """
    )


def test_an_order_is_amended_as_often_as_its_market_allows() -> None:
    """Amendments made while the rule was off count, refused ones do not."""
    table = play(
        """
        bid   b1 alice 50000 0.5
        amend b1 0.4
        set   max_order_amends 2
        amend b1 0.4                  -> amend rejected amend_quantity
        amend b1 0.3                  -> amended b1 0.3
        """
    )
    before = table.state_but_seq()
    table.play("amend b1 0.2          -> amend rejected max_num_order_amends")
    assert table.state_but_seq() == before
    table.engine = Engine.restore(table.engine.snapshot())
    table.play(
        """
        amend b1 0.2                  -> amend rejected max_num_order_amends
        amend b1 0.3                  -> amend rejected amend_quantity
        set   min_lots 25000
        amend b1 0.2                  -> amend rejected max_num_order_amends
        set   max_order_amends 3
        amend b1 0.2                  -> amend rejected lot_size
        amend b1 0.28                 -> amended b1 0.28
        amend b1 0.27                 -> amend rejected max_num_order_amends
        bid   b2 alice 50000 0.5
        amend b2 0.4                  -> amended b2 0.4
        set   max_order_amends 0
        amend b1 0.26                 -> amended b1 0.26
        """
    )


def test_the_count_ends_above_every_limit() -> None:
    """No history gets there: the row is put into the snapshot."""
    table = play(
        f"""
        fund  alice 100000 BTC
        ask   a1 alice 50000 {quantity_text(2**33)}
        amend a1 {quantity_text(2**32)}
        """,
        max_lots=2**33,
        max_notional_units=0,
    )
    body = table.engine.snapshot()
    assert body.endswith(COUNT.pack(1) + AMENDS.pack(table.orders["a1"], 1))
    table.engine = Engine.restore(body[: -AMENDS.size] + AMENDS.pack(table.orders["a1"], AMENDS_MAX - 1))
    for less in ("0.4", "0.3"):
        table.play(f"amend a1 {less} -> amended a1 {less}")
        assert table.engine.snapshot().endswith(AMENDS.pack(table.orders["a1"], AMENDS_MAX))
    table.play(f"set max_order_amends {2**31 - 1}\namend a1 0.2 -> amend rejected max_num_order_amends")


def test_the_event_says_what_is_left() -> None:
    table = play("bid b1 alice 50000 0.5 show 0.1")
    (event,) = table.send(
        AmendOrder(market_id=MARKET, account_id=table.account("alice"), client_id="b1", quantity_lots=30_000,
                   amend_client_id="a-1")
    )  # fmt: skip
    assert isinstance(event, OrderAmended)
    assert (event.order_id, event.old_quantity_lots, event.quantity_lots) == (table.orders["b1"], 50_000, 30_000)
    assert (event.left_lots, event.level_lots, event.client_id, event.amend_client_id) == (30_000, 10_000, "b1", "a-1")
    assert (event.available_units, event.held_units) == table.balance("alice", "USDT")


@pytest.mark.parametrize(
    ("settings", "command", "reason"),
    [
        ({}, {"quantity_lots": 0}, Reason.MALFORMED),
        ({}, {"quantity_lots": -1}, Reason.MALFORMED),
        ({}, {"order_id": 0}, Reason.MALFORMED),
        ({}, {"flags": 1}, Reason.MALFORMED),
        ({}, {"parts": 2}, Reason.MALFORMED),
        ({}, {"order_id": 99}, Reason.UNKNOWN_ORDER),
        ({}, {"market_id": 2}, Reason.UNKNOWN_ORDER),
        ({}, {"account_id": 1002}, Reason.UNKNOWN_ORDER),
        ({}, {"account_id": 999}, Reason.UNKNOWN_ORDER),
        ({}, {"client_id": "other"}, Reason.UNKNOWN_ORDER),
        ({"min_lots": 20_001}, {}, Reason.LOT_SIZE),
        ({"min_notional_units": 10_000 * 10**8 + 1}, {}, Reason.NOTIONAL),
    ],
)
def test_refusals(settings: dict[str, Any], command: dict[str, Any], reason: Reason) -> None:
    table = Table(**settings)
    table.play("bid b1 alice 50000 0.5\nbid b2 bob 50000 0.5")
    before = table.state_but_seq()
    values = {"market_id": MARKET, "account_id": table.account("alice"), "order_id": table.orders["b1"]}
    (event,) = table.send(AmendOrder(**({"quantity_lots": 20_000} | values | command)))
    assert isinstance(event, AmendRejected)
    assert Reason(event.reason) is reason
    assert table.state_but_seq() == before


@pytest.mark.parametrize("garbage", [b"\xff", b"a\0b"])
def test_ids_that_are_no_text_are_refused_without_them(garbage: bytes) -> None:
    table = play("bid b1 alice 50000 0.5")
    frame = bytearray(encode_command(AmendOrder(account_id=table.account("alice"), order_id=1, quantity_lots=1)))
    for start in (48, 84):
        spoilt = bytearray(frame)
        spoilt[start : start + len(garbage)] = garbage
        (event,) = table.run(bytes(spoilt))
        assert (event.reason, event.client_id, event.amend_client_id) == (Reason.MALFORMED, "", "")


@pytest.mark.parametrize(
    ("state", "answer"),
    [
        (MarketState.OPEN, "amended b1 0.2"),
        (MarketState.POST_ONLY, "amended b1 0.2"),
        (MarketState.AUCTION, "amended b1 0.2"),
        (MarketState.PRE_LAUNCH, "amend rejected market_not_open"),
        (MarketState.HALTED, "amend rejected market_halted"),
        (MarketState.CANCEL_ONLY, "amend rejected market_cancel_only"),
        (MarketState.CLOSED, "amend rejected market_closed"),
    ],
)
def test_market_states(state: MarketState, answer: str) -> None:
    table = play("bid b1 alice 50000 0.5")
    table.engine = in_state(table.engine, state)
    assert table.answer(["amend", "b1", "0.2"]) == answer


@pytest.mark.parametrize("settings", [{"min_lots": 20_000}, {"min_notional_units": 10_000 * 10**8}])
def test_exactly_the_least_passes(settings: dict[str, Any]) -> None:
    play("bid b1 alice 50000 0.5\namend b1 0.2 -> amended b1 0.2", **settings)
