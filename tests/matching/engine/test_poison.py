"""fault-F22: three skipped commands of a market stop its orders, three without a market those of the whole shard."""

from dataclasses import replace
from typing import Any

import pytest

from apps.matching.engine import Engine
from apps.matching.engine.poison import SKIPS_MAX
from apps.matching.engine.states import WORKERS_STOPS
from apps.streams.codec import decode_events, encode_command, stamp
from apps.streams.commands import CancelOrder, Command, PlaceOrder, SetMarketState, Tick
from apps.streams.events import InternalReject, MarketStateChanged
from apps.streams.kinds import CommandKind, EventKind, HaltCause, MarketState, OrderKind, Reason, Side, Source
from apps.streams.records import FRAME_SIZE
from tests.matching.engine.play import MARKET, Table, in_state
from tests.matching.engine.test_settings import market_frames

OTHER = 7
ORDER = PlaceOrder(market_id=MARKET, account_id=1001, order_kind=OrderKind.LIMIT, side=Side.BUY)
WITHOUT_MARKET = CancelOrder(account_id=1001, order_id=1)


def skip(table: Table, command: Command, reason: Reason = Reason.INTERNAL) -> list[Any]:
    table.now_ms += 1
    frames = bytearray(encode_command(command).ljust(command.parts * FRAME_SIZE, b"\0"))
    stamp(frames, table.now_ms, 0)
    events = decode_events(table.engine.skip(bytes(frames), reason))
    table.engine.validate()
    return events


def set_state(table: Table, state: MarketState, market_id: int = MARKET, **fields: Any) -> list[Any]:
    fields = {"cause": HaltCause.STAFF, **table.numbered()} | fields
    return table.send(SetMarketState(market_id=market_id, state=state, **fields))


def two_markets() -> Table:
    table = Table()
    table.run(market_frames(table, market_id=OTHER, symbol="OTHER"))
    set_state(table, MarketState.OPEN, OTHER)
    return table


def rows(table: Table) -> dict[int, tuple[int, int, int]]:
    """market_id -> (state, cause, skips)."""
    return {row.market_id: (row.state, row.cause, row.skips) for row in table.engine.markets()}


def kinds(events: list[Any]) -> list[EventKind]:
    return [event.KIND for event in events]


def test_the_third_skip_of_a_market_makes_it_cancel_only_and_only_it() -> None:
    table = two_markets()
    for _ in range(SKIPS_MAX - 1):
        assert kinds(skip(table, ORDER)) == [EventKind.INTERNAL_REJECT]
        assert rows(table)[MARKET][0] == MarketState.OPEN
    reject, changed = skip(table, ORDER)
    assert isinstance(reject, InternalReject)
    assert isinstance(changed, MarketStateChanged)
    assert (reject.reason, reject.op, reject.market_id) == (Reason.INTERNAL, CommandKind.PLACE_ORDER, MARKET)
    assert (changed.market_id, changed.old_state, changed.new_state) == (
        MARKET, MarketState.OPEN, MarketState.CANCEL_ONLY,
    )  # fmt: skip
    assert (changed.cause, changed.relay_seq, changed.source, changed.until_ms) == (HaltCause.POISON, 0, 0, 0)
    assert changed.seq == reject.seq + 1
    assert (changed.cmd_ms, changed.cmd_n, changed.cmd_index) == (reject.cmd_ms, reject.cmd_n, reject.cmd_index)
    assert rows(table) == {
        MARKET: (MarketState.CANCEL_ONLY, HaltCause.POISON, 3),
        OTHER: (MarketState.OPEN, HaltCause.STAFF, 0),
    }
    assert kinds(skip(table, ORDER)) == [EventKind.INTERNAL_REJECT]  # it says so once


def test_cancels_and_money_pass_in_a_poisoned_market_and_staff_reopens_it() -> None:
    table = Table()
    table.play(
        """
        ask  a1 alice 51000 1
        skip bid b1 alice 50000 0.1   -> skipped internal
        skip cancel a1                -> skipped internal
        skip state HALTED             -> skipped internal, OPEN to CANCEL_ONLY
        bid  b2 alice 50000 0.1       -> rejected market_cancel_only
        cancel a1                     -> canceled a1
        withdraw alice 1 USDT         -> moved
        state OPEN                    -> CANCEL_ONLY to OPEN
        skip bid b3 alice 50000 0.1   -> skipped internal
        skip bid b3 alice 50000 0.1   -> skipped internal
        bid  b3 alice 50000 0.1       -> rested
        skip bid b4 alice 50000 0.1   -> skipped internal, OPEN to CANCEL_ONLY
        """
    )


@pytest.mark.parametrize("command", [WITHOUT_MARKET, replace(ORDER, market_id=4242)])
def test_the_third_skip_without_a_market_makes_every_trading_market_cancel_only(command: Command) -> None:
    """A market that does not exist is none: there is nothing else to stop."""
    table = two_markets()
    for _ in range(SKIPS_MAX - 1):
        assert kinds(skip(table, command)) == [EventKind.INTERNAL_REJECT]
    assert table.engine.counters().skips == SKIPS_MAX - 1
    reject, *changed = skip(table, command)
    assert reject.KIND == EventKind.INTERNAL_REJECT
    assert [(event.market_id, event.new_state, event.cause) for event in changed] == [
        (MARKET, MarketState.CANCEL_ONLY, HaltCause.POISON),
        (OTHER, MarketState.CANCEL_ONLY, HaltCause.POISON),
    ]
    assert table.engine.counters().skips == 0
    # The count starts anew: two more stop nothing that staff has opened again, the third does.
    set_state(table, MarketState.OPEN)
    for _ in range(SKIPS_MAX - 1):
        assert kinds(skip(table, command)) == [EventKind.INTERNAL_REJECT]
    assert [event.market_id for event in skip(table, command)[1:]] == [MARKET]


