"""One market: its settings, its state, its book and the ids it gives out."""

from collections import OrderedDict
from typing import TYPE_CHECKING

from apps.matching.engine.accounts import Asset, Seat
from apps.matching.engine.book import BUY, SELL, BookSide, Order
from apps.matching.engine.breaker import NO_DISTANCE, Breaker
from apps.matching.engine.fees import rates_by_tier
from apps.streams.kinds import HaltCause, MarketState
from apps.streams.messages import MarketSettings

if TYPE_CHECKING:
    from apps.matching.engine.conditional import Conditional


class Market:
    """`last_price_ticks` is 0 before the first trade. `skips` is for poison.py.

    `conditional` has the orders that wait for a trigger, None before the first one; `triggered` those that wait for
    their turn, first come first served, by order_id. `breaker` is None without rules.

    `until_ms`, `reopens_ms` and `rule_id` are those of the event that brought the state (MARKET_STATE_CHANGED);
    `timer_seq` is that event's seq where a timer ends the state, else 0. `halts` says when breaker halts began, oldest
    first, as far as they may still count. In AUCTION `auction_ticks` and `auction_lots` are the last AUCTION_PRICE, and
    `extensions` counts how often the call phase went on. `told` and `told_ms` are the last HALT_DISTANCE and its time.
    """

    __slots__ = (
        "asks",
        "auction_lots",
        "auction_ticks",
        "base_asset",
        "base_asset_id",
        "bids",
        "breaker",
        "cause",
        "conditional",
        "extensions",
        "halts",
        "last_agg_id",
        "last_prevented_id",
        "last_price_ticks",
        "last_trade_id",
        "lot_size",
        "maker_ppm",
        "market_id",
        "quote_asset",
        "quote_asset_id",
        "reopens_ms",
        "rule_id",
        "seats",
        "settings",
        "settings_version",
        "skips",
        "state",
        "taker_ppm",
        "timer_seq", "told", "told_ms",
        "triggered",
        "unit_factor",
        "until_ms",
    )  # fmt: skip

    def __init__(self, settings: MarketSettings, base_asset: Asset, quote_asset: Asset) -> None:
        self.market_id = settings.market_id
        self.base_asset = base_asset
        self.quote_asset = quote_asset
        self.base_asset_id = base_asset.asset_id
        self.quote_asset_id = quote_asset.asset_id
        self.state = int(MarketState.PRE_LAUNCH)
        self.cause = int(HaltCause.NONE)
        self.bids = BookSide(BUY)
        self.asks = BookSide(SELL)
        self.seats: dict[int, Seat] = {}
        self.last_price_ticks = 0
        self.last_trade_id = 0
        self.last_agg_id = 0
        self.last_prevented_id = 0
        self.skips = 0
        self.conditional: Conditional | None = None
        self.triggered: OrderedDict[int, Order] = OrderedDict()
        self.until_ms = self.reopens_ms = self.rule_id = self.timer_seq = 0
        self.halts: list[int] = []
        self.extensions = self.auction_ticks = self.auction_lots = 0
        self.breaker: Breaker | None = None
        self.told, self.told_ms = NO_DISTANCE, 0
        self.apply(settings)

    def apply(self, settings: MarketSettings) -> None:
        """Use these settings from now on. What is read for each order stands in own attributes."""
        self.settings = settings
        self.settings_version = settings.settings_version
        self.lot_size = settings.lot_size
        self.unit_factor = settings.unit_factor
        self.maker_ppm, self.taker_ppm = rates_by_tier(settings.fees)
        if not settings.breaker_rules:
            self.breaker = None
        elif self.breaker is None:
            self.breaker = Breaker(settings.breaker_rules, self.unit_factor, self.last_price_ticks)
        else:
            self.breaker = self.breaker.renewed(settings.breaker_rules, self.unit_factor, self.last_price_ticks)

    def reference_price(self) -> int:
        """Last trade, before the first one the initial price, in ticks (matching-rules.md 1)."""
        return self.last_price_ticks or self.settings.initial_price_ticks

    def side(self, side: int) -> BookSide:
        return self.bids if side == BUY else self.asks

    def opposite(self, side: int) -> BookSide:
        return self.asks if side == BUY else self.bids

    def is_empty(self) -> bool:
        """No order is open, in the book or waiting. O(accounts)."""
        return not any(seat.open_orders for seat in self.seats.values())

    def is_crossed(self) -> bool:
        """The best bid meets the best ask. Keys: bid price >= ask price means bid key + ask key >= 0."""
        bids, asks = self.bids.keys, self.asks.keys
        return bool(bids and asks) and bids[-1] + asks[-1] >= 0
