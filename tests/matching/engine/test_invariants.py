"""The checks themselves can fail: every kind of damage to the state is found and named."""

from collections.abc import Callable

import pytest

from apps.matching.engine import InvariantBroken, limit
from apps.matching.engine.accounts import Balance
from apps.matching.engine.client_ids import fingerprint_of
from apps.matching.engine.state import KeyedHold, State
from apps.matching.engine.terms import Terms
from apps.streams.kinds import MarketState
from tests.matching.engine.play import ASSETS, MARKET, play

BOOK = """
    bid  b1 alice 50000 0.3
    bid  b2 bob   50000 0.2
    bid  b3 alice 49000 0.1
    ask  a1 carol 51000 0.1
    hold wd:1 alice 6 USDT
    buy  p1 bob market 0.05
    cancel-after alice 50
    bid  b4 dave 48000 0.5 show 0.1 gtd 60
    set  bid_up_bp 11000 park_outside_band 1
    bid  b5 erin 90000 0.2 gtd 60
"""


def swap_first_two(state: State) -> None:
    level = state.markets[MARKET].bids.levels[5_000_000]
    first, second = level.head, level.tail
    assert first is not None
    assert second is not None
    level.head, level.tail = second, first
    second.prev, second.next, first.prev, first.next = None, first, second, None


def cross(state: State) -> None:
    market = state.markets[MARKET]
    level = market.asks.levels.pop(-5_100_000)
    assert level.head is not None
    level.key, level.price_ticks, level.head.price_ticks = -4_900_000, 4_900_000, 4_900_000
    market.asks.levels[-4_900_000] = level
    market.asks.keys[:] = [-4_900_000]
    level.head.fingerprint = fingerprint_of(level.head)


def terms(state: State) -> Terms:
    """Of dave's order, the last one in the book."""
    found = state.open_orders()[-2].terms
    assert found is not None
    return found


def parked(state: State) -> Terms:
    found = state.open_orders()[-1].terms
    assert found is not None
    return found


ALICE = 1001
DAMAGES: list[tuple[str, Callable[[State], object]]] = [
    ("first come first served", swap_first_two),
    ("level has", lambda s: setattr(s.markets[1].bids.levels[5_000_000], "lots", 1)),
    ("level keys", lambda s: s.markets[1].bids.keys.reverse()),
    ("level keys", lambda s: s.markets[1].bids.keys.append(9_000_000)),
    ("crossed book", cross),
    ("lots do not add up", lambda s: setattr(s.open_orders()[0], "filled_lots", 5)),
    ("order without lots", lambda s: setattr(s.open_orders()[0], "left_lots", 0)),
    ("another price", lambda s: setattr(s.open_orders()[0], "price_ticks", 4)),
    ("other side", lambda s: setattr(s.open_orders()[0], "side", 1)),
    ("place from the future", lambda s: setattr(s.journal, "seq", 1)),
    ("order_id from the future", lambda s: setattr(s, "last_order_id", 1)),
    ("links are broken", lambda s: setattr(s.open_orders()[1], "prev", None)),
    ("open orders are not those", lambda s: s.open_orders()[0].seat.open_orders.clear()),
    ("does not stand in its market", lambda s: s.markets[1].seats.clear()),
    ("needed", lambda s: setattr(s.accounts[ALICE].balances[2], "held_units", 1)),
    ("negative", lambda s: setattr(s.accounts[ALICE].balances[1], "available_units", -1)),
    ("came in", lambda s: setattr(s.accounts[ALICE].balances[1], "available_units", 5)),
    ("came in", lambda s: setattr(s.assets[1], "external_units", 5)),
    ("negative fees", lambda s: setattr(s.assets[1], "fee_units", -1)),
    ("above 2^62", lambda s: setattr(s.assets[1], "external_units", 2**62)),
    ("needed", lambda s: s.holds.clear()),
    ("is empty", lambda s: s.holds.update(k=KeyedHold(ALICE, 2, 0))),
    ("held by an account without", lambda s: s.holds.update(k=KeyedHold(99, 2, 5))),
    ("unknown asset", lambda s: s.accounts[ALICE].balances.update({9: Balance(1, 0)})),
    ("foreign money", lambda s: setattr(s.open_orders()[0].seat, "quote", Balance())),
    ("key is not that", lambda s: setattr(s.open_orders()[0], "id_key", b"x" * 16)),
    ("fingerprint", lambda s: setattr(s.open_orders()[0], "fingerprint", 1)),
    ("owners", lambda s: s.client_ids.owners.clear()),
    ("shows more than its display", lambda s: setattr(terms(s), "display_lots", 9_999)),
    ("reserve without a display", lambda s: setattr(terms(s), "display_lots", 0)),
    ("lots do not add up", lambda s: setattr(terms(s), "reserve_lots", 39_999)),
    ("lots do not add up", lambda s: setattr(terms(s), "prevented_lots", 1)),
    ("did not become smaller", lambda s: setattr(terms(s), "placed_lots", 50_000)),
    ("fingerprint", lambda s: setattr(terms(s), "placed_lots", 60_000)),
    ("only GTD has an end", lambda s: setattr(terms(s), "expires_ms", 0)),
    ("only GTD has an end", lambda s: setattr(s.open_orders()[-2], "time_in_force", 1)),
    ("accepted in the future", lambda s: setattr(terms(s), "accepted_seq", 10**6)),
    ("timers are not those", lambda s: setattr(terms(s), "accepted_seq", 1)),
    ("timers are not those", lambda s: s.timers.heap.clear()),
    ("timers are not those", lambda s: s.timers.heap.append(s.timers.heap[0])),
    ("timers are not those", lambda s: setattr(s.accounts[ALICE], "cancel_due_ms", 1)),
    ("stale timers are miscounted", lambda s: setattr(s.timers, "stale", 1)),
    ("icebergs are miscounted", lambda s: setattr(s.open_orders()[-2].seat, "iceberg_orders", 2)),
    ("waits in a book", lambda s: setattr(terms(s), "parked_seq", 1)),
    ("for nothing known", lambda s: setattr(parked(s), "waiting", 9)),
    ("has a place in a book", lambda s: setattr(s.open_orders()[-1], "level", s.open_orders()[-2].level)),
    ("may be parked", lambda s: setattr(s.open_orders()[-1], "kind", 3)),
    ("has traded", lambda s: setattr(s.open_orders()[-1], "left_lots", 1)),
    ("parked in the future", lambda s: setattr(parked(s), "parked_seq", 10**6)),
    ("beyond its end", lambda s: setattr(parked(s), "park_due_ms", 2 * 10**12)),
    ("timers are not those", lambda s: setattr(parked(s), "park_due_ms", 1)),
    ("open orders are not those", lambda s: setattr(parked(s), "waiting", 0)),
    ("next timer is not the first", lambda s: setattr(s.timers, "due_ms", 1)),
    ("ring of client ids is too long", lambda s: setattr(s.client_ids, "capacity", 0)),
]


