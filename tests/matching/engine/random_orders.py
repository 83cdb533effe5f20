"""Random commands that use every order kind, time in force and self-trade mode, and let time pass in larger steps.

`Commands` itself stays as it is: the golden snapshot bodies of older rules are states of its histories.
"""

from collections.abc import Mapping
from dataclasses import asdict, replace
from random import Random
from typing import Any

import msgspec

from apps.matching.engine import Engine
from apps.streams.codec import (
    decode_events,
    decode_settings,
    encode_block,
    encode_command,
    encode_list,
    encode_replace,
    encode_set_allocation,
    encode_set_asset,
    encode_set_market,
)
from apps.streams.commands import (
    AmendOrder,
    CancelAll,
    CancelOrder,
    PlaceBlock,
    PlaceList,
    PlaceOrder,
    ReplaceOrder,
    ReviewOrder,
    SetAccount,
    SetCancelTimer,
    SetClassState,
    SetMarketState,
    Strategy,
)
from apps.streams.events import OrderAmended, OrderParked
from apps.streams.kinds import (
    AcceptedFlag,
    AllocationMethod,
    BreakerMeasure,
    CancelFlag,
    CommandKind,
    ListKind,
    MarketState,
    OrderKind,
    Side,
    Source,
    StpMode,
    TimeInForce,
)
from apps.streams.messages import AllocationSettings, AssetSettings, BreakerRule
from tests.matching.engine.random_commands import ACCOUNTS, ASSETS
from tests.matching.engine.random_commands import Commands as SpineCommands

RULES = (
    BreakerRule(1, BreakerMeasure.PRICE, 900, 1_000, 120),
    BreakerRule(2, BreakerMeasure.VWAP, 800, 3_001, 180),
    BreakerRule(7, BreakerMeasure.PRICE, 2_000, 20_000, 300),
)
RESTING = (TimeInForce.GTC, TimeInForce.GTC, TimeInForce.GTD)
IMMEDIATE = (TimeInForce.IOC, TimeInForce.FOK)


