"""The tail of the events: answers find their requests in every order of arrival, and accounts get what touches them."""

import asyncio
from typing import Any, cast

import pytest

from apps.gateway.core import CorePipe
from apps.gateway.errors import ApiError, not_executed
from apps.gateway.tail import EventTail, commands_of
from apps.streams.codec import encode_event
from apps.streams.events import MoneyMoved, OrderAccepted, OrderRejected, Trade
from apps.streams.kinds import (
    AcceptedFlag,
    CommandKind,
    Counterparty,
    OrderKind,
    Side,
    StpMode,
    TimeInForce,
    TradeFlag,
)
from apps.streams.names import ShardKeys
from apps.streams.records import EVENT_SIZE, FrameError


def rejected(seq: int, ms: int, n: int, index: int, account_id: int = 1001) -> bytes:
    return encode_event(
        OrderRejected(
            seq=seq, cmd_ms=ms, cmd_n=n, cmd_index=index, account_id=account_id, side=Side.BUY,
            order_kind=OrderKind.LIMIT, client_id="x", market_id=1,
        )
    )  # fmt: skip


def trade(seq: int, taker: int, maker: int) -> bytes:
    zeros = {
        name: 0 for name in Trade.__dataclass_fields__ if name.endswith(("available", "held", "units", "lots", "_id"))
    }
    return encode_event(
        Trade(**{**zeros, "seq": seq, "cmd_ms": 5, "cmd_n": 0, "cmd_index": 0, "account_id": taker, "market_id": 1,
                 "maker_account_id": maker, "price_ticks": 1, "flags": TradeFlag.TAKER_IS_BUYER})
    )  # fmt: skip


def money(seq: int, account_id: int, to_account_id: int) -> bytes:
    return encode_event(
        MoneyMoved(
            seq=seq, cmd_ms=5, cmd_n=0, cmd_index=0, account_id=account_id, relay_seq=1, source=1,
            counter=Counterparty.NONE, asset_id=1, amount_units=5, released_units=0, available_units=0, held_units=0,
            to_account_id=to_account_id, to_available_units=0, to_held_units=0, op=CommandKind.TRANSFER, key="k",
        )
    )  # fmt: skip


def accepted(seq: int, account_id: int, flags: AcceptedFlag) -> bytes:
    return encode_event(
        OrderAccepted(
            seq=seq, cmd_ms=5, cmd_n=0, cmd_index=seq, account_id=account_id, market_id=1, flags=flags, order_id=seq,
            price_ticks=1, quantity_lots=1, budget_units=0, display_lots=0, stop_price_ticks=0, expires_ms=0,
            available_units=0, held_units=0, level_lots=1, trailing_bips=0, side=Side.BUY, order_kind=OrderKind.LIMIT,
            time_in_force=TimeInForce.GTC, stp_mode=StpMode.EXPIRE_TAKER, client_id="x",
        )
    )  # fmt: skip


def make_tail() -> EventTail:
    return EventTail("unix:///nowhere", ShardKeys("spot"))


def futures(count: int) -> list["asyncio.Future[list[bytes]]"]:
    return [asyncio.get_running_loop().create_future() for _ in range(count)]


class Listener:
    def __init__(self) -> None:
        self.seen: list[list[int]] = []
        self.lost = 0

    def on_events(self, events: list[Any]) -> None:
        self.seen.append([event.seq for event in events])

    def on_lost(self) -> None:
        self.lost += 1


async def test_every_command_of_an_entry_gets_its_own_events() -> None:
    tail = make_tail()
    waiting = futures(3)
    tail.expect(7, 1, waiting)
    first, second, third, fourth = (rejected(seq, 7, 1, index) for seq, index in ((1, 0), (2, 0), (3, 1), (4, 2)))
    tail.on_entry(first + second + third)
    assert waiting[0].result() == [first, second]
    assert waiting[1].result() == [third]
    assert not waiting[2].done()
    tail.on_entry(fourth)
    assert waiting[2].result() == [fourth]


async def test_events_may_come_before_the_answer_of_the_append() -> None:
    tail = make_tail()
    tail.appends_in_flight = 1
    event = rejected(1, 7, 0, 0)
    tail.on_entry(event + rejected(2, 7, 1, 0))
    waiting = futures(2)
    tail.expect(7, 0, waiting)
    assert waiting[0].result() == [event]
    late = rejected(3, 7, 0, 1)
    tail.on_entry(late)
    assert waiting[1].result() == [late]


async def test_events_of_others_and_abandoned_requests_are_forgotten() -> None:
    tail = make_tail()
    tail.on_entry(rejected(1, 7, 0, 0))
    assert not tail._early
    abandoned = futures(1)
    tail.expect(8, 0, abandoned)
    abandoned[0].cancel()
    tail.on_entry(rejected(2, 8, 0, 0))
    tail._drop_settled()
    assert not tail._expected


async def test_an_account_gets_its_own_events_whatever_its_role() -> None:
    tail = make_tail()
    taker, maker, receiver = Listener(), Listener(), Listener()
    for account_id, listener in ((1001, taker), (1002, maker), (1003, receiver)):
        tail.follow(account_id, listener)
    tail.on_entry(trade(1, 1001, 1002) + money(2, 1001, 1003) + rejected(3, 6, 0, 0, 1002))
    assert (taker.seen, maker.seen, receiver.seen) == ([[1, 2]], [[1], [3]], [[2]])
    tail.unfollow(1002, maker)
    tail.on_entry(trade(4, 1001, 1002))
    assert maker.seen == [[1], [3]]


