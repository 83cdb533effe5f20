"""Random histories in which markets are in call auctions most of the time."""

from dataclasses import replace
from random import Random
from typing import Any

from msgspec import structs

from apps.streams.codec import encode_command, encode_set_asset
from apps.streams.commands import PlaceOrder, SetClassState, SetMarketState
from apps.streams.kinds import HaltCause, MarketState, OrderKind, TimeInForce
from apps.streams.messages import AssetSettings, MarketSettings
from tests.oracle.streams import ASSETS, MARKETS, History


class Calls(History):
    """Books cross, calls end by their timers, late or in time, and staff moves whole classes."""

    def __init__(self, seed: int) -> None:
        self.habits = Random(seed + 1)
        self.crossing = self.habits.choice((0.3, 0.8))  # of limit orders that may join a call
        super().__init__(seed)
        self.apart = 0.0
        more = {self.call: 8, self.classes: 0.7, self.asset_class: 0.3}
        self.steps_ms = self.habits.choice(((0, 0, 0, 1, 7, 100), (0, 1, 5), (0, 0, 0, 0, 50, 1_000)))
        self.actions += list(more)
        self.weights += list(more.values())

    def choose(self) -> bytes:
        if self.habits.random() < 0.9:  # staff mostly lets a call end by itself
            self.to_open = [each for each in self.to_open if each[0] not in self.halted_until]
        return super().choose()

    def market(self, market_id: int, version: int = 1) -> MarketSettings:
        random = self.habits
        return structs.replace(
            super().market(market_id, version),
            call_s=random.choice((0, 1, 1, 2, 5, 30, 119)),
            collar_bp=random.choice((0, 0, 50, 300, 2_000)),
            max_extensions=random.choice((0, 1, 2, 100)),
            max_iceberg_orders=random.choice((0, 0, 5)),
        )

    def call(self) -> bytes:
        market_id = self.habits.choice(tuple(MARKETS))
        cause = self.habits.choice((HaltCause.STAFF, HaltCause.NONE))
        return encode_command(
            SetMarketState(market_id=market_id, state=MarketState.AUCTION, cause=cause, **self.relay())
        )

    def classes(self) -> bytes:
        random = self.habits
        name = random.choice(("", "coin", "coin", "coin", "cash", "x" * 16))
        state = random.choice((2, 2, 3, 4, 5, 5, 6, 9))
        cause = random.choice((0, 1, 1, 2, 4, 7))
        return encode_command(SetClassState(asset_class=name, state=state, cause=cause, **self.relay()))

    def asset_class(self) -> bytes:
        asset_id = self.habits.choice(tuple(ASSETS))
        name = self.habits.choice(("coin", "coin", "cash", "", "x" * 16, "x" * 17, "é"))
        return encode_set_asset(
            AssetSettings(asset_id=asset_id, code=ASSETS[asset_id], asset_class=name), **self.relay()
        )

    def new_order(self, **fixed: Any) -> PlaceOrder:
        order = super().new_order(**fixed)
        if order.order_kind != OrderKind.LIMIT or order.time_in_force == TimeInForce.GTD:
            return order
        if self.habits.random() > self.crossing:
            return order
        return replace(order, time_in_force=TimeInForce.GTC)
