"""A market moves to another state: one event, and the timer that will end the new state where it ends by itself (T10).

Only here. A timer of the state before is left behind. A market that opens starts its breakers from its last price.
"""

from typing import Final

from apps.matching.engine.market import Market
from apps.matching.engine.state import State
from apps.streams.kinds import MarketState, Source

_OPEN: Final = int(MarketState.OPEN)
_AUCTION: Final = int(MarketState.AUCTION)


def move_market(
    state: State,
    market: Market,
    new_state: int,
    cause: int,
    *,
    relay_seq: int = 0,
    source: int = Source.DIRECT,
    until_ms: int = 0,
    reopens_ms: int = 0,
    rule_id: int = 0,
) -> None:
    """`until_ms` is when a timer ends the new state, 0 for never; the others as in MARKET_STATE_CHANGED."""
    if market.timer_seq:
        market.timer_seq = 0
        state.timers.leave_behind()
    old_state, market.state, market.cause = market.state, new_state, cause
    market.until_ms, market.reopens_ms, market.rule_id = until_ms, reopens_ms, rule_id
    if new_state == _AUCTION:
        state.auctions[market.market_id] = market
    elif old_state == _AUCTION:
        state.auctions.pop(market.market_id)
        market.extensions = market.auction_ticks = market.auction_lots = 0
    state.journal.market_state_changed(market, relay_seq, source, old_state)
    if until_ms:
        market.timer_seq = state.journal.seq
        state.timers.add(until_ms, market.timer_seq, market)
    if new_state == _OPEN and old_state != _OPEN and market.breaker is not None:
        market.breaker.restart(market.last_price_ticks)