@pytest.mark.parametrize(
    "body",
    [
        b"\x00" * 191, b"\x02" + rejected(1, 1, 0, 0)[1:], b"\x01\xff" + rejected(1, 1, 0, 0)[2:],
        rejected(1, 1, 0, 0) + b"\x01",
    ],
)  # fmt: skip
async def test_unknown_events_stop_the_process(body: bytes) -> None:
    with pytest.raises(FrameError):
        make_tail().on_entry(body)


class Answers:
    """A pipe with prepared answers."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)

    def execute(self, *arguments: Any) -> "asyncio.Future[Any]":
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        future.set_result(self.answers.pop(0))
        return future


def answered(tail: EventTail, *answers: Any) -> EventTail:
    tail._pipe = cast(CorePipe, Answers(*answers))
    return tail


def entry(first: int, last: int, body: bytes) -> Any:
    return [[b"events", [[f"{last}-0".encode(), [b"f", str(first).encode(), b"d", body]]]]]


async def test_trimmed_past_us_is_told_and_goes_on_at_the_head() -> None:
    tail, listener = make_tail(), Listener()
    tail.follow(1001, listener)
    await answered(tail, b"10", None)._find_place()
    tail.started.set()
    assert tail.seq == 10
    await answered(tail, entry(20, 20, rejected(20, 1, 0, 0)), b"25", b"19")._read_some()
    assert (tail.seq, listener.lost, listener.seen) == (25, 1, [])


async def test_a_gap_that_trimming_does_not_explain_stops_the_process() -> None:
    tail = make_tail()
    tail.seq = 10
    tail.started.set()
    with pytest.raises(FrameError, match="starts at 20 after 10"):
        await answered(tail, entry(20, 20, rejected(20, 1, 0, 0)), b"25", b"10")._read_some()


async def test_a_log_that_went_back_is_told() -> None:
    tail, listener = make_tail(), Listener()
    tail.follow(1001, listener)
    tail.seq = 10
    tail.started.set()
    await answered(tail, b"5", None)._find_place()
    assert (tail.seq, listener.lost) == (5, 1)


def test_a_failing_listener_does_not_end_the_answers() -> None:
    """One account's user data breaks: its streams end, the others and the waiting requests go on."""

    class Broken(Listener):
        def on_events(self, events: list[Any]) -> None:
            raise KeyError("no such market")

    async def run() -> None:
        tail, broken, whole = make_tail(), Broken(), Listener()
        tail.follow(1, broken)
        tail.follow(2, whole)
        [reply] = futures(1)
        tail.expect(5, 0, [reply])
        tail.on_entry(trade(7, taker=1, maker=2))
        assert (broken.lost, whole.seen, whole.lost) == (1, [[7]], 0)
        assert len(await reply) == 1

    asyncio.run(run())


@pytest.mark.parametrize(
    "spoilt", [b"\x02" + rejected(1, 1, 0, 0)[1:], b"\x01\xff" + rejected(1, 1, 0, 0)[2:], b"\x01"]
)
def test_an_entry_is_walked_alike_by_everybody(spoilt: bytes) -> None:
    """A reader of past events does not pass over what ends the process that follows new ones."""
    body = trade(1, 1001, 1002) + money(2, 1001, 1003) + rejected(3, 6, 0, 2, 1004)
    first, second, third = (body[at : at + EVENT_SIZE] for at in range(0, len(body), EVENT_SIZE))
    found = list(commands_of(body))
    assert found == [((5, 0, 0), [first, second], {1001, 1002, 1003}), ((6, 0, 2), [third], {1004})]
    with pytest.raises(FrameError):
        list(commands_of(body + spoilt))


async def test_accounts_that_label_orders_are_known_from_the_record_and_the_events_and_again_after_a_gap() -> None:
    tail = make_tail()
    answers: asyncio.Queue[tuple[int, set[int]] | ApiError] = asyncio.Queue()

    async def read() -> tuple[int, set[int]]:
        answer = await answers.get()
        answers.task_done()
        if isinstance(answer, ApiError):
            raise answer
        return answer

    def told() -> list[bool]:
        return [tail.labelled.may_be(account_id) for account_id in (1001, 1002, 1003)]

    tail.labelled.read = read
    running = asyncio.create_task(tail.labelled.run())
    try:
        answers.put_nowait(not_executed())
        answers.put_nowait((5, {1001}))
        tail.seq = 4
        tail.started.set()
        await asyncio.wait_for(answers.join(), 30)
        await asyncio.sleep(0)
        assert told() == [True, True, True]  # the events are behind what was read
        tail.seq = 5
        assert told() == [True, False, False]
        tail.on_entry(accepted(6, 1002, AcceptedFlag.STRATEGY_TYPE) + accepted(7, 1003, AcceptedFlag.RESTED))
        assert told() == [True, True, False]
        tail.labelled.forget()
        assert told() == [True, True, True]
        answers.put_nowait((5, {1003}))
        await asyncio.wait_for(answers.join(), 30)
        await asyncio.sleep(0)
        assert told() == [True, True, True]
        assert not tail.labelled.may_be(1004)
    finally:
        running.cancel()
