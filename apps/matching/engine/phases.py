"""A state of a market ends by its timer (T9, matching-rules.md 6 and 7).

A timer that fires more than LATE_MS after its time opens nothing: nobody was served meanwhile, or the clock jumped. The
halt then goes on for that long from now on.
"""

from typing import Final

from apps.matching.engine.market import Market
from apps.matching.engine.moving import move_market
from apps.matching.engine.state import State
from apps.matching.engine.triggered import run_triggered
from apps.streams.kinds import HaltCause, MarketState

LATE_MS: Final = 2_000  # the jump of a clock that the worker lets pass (clockjump.py)


def end_phase(state: State, market: Market) -> None:
    """The time of the market's state is over."""
    now_ms = state.journal.now_ms
    if now_ms - market.until_ms > LATE_MS:
        again_ms = now_ms + LATE_MS
        move_market(
            state, market, market.state, market.cause,
            until_ms=again_ms, reopens_ms=again_ms, rule_id=market.rule_id,
        )  # fmt: skip
        return
    move_market(state, market, MarketState.OPEN, HaltCause.NONE)
    run_triggered(state, market)
