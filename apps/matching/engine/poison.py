"""Poison: a market whose commands keep failing takes no more orders (architecture.md section 3, Poison; fault-F22).

A command whose application failed is skipped with reason INTERNAL. Each such skip is counted for its market, or for the
shard where the command names no market that exists. The third one, and in a market each later one, stops new orders: of
that market, or of all. Cancels and money commands go on, so that everybody can leave.

The counts are part of the state, so every replay and the standby stop at the same command. A staff command that moves
the market sets its count to nothing; the shard's count starts anew after each third skip.
"""

from typing import Final

from apps.matching.engine.market import Market
from apps.matching.engine.moving import move_market
from apps.matching.engine.state import State
from apps.matching.engine.states import MAY_TRADE
from apps.streams.kinds import HaltCause, MarketState

SKIPS_MAX: Final = 3

_CANCEL_ONLY: Final = int(MarketState.CANCEL_ONLY)
_POISON: Final = int(HaltCause.POISON)


def count_skip(state: State, market_id: int) -> None:
    """One more command of the market, 0 for none, was skipped because it failed."""
    market = state.markets.get(market_id)
    if market is not None:
        market.skips += 1
        if market.skips >= SKIPS_MAX:
            _stop_orders(state, market)
        return
    state.skips += 1
    if state.skips >= SKIPS_MAX:
        state.skips = 0
        for _, each in sorted(state.markets.items()):
            _stop_orders(state, each)


def _stop_orders(state: State, market: Market) -> None:
    """Cancel-only, unless the market does not trade anyway and only staff can change that."""
    if market.state in MAY_TRADE:
        move_market(state, market, _CANCEL_ONLY, _POISON)
