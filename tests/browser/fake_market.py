"""A small market behind the trading page's own tests: enough of an exchange to show every state on demand.

It is a test double. Prices and quantities are integers of 10^-8; matching is by price only and the fake maker never
runs out. The real engine is tested elsewhere, and the page against the real exchange in test_real_exchange.py.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from apps.common.amounts import format_units, parse_decimal

UNIT = 10**8
TICK = UNIT // 100
LOT = UNIT // 100_000
TAKER_PPM = 1_000
MAKER_PPM = 1_000

Json: TypeAlias = dict[str, Any]


@dataclass(slots=True)
class FakeOrder:
    order_id: int
    client_id: str
    side: str
    kind: str
    price: int
    quantity: int
    budget: int
    time_ms: int
    status: str = "NEW"
    filled: int = 0
    filled_quote: int = 0
    time_in_force: str = "GTC"
    stop: int = 0
    trail: int = 0
    visible: int = 0
    list_id: int = -1

    @property
    def waits(self) -> bool:
        return self.stop > 0 or self.trail > 0

    def row(self) -> Json:
        return {
            "symbol": "BTCUSDT", "orderId": self.order_id, "orderListId": self.list_id,
            "clientOrderId": self.client_id, "price": format_units(self.price), "origQty": format_units(self.quantity),
            "origQuoteOrderQty": format_units(self.budget), "executedQty": format_units(self.filled),
            "cummulativeQuoteQty": format_units(self.filled_quote), "status": self.status,
            "timeInForce": self.time_in_force, "type": self.kind, "side": self.side, "time": self.time_ms,
            "updateTime": self.time_ms, "transactTime": self.time_ms, "isWorking": not self.waits,
            "icebergQty": format_units(self.visible), **self.trigger(),
        }  # fmt: skip

    def trigger(self) -> Json:
        found: Json = {"stopPrice": format_units(self.stop)} if self.stop else {}
        return found | ({"trailingDelta": self.trail} if self.trail else {})


@dataclass(slots=True)
class FakeMarket:
    """One market, one trading account. `publish(stream, data)` and `notify(event)` are set by the server."""

    seed: int
    now_ms: Callable[[], int]
    publish: Callable[[str, Json], None] = lambda stream, data: None
    notify: Callable[[Json], None] = lambda event: None
    status: str = "TRADING"
    state: str = "OPEN"
    state_details: Json = field(default_factory=dict)
    last: int = 50_975 * UNIT
    update_id: int = 1_000
    bids: dict[int, int] = field(default_factory=dict)
    asks: dict[int, int] = field(default_factory=dict)
    trades: list[Json] = field(default_factory=list)
    orders: dict[int, FakeOrder] = field(default_factory=dict)
    own_trades: list[Json] = field(default_factory=list)
    balances: dict[str, list[int]] = field(default_factory=lambda: {"BTC": [2 * UNIT, 0], "USDT": [100_000 * UNIT, 0]})
    chance: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        for step in range(1, 60):
            self.bids[self.last - step * 250 * TICK - self.chance.randrange(200) * TICK] = self._some_quantity()
            self.asks[self.last + step * 250 * TICK + self.chance.randrange(200) * TICK] = self._some_quantity()
        for age in range(60, 0, -1):
            self._record_trade(self.last + self.chance.randrange(-500, 500) * TICK, self._some_quantity(), age * 1_700)

    def _some_quantity(self) -> int:
        return self.chance.choice((3, 17, 60, 250, 900)) * self.chance.randrange(10, 99) * LOT

    def _record_trade(self, price: int, quantity: int, age_ms: int = 0, *, buyer_made: bool | None = None) -> Json:
        sold = self.chance.random() < 0.5 if buyer_made is None else buyer_made
        trade = {
            "id": len(self.trades) + 1, "price": format_units(price), "qty": format_units(quantity),
            "quoteQty": format_units(price * quantity // UNIT), "time": self.now_ms() - age_ms, "isBuyerMaker": sold,
            "isBestMatch": True,
        }  # fmt: skip
        self.trades.append(trade)
        self.last = price
        return trade

    def print_trade(self, price: int, quantity: int, *, buyer_made: bool | None = None) -> Json:
        """A public trade: recorded and streamed with its candle."""
        trade = self._record_trade(price, quantity, buyer_made=buyer_made)
        now = self.now_ms()
        self.publish("btcusdt@trade", {
            "e": "trade", "E": now, "s": "BTCUSDT", "t": trade["id"], "p": trade["price"], "q": trade["qty"], "T": now,
            "m": trade["isBuyerMaker"], "M": True,
        })  # fmt: skip
        self.publish("btcusdt@kline_1m", {"e": "kline", "E": now, "s": "BTCUSDT", "k": {
            "t": now // 60_000 * 60_000, "o": trade["price"], "h": trade["price"], "l": trade["price"],
            "c": trade["price"], "v": trade["qty"], "x": False, "i": "1m",
        }})  # fmt: skip
        return trade

    def set_level(self, side: str, price: int, quantity: int, *, lose: bool = False) -> None:
        """Sets a level and streams the diff; `lose` leaves the message out, as a gap in the stream."""
        levels = self.bids if side == "b" else self.asks
        if quantity:
            levels[price] = quantity
        else:
            levels.pop(price, None)
        self.update_id += 1
        if not lose:
            self.publish("btcusdt@depth@100ms", {
                "e": "depthUpdate", "E": self.now_ms(), "s": "BTCUSDT", "U": self.update_id, "u": self.update_id,
                "b": [], "a": [], side: [[format_units(price), format_units(quantity)]],
            })  # fmt: skip

    def change_state(self, status: str, state: str, **details: Any) -> None:
        self.status, self.state, self.state_details = status, state, details
        self.publish("btcusdt@marketState", {"e": "marketState", "E": self.now_ms(), "s": "BTCUSDT", **self.told()})

    def told(self) -> Json:
        """The state as the stream and GET marketState tell it."""
        return {"status": self.status, "marketState": self.state, **self.state_details}

    def wander(self) -> None:
        """One random step of a live market."""
        side = self.chance.choice("ba")
        levels = sorted(self.bids, reverse=True) if side == "b" else sorted(self.asks)
        self.set_level(side, self.chance.choice(levels[:25]), self._some_quantity())
        if self.chance.random() < 0.3:
            best = max(self.bids) if self.chance.random() < 0.5 else min(self.asks)
            self.print_trade(best, self.chance.randrange(1, 900) * LOT * 10, buyer_made=best in self.bids)

    def place(self, params: Json) -> Json:
        """Takes order.place; the result is the FULL answer. Raises Refused."""
        if self.status != "TRADING":
            raise Refused(400, -2010, "Market is closed.")
        for order in self.orders.values():
            if order.client_id == params["newClientOrderId"]:
                return order.row() | {"fills": []}
        order = FakeOrder(
            order_id=len(self.orders) + 1, client_id=params["newClientOrderId"], side=params["side"],
            kind=params["type"], price=parse_decimal(params.get("price", "0")),
            quantity=parse_decimal(params.get("quantity", "0")), budget=parse_decimal(params.get("quoteOrderQty", "0")),
            time_ms=self.now_ms(), time_in_force=params.get("timeInForce", "GTC"),
            stop=parse_decimal(params.get("stopPrice", "0")), trail=int(params.get("trailingDelta", 0)),
            visible=parse_decimal(params.get("icebergQty", "0")), list_id=int(params.get("orderListId", -1)),
        )  # fmt: skip
        best = min(self.asks) if order.side == "BUY" else max(self.bids)
        if order.stop and not order.trail and self._fires(order):
            raise Refused(400, -2010, "Order would trigger immediately.")
        if order.kind == "LIMIT" and not best * 8 // 10 <= order.price <= best * 12 // 10:
            raise Refused(400, -1013, "Filter failure: PERCENT_PRICE_BY_SIDE")
        asset = "USDT" if order.side == "BUY" else "BTC"
        price = order.price or order.stop or best
        needed = order.budget or (order.quantity * price // UNIT if order.side == "BUY" else order.quantity)
        if needed > self.balances[asset][0]:
            raise Refused(400, -2010, "Account has insufficient balance for requested action.")
        crosses = order.kind == "MARKET" or (order.price >= best if order.side == "BUY" else order.price <= best)
        if order.kind == "LIMIT_MAKER" and crosses:
            raise Refused(400, -2010, "Order would immediately match and take.")
        self.orders[order.order_id] = order
        self._report(order, "NEW")
        if order.waits:
            self._move(asset, -needed, needed)
            return order.row() | {"fills": []}
        if order.time_in_force in ("IOC", "FOK") and not crosses:
            order.status = "EXPIRED"
            self._report(order, "EXPIRED")
            return order.row() | {"fills": []}
        if crosses:
            self.fill(order, order.quantity or order.budget * UNIT // best // LOT * LOT, best)
        else:
            self._move(asset, -needed, needed)
            levels, side = (self.bids, "b") if order.side == "BUY" else (self.asks, "a")
            self.set_level(side, order.price, levels.get(order.price, 0) + order.quantity)
        return order.row() | {"fills": []}

    def _fires(self, order: FakeOrder) -> bool:
        on_rise = order.kind.startswith("STOP_LOSS") == (order.side == "BUY")
        return self.last >= order.stop if on_rise else self.last <= order.stop

    def place_list(self, params: Json, contingency: str, legs: tuple[str, ...]) -> Json:
        """Takes orderList.place.*. All legs are placed and hold apart; the real exchange holds a pair once, and of an
        OTO the working order only.
        """
        names = {
            "type": "Type", "price": "Price", "stopPrice": "StopPrice", "timeInForce": "TimeInForce",
            "newClientOrderId": "ClientOrderId", "side": "Side", "quantity": "Quantity",
        }  # fmt: skip
        rows = []
        for leg in legs:
            # What both legs of a pair have in common is named without their place.
            shared = "pending" if leg.startswith("pending") else ""
            terms = {name: params[name] for name in ("side", "quantity") if name in params}
            for prefix in (shared, leg):
                terms |= {name: params[prefix + rest] for name, rest in names.items() if prefix + rest in params}
            rows.append(self.place(terms | {"orderListId": 1}))
        return {
            "orderListId": 1, "contingencyType": contingency, "listClientOrderId": params["listClientOrderId"],
            "orders": [{"symbol": "BTCUSDT", "orderId": row["orderId"]} for row in rows], "orderReports": rows,
        }  # fmt: skip

    def fill(self, order: FakeOrder, quantity: int, price: int) -> None:
        """A fill of an own order, whole or partial, with its events."""
        resting = order.order_id in self._resting()
        quote = price * quantity // UNIT
        trade = self.print_trade(price, quantity, buyer_made=order.side == "SELL")
        order.filled += quantity
        order.filled_quote += quote
        order.status = "PARTIALLY_FILLED" if order.quantity > order.filled else "FILLED"
        received, spent = ("BTC", "USDT") if order.side == "BUY" else ("USDT", "BTC")
        gross = quantity if order.side == "BUY" else quote
        fee = -(-gross * TAKER_PPM // 1_000_000)
        paid = quote if order.side == "BUY" else quantity
        self.balances[received][0] += gross - fee
        self.balances[spent][1 if resting else 0] -= paid
        self.own_trades.append({
            "symbol": "BTCUSDT", "id": trade["id"], "orderId": order.order_id, "price": trade["price"],
            "qty": trade["qty"], "quoteQty": trade["quoteQty"], "commission": format_units(fee),
            "commissionAsset": received, "time": trade["time"], "isBuyer": order.side == "BUY", "isMaker": resting,
        })  # fmt: skip
        self._report(order, "TRADE", self.own_trades[-1])
        self._position(received, spent)

    def _resting(self) -> set[int]:
        return {
            key
            for key, order in self.orders.items()
            if order.status in ("NEW", "PARTIALLY_FILLED") and order.kind != "MARKET"
        }

    def cancel(self, order_id: int) -> Json:
        order = self.orders.get(order_id)
        if order is None or order.status not in ("NEW", "PARTIALLY_FILLED"):
            raise Refused(400, -2011, "Unknown order sent.")
        order.status = "CANCELED"
        rest = order.quantity - order.filled
        asset, units = ("USDT", rest * (order.price or order.stop) // UNIT) if order.side == "BUY" else ("BTC", rest)
        self._move(asset, units, -units)
        if not order.waits:
            side, levels = ("b", self.bids) if order.side == "BUY" else ("a", self.asks)
            self.set_level(side, order.price, max(0, levels.get(order.price, 0) - rest))
        self._report(order, "CANCELED")
        return order.row() | {"origClientOrderId": order.client_id}

    def end(self, order: FakeOrder, status: str) -> None:
        """An own order ends by itself."""
        order.status = status
        self._report(order, status)

    def _move(self, asset: str, free: int, locked: int) -> None:
        self.balances[asset][0] += free
        self.balances[asset][1] += locked
        self._position(asset)

    def _position(self, *assets: str) -> None:
        now = self.now_ms()
        rows = [
            {"a": asset, "f": format_units(self.balances[asset][0]), "l": format_units(self.balances[asset][1])}
            for asset in assets
        ]
        self.notify({"e": "outboundAccountPosition", "E": now, "u": now, "B": rows})

    def _report(self, order: FakeOrder, kind: str, trade: Json | None = None) -> None:
        fill = trade or {
            "qty": "0.00000000",
            "price": "0.00000000",
            "quoteQty": "0.00000000",
            "commission": "0",
            "commissionAsset": None,
            "id": -1,
            "isMaker": False,
        }
        self.notify({
            "e": "executionReport", "E": self.now_ms(), "s": "BTCUSDT",
            "C": order.client_id if kind == "CANCELED" else "",
            "c": f"cancel-{order.order_id}" if kind == "CANCELED" else order.client_id,
            "S": order.side, "o": order.kind,
            "f": order.time_in_force, "P": format_units(order.stop), "F": format_units(order.visible),
            "g": order.list_id, **({"d": order.trail} if order.trail else {}), "x": kind,
            "q": format_units(order.quantity), "p": format_units(order.price), "X": order.status,
            "r": "NONE", "i": order.order_id, "l": fill["qty"], "z": format_units(order.filled), "L": fill["price"],
            "Y": fill["quoteQty"], "Z": format_units(order.filled_quote), "n": fill["commission"],
            "N": fill["commissionAsset"], "T": self.now_ms(), "t": fill["id"], "m": fill["isMaker"], "O": order.time_ms,
            "Q": format_units(order.budget), "w": not order.waits,
            **({"eR": "UNFILLED_IOC_QUANTITY_EXPIRED"} if kind == "EXPIRED" else {}),
        })  # fmt: skip


class Refused(Exception):
    """A refusal in the dialect's words."""

    def __init__(self, status: int, code: int, msg: str) -> None:
        super().__init__(msg)
        self.status, self.code, self.msg = status, code, msg
