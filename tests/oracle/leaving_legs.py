"""Random histories in which a sweep's first print often ends orders that rest further along its way: the legs of OCOs
whose other leg it triggers. Read-only runs must know it (docs/matching/order-lists.md).
"""

from dataclasses import replace
from random import Random
from typing import Any

from msgspec import structs

from apps.streams.codec import encode_command, encode_list
from apps.streams.commands import PlaceList, PlaceOrder
from apps.streams.kinds import ListKind, OrderKind, Side, StpMode, TimeInForce
from apps.streams.messages import MarketSettings
from tests.oracle.streams import MARKETS, History


class Legs(History):
    """Books that stand beyond the last price, lists with both legs between the two, and takers that need a run."""

    def __init__(self, seed: int) -> None:
        self.habits = Random(seed + 2)
        self.immediate = self.habits.choice((0.2, 0.4))  # of new orders
        super().__init__(seed)
        self.spread = self.habits.choice((3.0, 6.0, 20.0))
        self.apart = self.spread * self.habits.choice((0.5, 1.0))
        self.lots_max = self.habits.choice((5, 20))
        self.weights[self.actions.index(self.order_list)] = self.habits.choice((20, 40))
        self.weights[self.actions.index(self.cancel)] = 3
        self.weights[self.actions.index(self.settings)] = self.weights[self.actions.index(self.state)] = 0.1

    def market(self, market_id: int, version: int = 1) -> MarketSettings:
        """Few limits; a breaker now and then."""
        settings = super().market(market_id, version)
        few = dict.fromkeys(
            (
                "bid_down_bp", "bid_up_bp", "ask_down_bp", "ask_up_bp", "max_order_lists", "max_iceberg_orders",
                "max_conditional_orders", "min_notional_units", "max_notional_units",
            ),
            0,
        )  # fmt: skip
        rules = settings.breaker_rules if self.habits.random() < 0.3 else []
        return structs.replace(
            settings, max_open_orders=40, max_lots=1_000, market_max_lots=1_000, min_price_ticks=1, min_lots=1,
            max_price_ticks=MARKETS[market_id][4] * 100, breaker_rules=rules, **few,
        )  # fmt: skip

    def new_order(self, **fixed: Any) -> PlaceOrder:
        order = super().new_order(**fixed)
        if "order_kind" in fixed or order.order_kind != OrderKind.LIMIT or self.habits.random() > self.immediate:
            return order
        return self.asking(order)

    def asking(self, order: PlaceOrder) -> PlaceOrder:
        """Of its account and side an order that asks a read-only run."""
        random = self.habits
        around, lots = MARKETS.get(order.market_id, MARKETS[1])[4], random.randint(1, 4 * self.lots_max)
        fields: dict[str, Any] = {
            "market_id": order.market_id, "account_id": order.account_id, "side": order.side,
            "settings_version": order.settings_version, "stp_mode": random.choice(tuple(StpMode)),
        }  # fmt: skip
        draw = random.random()
        if draw < 0.4:
            away = random.randint(0, 1 + round(4 * self.spread))
            price = max(1, around + (away if order.side == Side.BUY else -away))
            fields |= {"order_kind": OrderKind.LIMIT, "time_in_force": TimeInForce.FOK, "price_ticks": price}
            return PlaceOrder(**fields, quantity_lots=lots)
        if draw < 0.7:
            return PlaceOrder(**fields, order_kind=OrderKind.MARKET, quantity_lots=lots)
        _, _, tick_size, lot_size, _ = MARKETS.get(order.market_id, MARKETS[1])
        budget = lots * around * tick_size * lot_size // 10**8 + random.choice((0, 0, 1, 12_345))
        return PlaceOrder(**fields, order_kind=OrderKind.MARKET, budget_units=budget)

    def order_list(self) -> bytes:
        """Mostly an OCO whose resting leg stands beyond the last price, with the stop on the way to it."""
        random = self.habits
        if random.random() < 0.2:
            return super().order_list()
        market_id, account_id = self.some_market(), self.some_account()
        around = MARKETS.get(market_id, MARKETS[1])[4]
        last = self.last.get(market_id, around)
        side = random.choice((0, 0, 0, 1)) if last < around else random.choice((1, 1, 1, 0))
        up = 1 if side == Side.BUY else -1  # to where the stop is
        reach = 1 + round(2 * self.spread)
        stop = max(2, last + up * random.randint(1, reach))
        price = max(1, stop - up * random.randint(1, reach))
        lots = random.randint(1, self.lots_max)
        common: dict[str, Any] = {
            "market_id": market_id, "account_id": account_id, "settings_version": self.versions.get(market_id, 1),
            "side": side, "quantity_lots": lots, "client_id": "",
        }  # fmt: skip
        shown = random.choice((0, 0, 1, 2))
        until = random.choice((0, 0, 0, self.now_ms + random.choice((5, 3_000))))
        target = PlaceOrder(
            **common, order_kind=OrderKind.LIMIT_MAKER, price_ticks=price, display_lots=min(shown, lots),
            time_in_force=TimeInForce.GTD if until else TimeInForce.GTC, expires_ms=until,
        )  # fmt: skip
        bips = random.choice((0, 0, 100, 500, 2_000))
        guard = PlaceOrder(
            **common, order_kind=OrderKind.STOP_LOSS, trailing_bips=bips,
            stop_price_ticks=0 if bips and random.random() < 0.7 else stop,
        )  # fmt: skip
        if random.random() < 0.3:
            worst = max(1, stop + up * random.randint(-reach, reach))
            guard = replace(
                guard, order_kind=OrderKind.STOP_LOSS_LIMIT, time_in_force=TimeInForce.GTC, price_ticks=worst
            )
        legs = [target, guard] if side == Side.SELL else [guard, target]
        kind = ListKind.OCO
        if random.random() < 0.2:
            first = {"side": 1 - side, "budget_units": 0, "market_id": market_id, "account_id": account_id}
            working = self.new_order(**(self.limit_fields(last, 1 - side, lots) | first))
            legs, kind = [working, *legs], ListKind.OTOCO
        if random.random() < 0.8 and not self.queue:  # what stands before the leg and behind it, then a taker
            places = [stop + up * random.randint(-1, reach), price - up * random.randint(0, reach)]
            for place in random.sample(places, random.choice((1, 2, 2))):
                resting = PlaceOrder(
                    **common | {"account_id": self.some_account()}, order_kind=OrderKind.LIMIT_MAKER,
                    time_in_force=TimeInForce.GTC, price_ticks=max(1, place), display_lots=random.choice((0, 0, 1)),
                )  # fmt: skip
                self.queue.append(encode_command(resting))
            self.queue.append(encode_command(self.asking(self.new_order(side=1 - side, market_id=market_id))))
        return encode_list(PlaceList(market_id=market_id, account_id=account_id, list_kind=kind), legs)
