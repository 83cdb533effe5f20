"""Strategies of orders: handed on with the acceptance, wherever the order stands, and of no effect on anything else."""

from dataclasses import replace
from typing import Any

import pytest

from apps.matching.engine import FrameError
from apps.streams.codec import encode_block, encode_command, encode_list, encode_replace, stamp
from apps.streams.commands import PlaceBlock, PlaceList, PlaceOrder, ReplaceOrder, Strategy
from apps.streams.events import OrderAccepted
from apps.streams.kinds import EventKind, ListKind, OrderKind, Reason, ReplaceMode, Side, TimeInForce
from apps.streams.records import FRAME_SIZE
from tests.matching.engine.play import MARKET, Table, play

BOTH = Strategy(strategy_id=-5, strategy_type=2**32 - 1, given=24)
ORDERS = {
    "rests": "bid n1 alice 49000 0.1",
    "trades": "bid n1 alice 51000 0.3",
    "immediate": "bid n1 alice 51000 0.3 ioc",
    "fok": "bid n1 alice 51000 3 fok",
    "maker": "bid n1 alice 49000 0.1 maker",
    "iceberg": "bid n1 alice 49000 0.5 show 0.1",
    "gtd": "bid n1 alice 49000 0.5 gtd 5",
    "market": "buy n1 alice market 0.1",
    "market sell": "sell n1 alice market 0.1",
    "budget": "buy n1 alice spend 1000",
    "stop": "sell n1 alice market 0.1 stop 48000",
    "stop limit": "ask n1 alice 47000 0.1 stop 48000",
    "trailing": "sell n1 alice market 0.1 stop 0 trail 100",
}


def table() -> Table:
    return play("ask a0 dave 51000 0.2\nask a1 dave 52000 0.2\nbid b0 dave 50000 0.2\nbuy p0 erin market 0.1")


def labelled(found: Table, **changes: Any) -> PlaceOrder:
    order = PlaceOrder(
        market_id=MARKET, account_id=found.account("alice"), settings_version=1, side=Side.BUY,
        order_kind=OrderKind.LIMIT, time_in_force=TimeInForce.GTC, price_ticks=4_900_000, quantity_lots=1_000,
        strategy=BOTH,
    )  # fmt: skip
    return replace(order, **changes)


def said(event: Any) -> tuple[int, int, int]:
    assert isinstance(event, OrderAccepted)
    return event.strategy_id, event.strategy_type, event.flags & ~7


@pytest.mark.parametrize("line", ORDERS.values(), ids=ORDERS)
@pytest.mark.parametrize("label", ["7", "0", "7:1000000", ":4294967295"])
def test_a_strategy_changes_no_other_byte_and_no_state(line: str, label: str) -> None:
    """Two tables: the same order with and without it."""
    plain, other = table(), table()
    without = plain.answer(line.split())
    assert other.answer([*line.split(), "strategy", label]) == f"of strategy {label}" + (
        f", {without}" if without else ""
    )
    for asked in ("sell q1 carol market 0.05", "wait 6", "cancel-all alice"):
        assert other.answer(asked.split()) == plain.answer(asked.split())
    assert other.engine.snapshot() == plain.engine.snapshot()
    other.engine.validate()


@pytest.mark.parametrize("strategy", [BOTH, Strategy(strategy_id=2**63 - 1, given=8), Strategy(given=8)])
def test_orders_behind_a_head_have_their_own(strategy: Strategy) -> None:
    found = table()
    expected = (strategy.strategy_id, strategy.strategy_type, strategy.given)
    (first,) = found.run(encode_command(labelled(found)))
    head = ReplaceOrder(
        market_id=MARKET, account_id=found.accounts["alice"], order_id=first.order_id, mode=ReplaceMode.ALLOW_FAILURE
    )
    _, second = found.run(encode_replace(head, labelled(found, strategy=strategy)))
    assert said(second) == expected

    found.play("allocation both alice equal alice")
    block = PlaceBlock(market_id=MARKET, account_id=found.accounts["alice"], rule_id=1)
    third, _ = found.run(encode_block(block, labelled(found, strategy=strategy)))
    assert said(third) == expected

    found.play("allocation parts alice pro-rata alice")
    block = replace(block, rule_id=2)
    fourth, share = found.run(encode_block(block, labelled(found, strategy=strategy), [3]))
    assert (said(fourth), share.final_lots) == (expected, 1_000)


@pytest.mark.parametrize("which", [(0,), (1,), (2,), (0, 2), (0, 1, 2)])
def test_each_order_of_a_list_has_its_own(which: tuple[int, ...]) -> None:
    found = table()
    working = labelled(found, side=Side.SELL, price_ticks=5_150_000, strategy=None)
    above = replace(
        working, price_ticks=0, time_in_force=0, order_kind=OrderKind.TAKE_PROFIT, stop_price_ticks=6 * 10**6
    )
    below = replace(above, order_kind=OrderKind.STOP_LOSS, stop_price_ticks=4 * 10**6)
    orders = [
        replace(order, strategy=replace(BOTH, strategy_id=leg)) if leg in which else order
        for leg, order in enumerate((working, above, below))
    ]
    head = PlaceList(market_id=MARKET, account_id=found.accounts["alice"], list_kind=ListKind.OTOCO)
    accepted = [event for event in found.run(encode_list(head, orders)) if event.KIND == EventKind.ORDER_ACCEPTED]
    assert [said(event) for event in accepted] == [
        (leg, BOTH.strategy_type, BOTH.given) if leg in which else (0, 0, 0) for leg in range(3)
    ]


