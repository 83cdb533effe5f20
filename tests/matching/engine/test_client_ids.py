"""T15: client order ids are idempotent while open and among the last closed ones, in every state."""

import pytest

from apps.matching.engine import Engine
from apps.streams.events import OrderAccepted, OrderDuplicate, OrderRejected, OrderRested
from apps.streams.kinds import Reason
from tests.matching.engine.play import Table, play

LIMIT = {"side": 0, "order_kind": 1, "time_in_force": 1, "price_ticks": 5_000_000, "quantity_lots": 10_000}


def test_a_repeat_of_an_open_order_names_the_first() -> None:
    play(
        """
        bid  b1 alice 50000 0.1 as x  -> rested
        bid  b2 alice 50000 0.1 as x  -> duplicate of b1
        bid  b3 alice 50000 0.2 as x  -> rejected duplicate_client_id
        bid  b4 alice 50001 0.1 as x  -> rejected duplicate_client_id
        ask  b5 alice 50000 0.1 as x  -> rejected duplicate_client_id
        bid  b6 bob   50000 0.1 as x  -> rested
        book                          -> bids 50000 x 0.2
        """
    )


def test_a_retry_of_a_filled_market_order_never_fills_twice() -> None:
    play(
        """
        ask  a1 alice 50000 1
        buy  p1 bob market 0.1 as y   -> trade a1 50000 0.1, done
        buy  p2 bob market 0.1 as y   -> duplicate of p1
        buy  p3 bob spend 100 as y    -> trade a1 50000 0.002, filled budget_spent
        buy  p4 bob spend 100 as y    -> duplicate of p3
        buy  p5 bob market 0.1 as y   -> trade a1 50000 0.1, done
        """
    )


def test_a_closed_id_with_other_parameters_starts_a_new_order_that_owns_it() -> None:
    play(
        """
        bid  b1 alice 50000 0.1 as x  -> rested
        cancel b1                     -> canceled b1
        bid  b2 alice 50000 0.1 as x  -> duplicate of b1
        bid  b3 alice 50000 0.2 as x  -> rested
        bid  b4 alice 50000 0.1 as x  -> rejected duplicate_client_id
        cancel b3                     -> canceled b3
        bid  b5 alice 50000 0.2 as x  -> duplicate of b3
        bid  b6 alice 50000 0.1 as x  -> rested
        """
    )


@pytest.mark.parametrize("ending", ["filled", "self_trade", "expired"])
def test_every_way_to_end_is_remembered(ending: str) -> None:
    scripts = {
        "filled": "ask a1 bob 50000 0.1\nbid b1 alice 50000 0.1 as x -> trade a1 50000 0.1, done",
        "self_trade": "ask a1 alice 50000 0.1\nbid b1 alice 50000 0.1 as x -> prevented a1 0.1, "
        "expired_in_match self_trade",
        "expired": "buy b1 alice market 0.1 as x -> expired no_liquidity",
    }
    again = "buy b2 alice market 0.1 as x" if ending == "expired" else "bid b2 alice 50000 0.1 as x"
    play(scripts[ending] + f"\n{again} -> duplicate of b1")


def test_a_filled_maker_is_remembered() -> None:
    play(
        """
        bid  b1 alice 50000 0.1 as x
        sell s1 bob market 0.1        -> trade b1 50000 0.1, done
        bid  b2 alice 50000 0.1 as x  -> duplicate of b1
        """
    )


def test_a_refused_order_does_not_use_up_its_id() -> None:
    play(
        """
        fund alice 1 USDT
        bid  b1 alice 50000 0.1 as x  -> rejected insufficient_balance
        fund alice 5000 USDT
        bid  b2 alice 50000 0.1 as x  -> rested
        """
    )


def test_a_repeat_is_answered_in_every_state_with_any_newer_settings() -> None:
    play(
        """
        bid  b1 alice 50000 0.1 as x  -> rested
        state HALTED                  -> OPEN to HALTED
        bid  b2 alice 50000 0.1 as x  -> duplicate of b1
        bid  b3 alice 50000 0.2 as x  -> rejected duplicate_client_id
        bid  b4 alice 50000 0.1 as z  -> rejected market_halted
        set min_lots 20000
        bid  b5 alice 50000 0.1 as x  -> duplicate of b1
        """
    )


