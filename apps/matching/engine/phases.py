"""The phases of a halt, one after another by their timers: HALTED, AUCTION, OPEN (T9, matching-rules.md 6 and 7).

The call phase is the last part of the halt, as long as was planned when the halt began; a market without one opens when
the halt ends. At the end of the call phase the market opens at the auction's price. Outside the collar the call phase
goes on for call_s, at most max_extensions times; then the market is halted until staff acts.

A timer that fires more than LATE_MS after its time opens nothing: nobody was served meanwhile, or the clock jumped. A
call phase then has its whole length again, and a halt without one goes on for LATE_MS.
"""

from typing import Final

from apps.matching.engine.auction import NO_PRICE, is_outside_collar, tell_price
from apps.matching.engine.market import Market
from apps.matching.engine.moving import move_market
from apps.matching.engine.state import State
from apps.matching.engine.triggered import run_triggered
from apps.matching.engine.triggers import evaluate
from apps.matching.engine.uncross import expire_overdue, pair_orders
from apps.streams.kinds import HaltCause, MarketState

LATE_MS: Final = 2_000  # the jump of a clock that the worker lets pass (clockjump.py)


def end_phase(state: State, market: Market) -> None:
    """The time of the market's state is over."""
    now_ms = state.journal.now_ms
    is_late = now_ms - market.until_ms > LATE_MS
    if market.state == MarketState.AUCTION:
        if is_late:
            _go_on(state, market, now_ms)
        else:
            _end_call(state, market)
        return
    call_ms = market.reopens_ms - market.until_ms
    if call_ms:
        _move(state, market, MarketState.AUCTION, market.cause, now_ms + call_ms if is_late else market.reopens_ms)
    elif is_late:
        _move(state, market, MarketState.HALTED, market.cause, now_ms + LATE_MS)
    else:
        open_market(state, market)


def open_market(state: State, market: Market) -> None:
    """To OPEN by a timer; what was triggered takes its turns."""
    move_market(state, market, MarketState.OPEN, HaltCause.NONE)
    run_triggered(state, market)


def _end_call(state: State, market: Market) -> None:
    expire_overdue(state, market)
    found = tell_price(state, market)
    if found is NO_PRICE:
        open_market(state, market)
    elif not is_outside_collar(market, found.price_ticks):
        pair_orders(state, market, found)
        move_market(state, market, MarketState.OPEN, HaltCause.NONE)
        evaluate(state, market, found.price_ticks)
        run_triggered(state, market)
    elif market.extensions < market.settings.max_extensions:
        market.extensions += 1
        _go_on(state, market, market.until_ms)
    else:
        move_market(state, market, MarketState.HALTED, HaltCause.NO_AUCTION_PRICE)


def _go_on(state: State, market: Market, from_ms: int) -> None:
    until_ms = from_ms + max(market.settings.call_s * 1_000, LATE_MS)
    _move(state, market, MarketState.AUCTION, HaltCause.AUCTION_EXTENDED, until_ms)


def _move(state: State, market: Market, new_state: MarketState, cause: int, until_ms: int) -> None:
    """To a state that leads to OPEN when its time is over."""
    move_market(
        state, market, new_state, cause, until_ms=until_ms, reopens_ms=until_ms, rule_id=market.rule_id
    )  # fmt: skip
