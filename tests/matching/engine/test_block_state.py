"""Shares of block orders in snapshots, and how production and validate() find damage in them (T12)."""

from collections.abc import Callable

import pytest

from apps.matching.engine import Engine, InvariantBroken
from apps.matching.engine.accounts import Account, Balance, Seat
from apps.matching.engine.allocation import Share
from apps.matching.engine.market import Market
from tests.matching.engine.examples import FAMILY
from tests.matching.engine.play import MARKET, Table, play


def test_a_restored_engine_goes_on_with_the_same_shares() -> None:
    table = play(
        FAMILY
        + """
        block parts ask a1 head 50000 0.00011 gtd 60
        buy p1 bob market 0.00003
        """
    )
    body = table.engine.snapshot()
    copy = Engine.restore(body)
    assert copy.snapshot() == body
    copy.validate()
    assert list(copy.shares()) == list(table.engine.shares())
    table.engine = copy
    table.play(
        """
        family s1 s1 -> refused account_has_orders
        buy p2 bob market 0.00008 -> trade a1 50000 0.00008, done, s1 gets 0.00004, s2 gets 0.00002, s3 gets 0.00002
        block even bid b1 head 50000 0.00003 -> rested, s1 holds for 0.00001, s2 holds for 0.00001, s3 holds for 0.00001
        """
    )


def test_production_stops_where_a_share_is_not_held() -> None:
    table = play(FAMILY + "block even bid b1 head 50000 0.00009")
    state = table.engine._state
    state.accounts[table.account("s2")].balances[2].held_units = 0
    with pytest.raises(InvariantBroken, match="held by nothing"):
        table.ask("cancel b1")
    table = play(FAMILY + "block even bid b1 head 50000 0.00009")
    table.engine._state.accounts[table.account("s2")].balances[2].held_units = 0
    with pytest.raises(InvariantBroken, match="negative balance"):
        table.ask("sell x bob market 0.00009")


def test_production_stops_where_a_print_of_a_block_order_loses_money() -> None:
    table = play(FAMILY + "block even bid b1 head 50000 0.00009")
    bob, s1 = table.account("bob"), table.account("s1")
    table.ask("bid k1 bob 1 0.00001")
    accounts = table.engine._state.accounts
    table.engine._state.markets[MARKET].seats[s1].base = accounts[bob].balances[1]
    with pytest.raises(InvariantBroken, match="made or lost money"):
        table.ask("sell x bob market 0.00009")


SHARES = FAMILY + "block parts bid b1 head 50000 0.00011\nsell x bob market 0.00003"


def shares(table: Table) -> list[Share]:
    (order,) = table.engine._state.open_orders()
    assert order.terms is not None
    assert order.terms.block is not None
    return order.terms.block.shares


def allocated(table: Table, *lots: int) -> None:
    for share, got in zip(shares(table), lots, strict=False):
        share.allocated_lots = got


def seat_parts(table: Table) -> tuple[Account, Market, Balance, Balance]:
    seat = shares(table)[0].seat
    return seat.account, seat.market, seat.base, seat.quote


@pytest.mark.parametrize(
    ("rule", "break_it"),
    [
        ("are not its quantity", lambda t: setattr(shares(t)[0], "final_lots", 5)),
        ("shares miss lots", lambda t: setattr(shares(t)[0], "allocated_lots", 0)),
        ("got more than it may have", lambda t: allocated(t, -1, 4)),
        ("share of nothing", lambda t: shares(t).append(Share(shares(t)[0].seat, 0))),
        ("outside the family", lambda t: setattr(shares(t)[0].seat.account, "family_id", 5)),
        ("foreign seat", lambda t: setattr(shares(t)[0], "seat", Seat(*seat_parts(t)))),
        ("a lot ahead", lambda t: allocated(t, 0, 3)),
        ("miscounted", lambda t: setattr(shares(t)[0].seat.account, "open_shares", 0)),
        ("needed", lambda t: setattr(shares(t)[0].seat.quote, "held_units", 1)),
        ("fingerprint", lambda t: setattr(t.engine._state.open_orders()[0].terms.block, "rule_id", 9)),
        ("fingerprint", lambda t: setattr(t.engine._state.open_orders()[0].terms.block, "requested_crc", 9)),
    ],
)  # fmt: skip
def test_validate_names_the_damage(rule: str, break_it: Callable[[Table], object]) -> None:
    table = play(SHARES)
    break_it(table)
    with pytest.raises(InvariantBroken, match=rule):
        table.engine.validate()
