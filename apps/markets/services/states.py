"""Staff moves a market to another state (T10). The engine decides and only the engine refuses by it."""

from enum import StrEnum
from typing import Final
from uuid import uuid4

from django.db import transaction

from apps.markets.models import Market, MarketStateChange
from apps.markets.services.listing import locked_market
from apps.outbox import services as outbox
from apps.outbox.requests import required_reason
from apps.streams.commands import SetMarketState
from apps.streams.kinds import HaltCause, MarketState


class MarketAction(StrEnum):
    """What staff can ask for, in the words of `manage.py market`."""

    OPEN = "open"
    HALT = "halt"
    AUCTION = "auction"
    CANCEL_ONLY = "cancel-only"
    POST_ONLY = "post-only"
    CLOSE = "close"


STATE_OF_ACTION: Final = {
    MarketAction.OPEN: MarketState.OPEN,
    MarketAction.HALT: MarketState.HALTED,
    MarketAction.AUCTION: MarketState.AUCTION,
    MarketAction.CANCEL_ONLY: MarketState.CANCEL_ONLY,
    MarketAction.POST_ONLY: MarketState.POST_ONLY,
    MarketAction.CLOSE: MarketState.CLOSED,
}


@transaction.atomic
def set_market_state(*, symbol: str, action: MarketAction, reason: str, requested_by: str) -> MarketStateChange:
    """Record who asks for what and why, and send it to the engine. Raises UnknownMarket and ReasonMissing.

    Asking for the state that the mirror already shows is allowed: the mirror may be behind the engine.
    """
    reason = required_reason(reason)
    market = locked_market(symbol)
    state = STATE_OF_ACTION[action]
    change = MarketStateChange.objects.create(
        market=market,
        state=Market.State(state),
        reason=reason,
        requested_by=requested_by,
        outbox_key=f"market:{market.id}:state:{uuid4().hex}",
    )
    command = SetMarketState(market_id=market.id, state=state, cause=HaltCause.STAFF, relay_seq=0, source=0)
    outbox.enqueue(key=change.outbox_key, command=command, shard=market.shard)
    return change
