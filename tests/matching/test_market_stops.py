"""States that the worker asks for: every market that trades is stopped, the others are left alone (T10)."""

import pytest

from apps.matching.market_stops import TRADING_STATES, stop_commands
from apps.streams.codec import decode_events, stamp
from apps.streams.kinds import HaltCause, MarketState
from apps.streams.records import FRAME_SIZE
from tests.matching.engine.play import MARKET, Table, in_state
from tests.matching.engine.test_settings import market_frames, state_command

STOPS = [(MarketState.HALTED, HaltCause.CLOCK), (MarketState.CANCEL_ONLY, HaltCause.INVARIANT)]


@pytest.mark.parametrize(("state", "cause"), STOPS)
def test_every_trading_market_is_stopped_in_one_entry(state: MarketState, cause: HaltCause) -> None:
    table = Table()
    for market_id, symbol, start in ((7, "OTHER", MarketState.POST_ONLY), (8, "THIRD", MarketState.CLOSED)):
        table.run(market_frames(table, market_id=market_id, symbol=symbol))
        table.run(state_command(table, market_id=market_id, state=start))
    frames = bytearray(stop_commands(table.engine.markets(), state, cause))
    assert len(frames) == 2 * FRAME_SIZE
    stamp(frames, table.now_ms + 3_600_000, 0)
    events = decode_events(table.engine.process(bytes(frames)))
    assert [(event.market_id, event.new_state, event.cause) for event in events] == [
        (MARKET, state, cause),
        (7, state, cause),
    ]
    table.engine.validate()
    assert stop_commands(table.engine.markets(), state, cause) == b""


@pytest.mark.parametrize(("stop", "cause"), STOPS)
@pytest.mark.parametrize("state", sorted(TRADING_STATES))
def test_the_engine_accepts_the_stop_from_every_trading_state(
    state: MarketState, stop: MarketState, cause: HaltCause
) -> None:
    engine = in_state(Table().engine, state)
    frames = bytearray(stop_commands(engine.markets(), stop, cause))
    stamp(frames, 1_800_000_010_000, 0)
    (event,) = decode_events(engine.process(bytes(frames)))
    assert (event.old_state, event.new_state) == (state, stop)
