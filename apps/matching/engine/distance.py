"""Distance to halt: how far the next print may go, told at a TICK (T9, matching-rules.md 6).

At most once a second for each market that is open, and only if it differs from what was told last. A market that has no
breakers any more has no distance.
"""

from typing import Final

from apps.matching.engine.breaker import NO_DISTANCE
from apps.matching.engine.state import State
from apps.streams.kinds import MarketState

TOLD_EVERY_MS: Final = 1_000
_OPEN: Final = int(MarketState.OPEN)


def tick(state: State, frames: bytes, offset: int) -> None:
    """Time passes: what was due has run before this."""
    now_ms = state.journal.now_ms
    for _, market in sorted(state.markets.items()):
        breaker = market.breaker
        if breaker is None and market.told == NO_DISTANCE:
            continue
        if market.state != _OPEN or now_ms < market.told_ms + TOLD_EVERY_MS:
            continue
        found = NO_DISTANCE if breaker is None else breaker.distance(now_ms, market.last_price_ticks)
        if found != market.told:
            market.told, market.told_ms = found, now_ms
            state.journal.halt_distance(market.market_id, found)
