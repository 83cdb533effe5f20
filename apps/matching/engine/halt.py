"""A circuit breaker halts its market (T9, matching-rules.md 6); a timer ends the halt (phases.py).

The halt lasts min(300, rule.halt_s + 60 (n - 1)) s; n counts the breaker halts of this market that began within the
last 60 minutes, this one included.
"""

from typing import Final

from apps.matching.engine.market import Market
from apps.matching.engine.moving import move_market
from apps.matching.engine.state import State
from apps.streams.kinds import HaltCause, MarketState
from apps.streams.messages import HALT_S_MAX

HOUR_MS: Final = 3_600_000
LONGER_S: Final = 60  # for each further halt within the hour


def trip_breaker(state: State, market: Market) -> None:
    """A print was forbidden and its taker has ended: halt, unless too little was left of it."""
    breaker = market.breaker
    assert breaker is not None
    assert breaker.tripped is not None
    rule, breaker.tripped = breaker.tripped, None
    if breaker.rest_units < market.settings.breaker_min_notional_units:
        return
    now_ms = state.journal.now_ms
    market.halts = [*recent_halts(market, now_ms), now_ms]
    length_ms = min(HALT_S_MAX, rule.halt_s + LONGER_S * (len(market.halts) - 1)) * 1_000
    reopens_ms = now_ms + length_ms
    move_market(
        state, market, MarketState.HALTED, HaltCause.BREAKER,
        until_ms=reopens_ms - market.settings.call_s * 1_000, reopens_ms=reopens_ms, rule_id=rule.rule_id,
    )  # fmt: skip


def recent_halts(market: Market, now_ms: int) -> list[int]:
    """When its breaker halts of the last 60 minutes began, oldest first."""
    return [begun_ms for begun_ms in market.halts if begun_ms > now_ms - HOUR_MS]