class Commands(SpineCommands):
    """One random history over all rules. `placed` is (account, client id, lots) of limit orders.

    An engine goes along to say which orders were `parked`: staff names them by an id that only it gives; and which were
    `amended` to more than a lot.
    """

    rules: Mapping[str, int] = {
        "max_conditional_orders": 4, "max_order_lists": 2, "max_order_amends": 1, "conditional_buffer_bp": 300,
    }  # fmt: skip

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.extras = Random(f"extras {seed}")  # apart, so that strategies change nothing else of a history
        self.placed: list[tuple[int, str, int]] = []
        self.parked: list[OrderParked] = []
        self.amended: list[OrderAmended] = []
        self.lists: list[bytes] = []
        self.engine = Engine(50)
        for account_id in (7, 8):
            self.setup.append(encode_command(SetAccount(account_id=account_id, family_id=1, **self.relay())))
        self.setup += [self._allocation(method) for method in AllocationMethod]

    def next(self) -> bytes:
        frames = super().next()
        for event in decode_events(self.engine.process(frames)):
            if isinstance(event, OrderParked):
                self.parked.append(event)
            elif isinstance(event, OrderAmended) and event.quantity_lots > 1:
                self.amended.append(event)
        return frames

    def _choose(self) -> bytes:
        if self.placed and self.random.random() < 0.07:
            return encode_command(self._amend())
        if self.random.random() < 0.01:
            timeout_ms = self.random.choice((0, 1, 300, 2_000, 2_000))
            return encode_command(SetCancelTimer(account_id=self.random.choice(ACCOUNTS), timeout_ms=timeout_ms))
        if self.placed and self.random.random() < 0.04:
            return self._replace()
        if self.parked and self.random.random() < 0.05:
            return encode_command(self._review())
        if self.random.random() < 0.08:
            return self._block()
        if self.random.random() < 0.12:
            return self._list()
        if self.random.random() < 0.008:
            return self._settings()
        if self.random.random() < 0.035:  # staff ends halts early, mostly
            market_id = self.random.choice((1, 2))
            wanted = self.random.choice((MarketState.OPEN, MarketState.OPEN, MarketState.AUCTION))
            return encode_command(SetMarketState(market_id=market_id, state=wanted, cause=0, **self.relay()))
        if self.random.random() < 0.003:
            asset_class, wanted = self.random.choice(("", "coin", "coin", "?")), self.random.choice((1, 2, 4, 5, 9))
            command = SetClassState(
                asset_class=asset_class, state=wanted, cause=self.random.choice((0, 1, 4)), **self.relay()
            )
            return encode_command(command)
        if self.random.random() < 0.003:
            asset_id = self.random.choice(tuple(ASSETS))
            settings = AssetSettings(
                asset_id=asset_id, code=ASSETS[asset_id], asset_class=self.random.choice(("", "coin"))
            )
            return encode_set_asset(settings, **self.relay())
        if self.random.random() < 0.015:
            self.now_ms += self.random.choice((900, 900, 900, 1_500, 30_000, 60_000, 121_000))
        if self.random.random() < 0.005:
            return self._allocation(self.random.choice(tuple(AllocationMethod)))
        return super()._choose()

    def _review(self) -> ReviewOrder:
        order = self.random.choice(self.parked[-4:])
        return ReviewOrder(
            market_id=order.market_id,
            account_id=order.account_id,
            order_id=order.order_id,
            decision=self.random.choice((1, 1, 1, 2, 3)),
            **self.relay(),
        )

    def _settings(self) -> bytes:
        """Of markets also the rules that are newer than the spine."""
        frames = super()._settings()
        if frames[1] != CommandKind.SET_MARKET:
            return frames
        random = self.random
        settings = msgspec.structs.replace(
            decode_settings(frames),
            bid_up_bp=random.choice((30_000, 10_300)),
            ask_down_bp=random.choice((3_000, 9_700)),
            park_outside_band=random.random() < 0.7,
            park_expiry_s=random.choice((1, 2, 3_600)),
            max_iceberg_orders=random.choice((0, 1, 1)),
            breaker_rules=[rule for rule in RULES if random.random() < 0.5],
            breaker_min_notional_units=random.choice((0, 0, 2 * 10**8)),
            call_s=random.choice((0, 1, 3, 30)),
            collar_bp=random.choice((0, 200, 1_000)),
            max_extensions=random.choice((0, 1, 3)),
            max_order_amends=self.extras.choice((0, 1, 1, 2)),
        )
        return encode_set_market(settings, relay_seq=self.relay_seq, source=Source.OUTBOX)

    def _allocation(self, method: AllocationMethod) -> bytes:
        """The rule of account 1 with the method's number; its accounts may not be of one family any more."""
        random = self.random
        accounts = random.choice(([1, 7, 8], [8, 7], [7, 8, 1], [1], [6, 7], []))
        fixed = method is AllocationMethod.FIXED and accounts
        weights = [10_000 - 777 * (len(accounts) - 1), *[777] * (len(accounts) - 1)] if fixed else []
        settings = AllocationSettings(
            account_id=1, rule_id=method, method=method, accounts=accounts, weights_bp=weights
        )  # fmt: skip
        return encode_set_allocation(settings, **self.relay())

    def _list(self) -> bytes:
        """Mostly one that makes sense: its prices lie around the last one, its legs are of the kinds they may be."""
        if self.lists and self.random.random() < 0.1:
            return self.random.choice(self.lists[-4:])  # once more
        random, kind = self.random, self.random.choice(tuple(ListKind))
        first = self._order()
        lots, side = random.choice((1, 3, 10, random.randrange(1, 60))), random.randrange(2)
        fields: dict[str, Any] = {
            "market_id": first.market_id, "account_id": first.account_id, "settings_version": first.settings_version,
            "quantity_lots": lots, "time_in_force": TimeInForce.GTC,
        }  # fmt: skip

        def leg(**changes: Any) -> PlaceOrder:
            values = fields | {"stp_mode": random.choice((*StpMode, StpMode.DECREMENT))} | changes
            if random.random() < 0.2:
                values["client_id"] = f"l{random.randrange(60)}"
            if values["order_kind"] in (OrderKind.STOP_LOSS, OrderKind.TAKE_PROFIT, OrderKind.MARKET):
                values |= {"price_ticks": 0, "time_in_force": TimeInForce.NONE}
            elif random.random() < 0.1:
                values |= {"time_in_force": TimeInForce.GTD, "expires_ms": self.now_ms + random.choice((5, 500, 9_000))}
            elif random.random() < 0.1:
                values["display_lots"] = random.choice((1, 2, lots))
            return PlaceOrder(**values, strategy=self._strategy())

        def pair(side: int) -> list[PlaceOrder]:
            price, far = round(random.gauss(100, 3)), random.choice((1, 2, 4))
            target = random.choice((OrderKind.LIMIT_MAKER, OrderKind.LIMIT_MAKER, OrderKind.TAKE_PROFIT_LIMIT))
            stop = random.choice((OrderKind.STOP_LOSS, OrderKind.STOP_LOSS_LIMIT))
            up = 1 if side else -1
            bips = random.choice((0, 0, 0, 200))
            targets = leg(
                side=side, order_kind=target, price_ticks=max(1, price + up * far),
                stop_price_ticks=0 if target is OrderKind.LIMIT_MAKER else max(1, price + up * far),
            )  # fmt: skip
            stops = leg(
                side=side, order_kind=stop, price_ticks=max(1, price - up * 2 * far), trailing_bips=bips,
                stop_price_ticks=max(1, price - up * far),
            )  # fmt: skip
            return [targets, stops] if side else [stops, targets]

        working = leg(
            side=side, order_kind=random.choice((OrderKind.LIMIT, OrderKind.LIMIT, OrderKind.LIMIT_MAKER)),
            price_ticks=max(1, round(random.gauss(100, 2))),
        )  # fmt: skip
        if kind is ListKind.OCO:
            orders = pair(side)
        elif kind is ListKind.OTOCO:
            orders = [working, *pair(1 - side if random.random() < 0.8 else side)]
        else:
            kinds = (OrderKind.LIMIT, OrderKind.MARKET, OrderKind.LIMIT_MAKER, OrderKind.STOP_LOSS_LIMIT)
            pending = random.choice(kinds)
            stop_price_ticks = max(1, round(random.gauss(100, 4))) if pending is OrderKind.STOP_LOSS_LIMIT else 0
            orders = [working, leg(
                side=random.choice((side, 1 - side, 1 - side)), order_kind=pending, stop_price_ticks=stop_price_ticks,
                price_ticks=max(1, round(random.gauss(100, 4))),
            )]  # fmt: skip
        if random.random() < 0.05:
            orders.reverse()
        head = PlaceList(
            market_id=first.market_id, account_id=first.account_id, list_kind=kind,
            list_client_id=random.choice(("", f"L{random.randrange(30)}", f"L{random.randrange(10**9)}")),
        )  # fmt: skip
        self.placed += [(order.account_id, order.client_id, 9) for order in orders if order.client_id]
        self.lists.append(encode_list(head, orders))
        return self.lists[-1]

    def _block(self) -> bytes:
        random, order = self.random, self._order()
        order = replace(order, account_id=1, display_lots=0)
        if random.random() < 0.95:
            order = replace(order, client_id=f"b{order.client_id}")
        if order.quantity_lots > 1:
            self.placed += [(1, order.client_id, order.quantity_lots)] * 3
        method = random.choice(tuple(AllocationMethod))
        requested = []
        if method is AllocationMethod.PRO_RATA:
            requested = [random.choice((0, 1, 1, 5, 99)) for _ in range(random.choice((1, 2, 2, 3, 3, 3)))]
        return encode_block(PlaceBlock(market_id=order.market_id, account_id=1, rule_id=method), order, requested)

    def _replace(self) -> bytes:
        account_id, client_id, _ = self.random.choice(self.placed[-20:])
        order = replace(self._order(), account_id=account_id)
        mode = self.random.choice((0, 1, 1, 1, 2, 2))
        head = ReplaceOrder(
            market_id=order.market_id, account_id=account_id, client_id=client_id, mode=mode, flags=self._restriction()
        )
        return encode_replace(head, order)

    def _amend(self) -> AmendOrder:
        random = self.random
        if self.amended and self.extras.random() < 0.3:  # once more
            order = self.extras.choice(self.amended[-4:])
            return AmendOrder(
                account_id=order.account_id, order_id=order.order_id, quantity_lots=order.quantity_lots - 1
            )
        account_id, client_id, lots = random.choice(self.placed[-30:])
        quantity_lots = random.choice((0, 1, lots - 1, lots // 2, lots // 2, lots))
        if random.random() < 0.2:
            return AmendOrder(account_id=account_id, order_id=random.randrange(400), quantity_lots=quantity_lots)
        return AmendOrder(account_id=account_id, client_id=client_id, quantity_lots=quantity_lots)

    def _order(self) -> PlaceOrder:
        random, order = self.random, super()._order()
        fields: dict[str, Any] = asdict(order)
        if random.random() < 0.5:
            fields["stp_mode"] = random.choice((*StpMode, StpMode.DECREMENT, StpMode.DECREMENT))
        if order.order_kind == OrderKind.LIMIT and random.random() < 0.6:
            if random.random() < 0.15:
                fields["order_kind"] = OrderKind.LIMIT_MAKER
            fields["time_in_force"] = random.choice(RESTING + IMMEDIATE)
            if fields["time_in_force"] == TimeInForce.GTD:
                fields["expires_ms"] = self.now_ms + random.choice((-5, 0, 1, 30, 300, 3_000, 10**9))
            if random.random() < 0.35:
                fields["display_lots"] = random.choice((1, 2, 5, 20, order.quantity_lots))
        if random.random() < 0.16 and not order.budget_units:
            self._make_conditional(fields)
        if order.client_id and order.quantity_lots > 1:
            self.placed.append((order.account_id, order.client_id, order.quantity_lots))
        return PlaceOrder(**fields | {"strategy": self._strategy()})

    def _strategy(self) -> Strategy | None:
        """Of one order in five; now and then one that is none."""
        extras = self.extras
        if extras.random() < 0.8:
            return None
        given = (
            extras.choice((AcceptedFlag.STRATEGY_ID, AcceptedFlag.STRATEGY_TYPE, 24)) if extras.random() < 0.97 else 5
        )
        strategy_id, strategy_type = extras.choice((0, 7, 2**63 - 1)), extras.choice((0, 1_000_000))
        return Strategy(
            strategy_id=strategy_id if given & AcceptedFlag.STRATEGY_ID else 0,
            strategy_type=strategy_type if given & AcceptedFlag.STRATEGY_TYPE else 0,
            given=given,
        )

    def _cancel(self) -> CancelOrder | CancelAll:
        command = super()._cancel()
        return replace(command, flags=self._restriction()) if isinstance(command, CancelOrder) else command

    def _restriction(self) -> int:
        return self.extras.choices((0, *CancelFlag, 3), (70, 14, 14, 2))[0]

    def _make_conditional(self, fields: dict[str, Any]) -> None:
        """Stops near the price, on the right side of it mostly; one in three trails, with or without activation."""
        random, is_stop = self.random, self.random.random() < 0.6
        if fields["order_kind"] == OrderKind.MARKET:
            fields["order_kind"] = OrderKind.STOP_LOSS if is_stop else OrderKind.TAKE_PROFIT
        else:
            fields["order_kind"] = OrderKind.STOP_LOSS_LIMIT if is_stop else OrderKind.TAKE_PROFIT_LIMIT
        below = is_stop == (fields["side"] == Side.SELL)
        away = round(abs(random.gauss(0, 6))) + (random.random() < 0.9)
        fields["stop_price_ticks"] = 100 - away if below else 100 + away
        if random.random() < 0.35:
            fields["trailing_bips"] = random.choice((100, 100, 200, 500, 1_000, 9, 2_001))
            if random.random() < 0.6:
                fields["stop_price_ticks"] = 0