@pytest.mark.parametrize("state", list(MarketState))
def test_which_states_go_to_cancel_only(state: MarketState) -> None:
    """What may trade, now or by itself later. A closed market is not opened for cancels by this."""
    goes = state in {MarketState.OPEN, MarketState.POST_ONLY, MarketState.HALTED, MarketState.AUCTION}
    for command in (ORDER, WITHOUT_MARKET):
        table = Table()
        table.engine = in_state(table.engine, state)
        events = [event for _ in range(SKIPS_MAX) for event in skip(table, command)]
        changes = [event for event in events if event.KIND == EventKind.MARKET_STATE_CHANGED]
        assert [(event.old_state, event.new_state) for event in changes] == ([(state, 6)] if goes else [])
        assert rows(table)[MARKET][0] == (MarketState.CANCEL_ONLY if goes else state)


def test_orders_that_were_too_old_are_no_poison() -> None:
    table = Table()
    for _ in range(2 * SKIPS_MAX):
        assert kinds(skip(table, ORDER, Reason.ENGINE_RESTARTED)) == [EventKind.INTERNAL_REJECT]
    assert rows(table)[MARKET] == (MarketState.OPEN, HaltCause.NONE, 0)


def test_a_relayed_command_that_was_applied_before_is_ignored_and_not_counted() -> None:
    table = Table()
    old = SetMarketState(market_id=MARKET, state=4, cause=1, relay_seq=1, source=Source.OUTBOX)
    for _ in range(SKIPS_MAX):
        assert skip(table, old) == []
    assert rows(table)[MARKET][2] == 0


@pytest.mark.parametrize("cause", [HaltCause.NONE, HaltCause.INVARIANT, HaltCause.CLOCK])
def test_only_staff_sets_a_count_to_nothing(cause: HaltCause) -> None:
    table = Table()
    skip(table, ORDER)
    stop = WORKERS_STOPS.get(cause, MarketState.HALTED)
    set_state(table, stop, cause=cause)
    assert rows(table)[MARKET] == (stop, cause, 1)
    set_state(table, MarketState.AUCTION)  # refused: nothing was moved
    assert rows(table)[MARKET][2] == 1
    set_state(table, MarketState.HALTED)
    assert rows(table)[MARKET][2] == 0


def test_a_market_that_was_opened_without_staff_stops_at_each_further_skip() -> None:
    table = Table()
    for _ in range(SKIPS_MAX):
        skip(table, ORDER)
    for count in (SKIPS_MAX + 1, SKIPS_MAX + 2):
        set_state(table, MarketState.OPEN, cause=HaltCause.NONE)
        assert kinds(skip(table, ORDER)) == [EventKind.INTERNAL_REJECT, EventKind.MARKET_STATE_CHANGED]
        assert rows(table)[MARKET] == (MarketState.CANCEL_ONLY, HaltCause.POISON, count)


def test_the_cause_poison_is_the_engines_own() -> None:
    table = Table()
    before = table.state_but_seq()
    (event,) = set_state(table, MarketState.HALTED, cause=HaltCause.POISON)
    assert (event.KIND, event.reason) == (EventKind.RELAY_REFUSED, Reason.MALFORMED)
    assert table.state_but_seq() == before


def test_counts_are_state() -> None:
    """A restored engine stops at the same command as the one that went on."""
    table = two_markets()
    skip(table, WITHOUT_MARKET)
    skip(table, ORDER)
    before = table.engine.state_hash()
    skip(table, ORDER)
    assert table.engine.state_hash() != before
    table.engine = Engine.restore(table.engine.snapshot())
    assert rows(table)[MARKET][2] == 2
    assert table.engine.counters().skips == 1
    assert kinds(skip(table, ORDER)) == [EventKind.INTERNAL_REJECT, EventKind.MARKET_STATE_CHANGED]


# -- what the worker asks for -----------------------------------------------------------------------------------------
DIRECT = {"relay_seq": 0, "source": Source.DIRECT}


@pytest.mark.parametrize(("cause", "stop"), WORKERS_STOPS.items())
@pytest.mark.parametrize("state", list(MarketState))
def test_a_stop_by_the_worker_stops_what_may_trade_and_nothing_else(
    state: MarketState, cause: HaltCause, stop: MarketState
) -> None:
    """The worker does not know a market's newest state: its stop must not open a closed one for anything."""
    table = Table()
    table.engine = in_state(table.engine, state)
    before = table.state_but_seq()
    (event,) = set_state(table, stop, cause=cause, **DIRECT)
    if state in {MarketState.OPEN, MarketState.POST_ONLY, MarketState.HALTED, MarketState.AUCTION}:
        assert (event.KIND, event.new_state, event.cause) == (EventKind.MARKET_STATE_CHANGED, stop, cause)
        assert (event.relay_seq, event.source) == (0, Source.DIRECT)
    else:
        assert (event.KIND, event.reason) == (EventKind.RELAY_REFUSED, Reason.INVALID_STATE)
        assert table.state_but_seq() == before


@pytest.mark.parametrize(("cause", "stop"), WORKERS_STOPS.items())
def test_a_cause_of_the_worker_leads_to_its_state_only(cause: HaltCause, stop: MarketState) -> None:
    for state in set(MarketState) - {stop}:
        table = Table()
        (event,) = set_state(table, state, cause=cause, **DIRECT)
        assert (event.KIND, event.reason) == (EventKind.RELAY_REFUSED, Reason.INVALID_STATE)
        assert rows(table)[MARKET][0] == MarketState.OPEN


def test_skipping_a_tick_counts_like_any_other_command() -> None:
    table = Table()
    skip(table, Tick())
    assert table.engine.counters().skips == 1
