"""Market states that the worker itself asks for, as sequenced commands like everybody's (T10).

Only markets that trade, or that a timer will let trade again, are stopped: in the other states nothing trades and
nothing begins to by itself. Staff open them again.
"""

from collections.abc import Iterable
from typing import Final

from apps.matching.engine.views import MarketRow
from apps.streams.codec import encode_command
from apps.streams.commands import SetMarketState
from apps.streams.kinds import HaltCause, MarketState, Source

TRADING_STATES: Final = frozenset({MarketState.OPEN, MarketState.POST_ONLY, MarketState.AUCTION})


def stop_commands(markets: Iterable[MarketRow], state: MarketState, cause: HaltCause) -> bytes:
    """Frames that put every market that trades, or will by itself, into `state`; empty where none does."""
    return b"".join(
        encode_command(
            SetMarketState(market_id=market.market_id, state=state, cause=cause, relay_seq=0, source=Source.DIRECT)
        )
        for market in markets
        if market.state in TRADING_STATES or market.until_ms
    )
