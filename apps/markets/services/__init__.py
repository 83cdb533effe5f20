"""Writes of this app. Settings and states reach the engine through the outbox, in the transaction of their own row."""

from apps.markets.services.classes import CLASS_ACTIONS, change_asset_class, set_class_state
from apps.markets.services.listing import MarketTerms, change_market_settings, create_asset, create_market
from apps.markets.services.mirror import mirror_asset, mirror_settings, mirror_state, record_moved
from apps.markets.services.states import MarketAction, set_market_state

__all__ = [
    "CLASS_ACTIONS",
    "MarketAction",
    "MarketTerms",
    "change_asset_class",
    "change_market_settings",
    "create_asset",
    "create_market",
    "mirror_asset",
    "mirror_settings",
    "mirror_state",
    "record_moved",
    "set_class_state",
    "set_market_state",
]