def test_the_longest_list_and_the_longest_block_order_fit_a_run() -> None:
    found = table()
    assert len(encode_list(PlaceList(list_kind=ListKind.OTOCO), [labelled(found)] * 3)) == 7 * FRAME_SIZE
    assert len(encode_block(PlaceBlock(rule_id=1), labelled(found), [1] * 64)) == 7 * FRAME_SIZE


def test_nothing_tells_it_again() -> None:
    found = table()
    found.play("bid n1 alice 49000 0.3 strategy 7 -> of strategy 7, rested")
    copy = type(found.engine).restore(found.engine.snapshot())
    found.engine = copy
    found.play(
        """
        amend n1 0.2              -> amended n1 0.2
        sell s1 carol market 0.25 -> trade b0 50000 0.2, trade n1 49000 0.05, done
        cancel n1                 -> canceled n1
        """
    )


def test_the_id_of_a_client_is_not_remembered_with_it() -> None:
    play(
        """
        bid n1 alice 49000 0.3 strategy 7      -> of strategy 7, rested
        bid n2 alice 49000 0.3 as n1           -> duplicate of n1
        bid n3 alice 49000 0.3 strategy 8 as n1 -> duplicate of n1
        bid n4 alice 49000 0.2 strategy 7 as n1 -> rejected duplicate_client_id
        cancel n1                              -> canceled n1
        bid n5 alice 49000 0.3 strategy 9 as n1 -> duplicate of n1
        """
    )


MALFORMED = [
    Strategy(given=0), Strategy(given=1), Strategy(given=9), Strategy(given=32), Strategy(given=255),
    Strategy(strategy_id=1, given=16), Strategy(strategy_type=1, given=8), replace(BOTH, given=0),
]  # fmt: skip


@pytest.mark.parametrize("strategy", MALFORMED, ids=str)
def test_a_second_frame_that_is_no_strategy(strategy: Strategy) -> None:
    found = table()
    order = labelled(found, strategy=strategy)
    before = found.state_but_seq()
    replacing = ReplaceOrder(market_id=MARKET, account_id=order.account_id, order_id=1, mode=1)
    block = PlaceBlock(market_id=MARKET, account_id=order.account_id, rule_id=1)
    for run in (encode_command(order), encode_replace(replacing, order), encode_block(block, order)):
        (event,) = found.run(run)
        assert (event.KIND, event.reason) == (EventKind.ORDER_REJECTED, Reason.MALFORMED)
        assert found.state_but_seq() == before
    head = PlaceList(market_id=MARKET, account_id=order.account_id, list_kind=ListKind.OTO)
    (event,) = found.run(encode_list(head, [labelled(found), order]))
    assert (event.KIND, event.leg, event.reason) == (EventKind.LIST_REJECTED, 2, Reason.MALFORMED)
    assert found.state_but_seq() == before


def changed(run: bytes, **bytes_at: int) -> bytes:
    """With other numbers of parts: `head` of the run, `order` of the frame behind it."""
    changed = bytearray(run)
    changed[2] = bytes_at.get("head", run[2])
    if "order" in bytes_at:
        changed[FRAME_SIZE + 2] = bytes_at["order"]
    return bytes(changed[: changed[2] * FRAME_SIZE].ljust(changed[2] * FRAME_SIZE, b"\0"))


@pytest.mark.parametrize(
    "parts",
    [{"head": 2}, {"head": 4}, {"head": 8}, {"head": 1}, {"order": 1}, {"order": 0}, {"order": 3}, {"order": 255}],
)
def test_frames_that_do_not_add_up(parts: dict[str, int]) -> None:
    found = table()
    order = labelled(found)
    before = found.state_but_seq()
    replacing = ReplaceOrder(market_id=MARKET, account_id=order.account_id, order_id=1, mode=1)
    block = PlaceBlock(market_id=MARKET, account_id=order.account_id, rule_id=1)
    (event,) = found.run(changed(encode_replace(replacing, order), **parts))
    assert (event.KIND, event.reason) == (EventKind.CANCEL_REJECTED, Reason.MALFORMED)
    (event,) = found.run(changed(encode_block(block, order), **parts))
    assert (event.KIND, event.reason, event.client_id) == (EventKind.ORDER_REJECTED, Reason.MALFORMED, "")
    head = PlaceList(market_id=MARKET, account_id=order.account_id, list_kind=ListKind.OTO)
    run = encode_list(head, [order, replace(order, strategy=None)])
    (event,) = found.run(changed(run, **parts) if parts != {"head": 4} else changed(run, head=5))
    assert (event.KIND, event.leg, event.reason) == (EventKind.LIST_REJECTED, 0, Reason.MALFORMED)
    assert found.state_but_seq() == before


@pytest.mark.parametrize("parts", [3, 5, 8])
def test_an_order_of_other_frames_is_malformed(parts: int) -> None:
    found = table()
    run = bytearray(encode_command(labelled(found)).ljust(parts * FRAME_SIZE, b"\0"))
    run[2] = parts
    (event,) = found.run(bytes(run))
    assert (event.KIND, event.reason) == (EventKind.ORDER_REJECTED, Reason.MALFORMED)


def test_an_order_cut_short_is_no_whole_run() -> None:
    found = table()
    run = bytearray(encode_command(labelled(found))[:FRAME_SIZE])
    stamp_at = found.now_ms + 1
    with pytest.raises(FrameError):
        stamp(run, stamp_at, 0)
    with pytest.raises(FrameError):
        found.engine.process(bytes(run))
