"""Writes of this app. Settings and states reach the engine through the outbox, in the transaction of their own row."""

from apps.markets.services.listing import MarketTerms, change_market_settings, create_asset, create_market
from apps.markets.services.mirror import mirror_settings, mirror_state
from apps.markets.services.states import MarketAction, set_market_state

__all__ = [
    "MarketAction",
    "MarketTerms",
    "change_market_settings",
    "create_asset",
    "create_market",
    "mirror_settings",
    "mirror_state",
    "set_market_state",
]
