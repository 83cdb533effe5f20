"""Writes event logs as an engine would, without one: the caller says what happens, the tape keeps the balances.

It checks nothing; a test that wants a wrong log writes one. Amounts: market 1 is BTCUSDT with lots of 0.00001 BTC and
ticks of 0.01 USDT, so one tick times one lot is 10 units of USDT.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from apps.common.amounts import fee_units, rebate_units
from apps.common.hashchain import GENESIS, extend
from apps.matching.engine import RULES_VERSION
from apps.streams.bus.base import EntryId, EventEntry
from apps.streams.codec import encode_event
from apps.streams.commands import Strategy
from apps.streams.events import (
    MarketStateChanged,
    MoneyMoved,
    OrderAccepted,
    OrderAmended,
    OrderClosed,
    OrderParked,
    OrderReviewed,
    OrderTriggered,
    PreventedMatch,
    RelayRefused,
    SettingsApplied,
    Trade,
)
from apps.streams.kinds import (
    AcceptedFlag,
    CommandKind,
    Counterparty,
    MarketState,
    OrderKind,
    OrderStatus,
    Review,
    Side,
    Source,
    StpMode,
    TimeInForce,
    TradeFlag,
)
from apps.streams.messages import MarketSettings

NO_STRATEGY = Strategy(given=0)
BTC, USDT = 1, 5
MARKET = 1
MAKER_PPM, TAKER_PPM = 800, 1_000


def market_settings(**changes: Any) -> MarketSettings:
    values: dict[str, Any] = {
        "market_id": MARKET, "symbol": "BTCUSDT", "base_asset_id": BTC, "quote_asset_id": USDT, "settings_version": 1,
        "tick_size": 1_000_000, "lot_size": 1_000, "initial_price_ticks": 5_000_000, "min_price_ticks": 1,
        "max_price_ticks": 10**9, "min_lots": 1, "max_lots": 10**9, "market_max_lots": 10**9, "min_notional_units": 0,
        "max_notional_units": 0, "bid_down_bp": 0, "bid_up_bp": 0, "ask_down_bp": 0, "ask_up_bp": 0,
        "max_open_orders": 0, "fees": [(MAKER_PPM, TAKER_PPM)],
    }  # fmt: skip
    return MarketSettings(**(values | changes))


@dataclass
class TapeOrder:
    id: int
    account_id: int
    side: Side
    price_ticks: int
    lots: int
    client_id: str
    filled: int = 0
    filled_quote: int = 0
    prevented: int = 0

    @property
    def left(self) -> int:
        return self.lots - self.filled - self.prevented


@dataclass
class Tape:
    """The log of shard 'spot'; `cut` turns what was written since the last cut into one stream entry."""

    settings: MarketSettings = field(default_factory=market_settings)
    epoch: int = 1
    ms: int = 1_700_000_000_000
    seq: int = 0
    chain: str = GENESIS

    def __post_init__(self) -> None:
        self.balances: dict[tuple[int, int], list[int]] = defaultdict(lambda: [0, 0])
        self.orders: dict[int, TapeOrder] = {}
        self.entries: list[EventEntry] = []
        self._pending: list[bytes] = []
        self._first = 1
        self._trades = 0
        self._prevented = 0

    def write(self, record: type[Any], **values: Any) -> Any:
        """Append one event with the next seq."""
        self.seq += 1
        event = record(seq=self.seq, cmd_ms=self.ms, cmd_n=0, cmd_index=self.seq, **values)
        self._pending.append(encode_event(event))
        return event

    def cut(self) -> list[EventEntry]:
        """End the entry; all entries so far."""
        if self._pending:
            body = b"".join(self._pending)
            chain = extend(self.chain, self._first, self.seq, body)
            self.entries.append(
                EventEntry(
                    self._first, self.seq, self.epoch, self.chain, chain, EntryId(self.ms, 0), body, RULES_VERSION
                )
            )
            self.chain, self._first, self._pending = chain, self.seq + 1, []
            self.ms += 7
        return self.entries

    # -- What happens -------------------------------------------------------------------------------------------------

    def apply_settings(self, relay_seq: int, settings: MarketSettings | None = None) -> None:
        self.settings = settings or self.settings
        self.write(
            SettingsApplied, relay_seq=relay_seq, source=Source.OUTBOX, op=CommandKind.SET_MARKET,
            object_id=self.settings.market_id, settings_version=self.settings.settings_version, family_id=0, fee_tier=0,
        )  # fmt: skip

    def open_market(self, relay_seq: int) -> None:
        self.write(
            MarketStateChanged, market_id=self.settings.market_id, relay_seq=relay_seq, source=Source.OUTBOX,
            old_state=MarketState.PRE_LAUNCH, new_state=MarketState.OPEN, cause=0, until_ms=0,
        )  # fmt: skip

    def money(
        self, op: CommandKind, account: int, asset: int, amount: int, relay_seq: int, key: str, to: int = 0
    ) -> None:
        mine = self.balances[account, asset]
        released = 0
        if op == CommandKind.CREDIT:
            mine[0] += amount
        elif op in (CommandKind.DEBIT, CommandKind.TRANSFER):
            mine[0] -= amount
        elif op == CommandKind.HOLD:
            mine[0], mine[1] = mine[0] - amount, mine[1] + amount
        elif op == CommandKind.RELEASE:
            mine[0], mine[1] = mine[0] + amount, mine[1] - amount
        elif op == CommandKind.CAPTURE:
            released = mine[1] - amount
            mine[0], mine[1] = mine[0] + released, 0
        if to:
            self.balances[to, asset][0] += amount
        theirs = self.balances[to, asset] if to else [0, 0]
        self.write(
            MoneyMoved, account_id=account, relay_seq=relay_seq, source=Source.OUTBOX, counter=Counterparty.EXTERNAL,
            asset_id=asset, amount_units=amount, released_units=released, available_units=mine[0], held_units=mine[1],
            to_account_id=to, to_available_units=theirs[0], to_held_units=theirs[1], op=op, key=key,
        )  # fmt: skip

    def refuse(self, op: CommandKind, reason: int, relay_seq: int, key: str) -> None:
        self.write(
            RelayRefused, reason=reason, relay_seq=relay_seq, source=Source.OUTBOX, op=op, object_id=0, amount_units=0,
            key=key,
        )  # fmt: skip

    def accept(
        self, order_id: int, account: int, side: Side, price: int, lots: int, client_id: str = "", stop: int = 0,
        strategy: Strategy = NO_STRATEGY,
    ) -> TapeOrder:  # fmt: skip
        """With a `stop` it is a STOP_LOSS_LIMIT, which waits."""
        asset, held = self._pays(side, price, lots)
        balance = self.balances[account, asset]
        balance[0], balance[1] = balance[0] - held, balance[1] + held
        order = self.orders[order_id] = TapeOrder(order_id, account, side, price, lots, client_id or f"c{order_id}")
        self.write(
            OrderAccepted, flags=(AcceptedFlag.WAITING if stop else 0) | strategy.given,
            market_id=self.settings.market_id, account_id=account, order_id=order_id, price_ticks=price,
            quantity_lots=lots, budget_units=0, display_lots=0, stop_price_ticks=stop, expires_ms=0,
            available_units=balance[0], held_units=balance[1], level_lots=0, trailing_bips=0, side=side,
            order_kind=OrderKind.STOP_LOSS_LIMIT if stop else OrderKind.LIMIT, time_in_force=TimeInForce.GTC,
            stp_mode=1, client_id=order.client_id, strategy_id=strategy.strategy_id,
            strategy_type=strategy.strategy_type,
        )  # fmt: skip
        return order

    def trade(self, maker_id: int, taker_id: int, lots: int, *, maker_ppm: int = MAKER_PPM) -> Trade:
        """`lots` at the maker's price; fees at TAKER_PPM and `maker_ppm`."""
        maker, taker = self.orders[maker_id], self.orders[taker_id]
        price, base = maker.price_ticks, lots * self.settings.lot_size
        quote = price * lots * self.settings.unit_factor
        taker_gets, maker_gets = (base, quote) if taker.side == Side.BUY else (quote, base)
        taker_fee = fee_units(taker_gets, TAKER_PPM)
        maker_fee = fee_units(maker_gets, maker_ppm) or -rebate_units(taker_gets, maker_ppm, taker_fee)
        buyer, seller = (taker, maker) if taker.side == Side.BUY else (maker, taker)
        base_id, quote_id = self.settings.base_asset_id, self.settings.quote_asset_id
        _, held = self._pays(Side.BUY, buyer.price_ticks, lots)
        self.balances[buyer.account_id, quote_id][1] -= held
        self.balances[buyer.account_id, quote_id][0] += held - quote
        self.balances[buyer.account_id, base_id][0] += base - (taker_fee if buyer is taker else max(maker_fee, 0))
        self.balances[seller.account_id, base_id][1] -= base
        self.balances[seller.account_id, quote_id][0] += quote - (taker_fee if seller is taker else max(maker_fee, 0))
        self.balances[maker.account_id, base_id if taker.side == Side.BUY else quote_id][0] += max(-maker_fee, 0)
        for order in (maker, taker):
            order.filled, order.filled_quote = order.filled + lots, order.filled_quote + quote
        self._trades += 1
        flags = TradeFlag.TAKER_IS_BUYER if taker.side == Side.BUY else TradeFlag(0)
        flags |= (TradeFlag.MAKER_DONE if not maker.left else 0) | (TradeFlag.TAKER_DONE if not taker.left else 0)
        states = {
            f"{who}_{name}_{part}": self.balances[account, asset][position]
            for who, account in (("taker", taker.account_id), ("maker", maker.account_id))
            for name, asset in (("base", base_id), ("quote", quote_id))
            for position, part in enumerate(("available", "held"))
        }
        event: Trade = self.write(
            Trade, flags=int(flags), market_id=self.settings.market_id, account_id=taker.account_id,
            trade_id=self._trades, agg_id=self._trades, maker_account_id=maker.account_id, maker_order_id=maker.id,
            taker_order_id=taker.id, price_ticks=price, quantity_lots=lots, taker_fee_units=taker_fee,
            maker_fee_units=maker_fee, level_lots=maker.left, maker_left_lots=maker.left, **states,
        )  # fmt: skip
        return event

    def trigger(self, order_id: int, stop: int, last: int) -> None:
        order = self.orders[order_id]
        self.write(
            OrderTriggered, market_id=self.settings.market_id, account_id=order.account_id, order_id=order.id,
            price_ticks=order.price_ticks, stop_price_ticks=stop, last_price_ticks=last, side=order.side,
            order_kind=OrderKind.STOP_LOSS_LIMIT, client_id=order.client_id,
        )  # fmt: skip

    def amend(self, order_id: int, lots: int) -> None:
        order = self.orders[order_id]
        asset, less = self._pays(order.side, order.price_ticks, order.lots - lots)
        balance = self.balances[order.account_id, asset]
        balance[0], balance[1] = balance[0] + less, balance[1] - less
        old_lots, order.lots = order.lots, lots
        self.write(
            OrderAmended, market_id=self.settings.market_id, account_id=order.account_id, order_id=order.id,
            price_ticks=order.price_ticks, old_quantity_lots=old_lots, quantity_lots=lots, left_lots=order.left,
            available_units=balance[0], held_units=balance[1], level_lots=order.left, side=order.side,
            order_kind=OrderKind.LIMIT, time_in_force=TimeInForce.GTC, stp_mode=1, client_id=order.client_id,
            amend_client_id="",
        )  # fmt: skip

    def prevent(self, maker_id: int, taker_id: int, lots: int, mode: StpMode) -> None:
        """Two orders of one family met; DECREMENT takes `lots` off both."""
        maker, taker = self.orders[maker_id], self.orders[taker_id]
        self._prevented += 1
        values: dict[str, int] = {}
        if mode is StpMode.DECREMENT:
            for who, order in (("maker", maker), ("taker", taker)):
                asset, held = self._pays(order.side, order.price_ticks, lots)
                balance = self.balances[order.account_id, asset]
                balance[0], balance[1] = balance[0] + held, balance[1] - held
                order.prevented += lots
                values |= {f"{who}_available": balance[0], f"{who}_held": balance[1], f"{who}_left_lots": order.left}
            values |= {"taker_side": taker.side, "level_lots": maker.left}
        self.write(
            PreventedMatch, market_id=self.settings.market_id, account_id=taker.account_id,
            prevented_id=self._prevented, taker_order_id=taker.id, maker_order_id=maker.id,
            maker_account_id=maker.account_id, price_ticks=maker.price_ticks, prevented_lots=lots, stp_mode=mode,
            **values,
        )  # fmt: skip

    def park(self, order_id: int, reference: int) -> None:
        """The order that was just accepted waits for review, for a minute."""
        order = self.orders[order_id]
        self.write(
            OrderParked, market_id=self.settings.market_id, account_id=order.account_id, order_id=order.id,
            price_ticks=order.price_ticks, reference_price_ticks=reference, until_ms=self.ms + 60_000, side=order.side,
        )  # fmt: skip

    def review(self, order_id: int, decision: Review, relay_seq: int) -> None:
        self.write(
            OrderReviewed, market_id=self.settings.market_id, account_id=self.orders[order_id].account_id,
            order_id=order_id, decision=decision, relay_seq=relay_seq, source=Source.OUTBOX,
        )  # fmt: skip

    def close(self, order_id: int, status: OrderStatus, reason: int = 0, **changes: Any) -> None:
        order = self.orders[order_id]
        asset, held = self._pays(order.side, order.price_ticks, order.left)
        balance = self.balances[order.account_id, asset]
        balance[0], balance[1] = balance[0] + held, balance[1] - held
        values = {
            "market_id": self.settings.market_id, "reason": reason, "account_id": order.account_id,
            "order_id": order.id, "price_ticks": order.price_ticks, "quantity_lots": order.lots,
            "filled_lots": order.filled, "filled_quote_units": order.filled_quote, "available_units": balance[0],
            "held_units": balance[1], "level_lots": 0, "status": status, "side": order.side,
            "order_kind": OrderKind.LIMIT, "time_in_force": TimeInForce.GTC, "client_id": order.client_id,
            "cancel_client_id": "",
        }  # fmt: skip
        self.write(OrderClosed, **(values | changes))

    def _pays(self, side: Side, price: int, lots: int) -> tuple[int, int]:
        if side == Side.BUY:
            return self.settings.quote_asset_id, price * lots * self.settings.unit_factor
        return self.settings.base_asset_id, lots * self.settings.lot_size