@pytest.mark.parametrize(("rule", "break_it"), DAMAGES)
def test_validate_names_the_damage(rule: str, break_it: Callable[[State], object]) -> None:
    table = play(BOOK)
    state = table.engine._state
    assert table.accounts["alice"] == ALICE
    break_it(state)
    with pytest.raises(InvariantBroken, match=rule.replace("^", r"\^")):
        table.engine.validate()


def test_a_crossed_book_may_stand_where_nothing_matches() -> None:
    table = play(BOOK)
    cross(table.engine._state)
    table.engine._state.markets[MARKET].state = MarketState.HALTED
    table.engine.validate()


def test_production_stops_at_a_negative_balance() -> None:
    table = play(BOOK)
    table.engine._state.accounts[ALICE].balances[ASSETS["USDT"]].held_units = 0
    with pytest.raises(InvariantBroken, match="negative balance"):
        table.answer(["sell", "s1", "carol", "market", "0.1"])


def test_production_stops_where_an_order_releases_more_than_is_held() -> None:
    table = play(BOOK)
    table.engine._state.accounts[ALICE].balances[ASSETS["USDT"]].held_units = 0
    with pytest.raises(InvariantBroken, match="more than was held"):
        table.answer(["cancel", "b1"])


def test_production_stops_where_two_parties_share_a_balance() -> None:
    table = play(BOOK)
    orders = table.engine._state.open_orders()
    carol = table.engine._state.accounts[table.account("carol")]
    orders[0].seat.base = carol.seats[0].base
    with pytest.raises(InvariantBroken, match="made or lost money"):
        table.answer(["sell", "s1", "carol", "market", "0.1"])


def test_production_stops_where_an_order_would_rest_against_the_book(monkeypatch: pytest.MonkeyPatch) -> None:
    table = play("ask a1 alice 50000 1")
    monkeypatch.setattr(limit, "sweep", lambda *arguments: None)
    with pytest.raises(InvariantBroken, match="would match"):
        table.answer(["bid", "p1", "carol", "50000", "1"])