def test_orders_without_an_id_are_never_duplicates() -> None:
    table = Table()
    for _ in range(2):
        (event,) = table.place("b", "alice", **LIMIT)
        assert isinstance(event, OrderAccepted)
    table.engine.validate()


def test_the_ring_keeps_exactly_as_many_closed_ids_as_it_may() -> None:
    table = Table(closed_ids_kept=3)
    for number in range(4):
        table.place(f"b{number}", "alice", client_id=f"x{number}", **LIMIT)
        table.answer(["cancel", f"b{number}"])
    table.play(
        """
        bid  again1 alice 50000 0.1 as x1 -> duplicate of b1
        bid  again2 alice 50000 0.1 as x2 -> duplicate of b2
        bid  again3 alice 50000 0.1 as x3 -> duplicate of b3
        bid  again0 alice 50000 0.1 as x0 -> rested
        """
    )


def test_an_id_used_twice_in_the_ring_stays_until_its_newer_order_leaves() -> None:
    table = Table(closed_ids_kept=3)
    for number, quantity in enumerate((10_000, 20_000)):
        table.place(f"b{number}", "alice", client_id="x", **LIMIT | {"quantity_lots": quantity})
        table.answer(["cancel", f"b{number}"])
    table.play(
        """
        bid  o1 alice 50000 0.1 as o1
        cancel o1
        bid  o2 alice 50000 0.1 as o2
        cancel o2
        bid  again alice 50000 0.2 as x -> duplicate of b1
        """
    )


def test_the_id_of_a_list_that_is_done_takes_a_place_of_its_own() -> None:
    table = Table(closed_ids_kept=2)
    table.place("b0", "alice", client_id="x0", **LIMIT)
    table.answer(["cancel", "b0"])
    oco = "oco l1 / buy s1 alice market 0.1 stop 55000 / bid m1 alice 49500 0.1 maker"
    table.play(
        f"""
        {oco}
        bid  again alice 50000 0.1 as x0 -> duplicate of b0
        cancel m1
        bid  o1 alice 50000 0.1 as x1
        cancel o1
        bid  again0 alice 50000 0.1 as x0 -> rested
        {oco} -> duplicate of list s1
        """
    )


def test_the_ring_survives_a_snapshot() -> None:
    table = Table(closed_ids_kept=2)
    for number in range(3):
        table.place(f"b{number}", "alice", client_id=f"x{number}", **LIMIT)
        table.answer(["cancel", f"b{number}"])
    table.engine = Engine.restore(table.engine.snapshot())
    (known,) = table.place("c", "alice", client_id="x2", **LIMIT)
    assert isinstance(known, OrderDuplicate)
    assert known.order_id == table.orders["b2"]
    (forgotten,) = table.place("d", "alice", client_id="x0", **LIMIT)
    assert isinstance(forgotten, OrderAccepted)


@pytest.mark.parametrize(
    "other",
    [{"price_ticks": 5_000_001}, {"quantity_lots": 10_001}, {"side": 1, "price_ticks": 5_000_000}],
)
def test_each_parameter_belongs_to_the_fingerprint(other: dict[str, int]) -> None:
    table = Table()
    table.place("b1", "alice", client_id="x", **LIMIT)
    (event,) = table.place("b2", "alice", client_id="x", **LIMIT | other)
    assert isinstance(event, OrderRejected)
    assert event.reason == Reason.DUPLICATE_CLIENT_ID


def test_fifty_equal_ids_make_one_order() -> None:
    table = Table()
    events = [event for _ in range(50) for event in table.place("b", "alice", client_id="same", **LIMIT)]
    assert sum(isinstance(event, OrderAccepted) for event in events) == 1
    assert sum(isinstance(event, OrderDuplicate) for event in events) == 49


def test_of_orders_that_together_exceed_the_balance_as_many_pass_as_fit() -> None:
    table = Table()
    table.fund("alice", "185000", "USDT")
    events = [event for n in range(100) for event in table.place("b", "alice", client_id=f"x{n}", **LIMIT)]
    assert sum(isinstance(event, OrderAccepted | OrderRested) for event in events) == 37  # 5,000 each
    refused = [event for event in events if isinstance(event, OrderRejected)]
    assert {event.reason for event in refused} == {Reason.INSUFFICIENT_BALANCE}
    assert table.answer(["balance", "alice", "USDT"]) == "0 available, 185000 held"
