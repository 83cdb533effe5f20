"""Seeded random histories over every kind of command, good and bad ones mixed.

Small on purpose: few accounts, few prices, tight money and short times, so that everything meets everything. A history
hears what was answered (`hear`), so that it names orders which are really open; apart from that it depends on its seed
alone. Each seed draws its own habits: what is frequent in one history is rare in another.
"""

from collections import deque
from dataclasses import dataclass, replace
from itertools import pairwise
from random import Random
from typing import Any

from msgspec import structs

from apps.streams.codec import (
    encode_block,
    encode_command,
    encode_list,
    encode_replace,
    encode_set_allocation,
    encode_set_asset,
    encode_set_market,
    stamp,
)
from apps.streams.commands import (
    AmendOrder,
    CancelAll,
    CancelOrder,
    Capture,
    Credit,
    Debit,
    Hold,
    PlaceBlock,
    PlaceList,
    PlaceOrder,
    Release,
    ReplaceOrder,
    ReviewOrder,
    SetAccount,
    SetCancelTimer,
    SetClassState,
    SetMarketState,
    Strategy,
    Tick,
    Transfer,
)
from apps.streams.kinds import (
    AllocationMethod,
    CommandKind,
    Counterparty,
    EventKind,
    HaltCause,
    ListKind,
    MarketState,
    OrderKind,
    Reason,
    ReplaceMode,
    Side,
    Source,
    StpMode,
    TimeInForce,
    TradeFlag,
)
from apps.streams.messages import AllocationSettings, AssetSettings, BreakerRule, MarketSettings
from apps.streams.records import COMMANDS, EVENT_SIZE, EVENTS, FRAME_SIZE

# A step of a stream: one command's frames, and the reason for which it is skipped or None.
Step = tuple[bytes, Reason | None]
START_MS = 1_800_000_000_000
CLOSED_IDS_KEPT = 60
ASSETS = {1: "BTC", 2: "USDT", 3: "ETH"}
CLASSES = {1: "coin", 2: "money", 3: "coin"}
# market -> (base, quote, tick_size, lot_size, price around which it trades, in ticks)
MARKETS = {
    1: (1, 2, 10_000_000, 1_000_000, 100),
    2: (3, 1, 200_000, 5_000_000, 60),
    3: (3, 2, 5_000_000, 2_000_000, 400),
}
FEES = (
    [(0, 0)], [(1_000, 1_000)], [(-300, 1_000), (200, 750)], [(-900, 1_000), (7, 1_013)], [(-90_000, 100_000)],
    [(100_000, 333_333), (0, 499_999)],
)  # fmt: skip
_HEARD = {
    EventKind.ORDER_ACCEPTED, EventKind.ORDER_CLOSED, EventKind.SETTINGS_APPLIED, EventKind.TRADE,
    EventKind.MARKET_STATE_CHANGED, EventKind.MONEY_MOVED, EventKind.ORDER_PARKED,
    EventKind.ORDER_REVIEWED,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Placed:
    order_id: int
    account_id: int
    market_id: int
    client_id: str
    quantity: int


def random_wait(random: Random) -> bool:
    """Whether time jumps to the end of a halt now."""
    return random.random() < 0.04


class History:
    """`next()` gives the next step; `hear(events)` what it was answered."""

    def __init__(self, seed: int) -> None:
        self.random = random = Random(seed)
        self.extras = Random(f"extras {seed}")  # apart, so that labels change nothing else of a history
        self.now_ms = START_MS
        self.relay_seq = 0
        self.open: dict[int, Placed] = {}
        self.last: dict[int, int] = {}  # last price by market
        self.last_market = 1
        self.conditional = random.choice((0.0, 0.1, 0.2, 0.35))
        self.parked: dict[int, Placed] = {}
        self.families: dict[int, int] = {}
        self.rules: dict[tuple[int, int], AllocationSettings] = {}
        self.asked: dict[tuple[int, int], AllocationSettings] = {}  # rules that may have been applied
        self.versions: dict[int, int] = {}
        self.holds: dict[str, tuple[int, int, int]] = {}  # key -> account, asset, amount
        self.repeatable: deque[bytes] = deque(maxlen=30)
        self.accounts = list(range(1, random.choice((5, 8, 12)) + 1))
        self.stranger = 99
        self.spread = random.choice((1.5, 3.0, 6.0, 20.0))  # of prices, in ticks
        self.apart = self.spread * random.choice((0.0, 0.5, 0.8))  # sellers from buyers
        self.money_units = random.choice((3 * 10**9, 10**11, 10**13))
        self.lots_max = random.choice((5, 20, 60, 400))
        self.calls: dict[int, None] = {}  # markets in a call phase
        self.halted_until: dict[int, int] = {}
        self.to_open: list[tuple[int, int]] = []  # (market, commands until staff opens it again)
        common = {
            self.order: 60, self.cancel: 6, self.cancel_everything: 0.3, self.amend: 5, self.replace: 5,
            self.repeat: 2.5, self.cancel_timer: 1, self.money: 7, self.account: 1, self.settings: 0.7,
            self.state: 0.6, self.review: 1.5, self.block: 4,
            self.order_list: 6, self.allocation: 0.7, self.tick: 2, self.garbage: 2,
        }  # fmt: skip
        self.actions = list(common)
        self.weights = [weight * random.choice((0.3, 1, 1, 2)) for weight in common.values()]
        self.weights[0] = 60
        self.skip_rate = random.choice((0, 0, 0.001, 0.01))
        self.steps_ms = random.choice(((0, 0, 0, 1, 7, 100), (0, 1, 5), (0, 0, 0, 50, 1_000, 20_000)))
        self.queue = self.first_commands()  # what comes before anything is drawn

    def first_commands(self) -> list[bytes]:
        heads = self.accounts[: self.random.choice((0, 2, 3, 4))]  # one family
        frames = [
            encode_set_asset(AssetSettings(asset_id=a, code=code, asset_class=CLASSES[a]), **self.relay())
            for a, code in ASSETS.items()
        ]
        frames += [encode_set_market(self.market(market_id), **self.relay()) for market_id in MARKETS]
        frames += [
            encode_command(SetAccount(account_id=a, family_id=1 if a in heads else 0, fee_tier=a % 3, **self.relay()))
            for a in self.accounts
        ]
        for account_id in self.accounts:
            for asset_id in ASSETS:
                frames.append(encode_command(self.credit(account_id, asset_id)))
        self.to_open = [(1, 0), (2, 0), (3, self.random.randrange(50))]
        return frames

    def next(self) -> Step:
        random = self.random
        self.now_ms += random.choice(self.steps_ms)
        if self.queue:
            frames, skip = self.queue.pop(0), None
        else:
            frames = self.choose()
            skip = None
            if random.random() < self.skip_rate:
                skip = random.choice((Reason.INTERNAL, Reason.INTERNAL, Reason.ENGINE_RESTARTED))
        stamped = bytearray(frames)
        stamp(stamped, self.now_ms, random.randrange(3), random.randrange(3))
        return bytes(stamped), skip

    def hear(self, events: bytes) -> None:
        """Remember which orders are open, and the settings that are in force."""
        for offset in range(0, len(events), EVENT_SIZE):
            kind = events[offset + 1]
            if kind not in _HEARD:
                continue
            layout = EVENTS[EventKind(kind)]
            values = dict(zip(layout.names, layout.struct.unpack_from(events, offset)[2:], strict=True))
            if kind == EventKind.ORDER_ACCEPTED:
                client_id = values["client_id"].rstrip(b"\0").decode("ascii")
                self.open[values["order_id"]] = Placed(
                    values["order_id"], values["account_id"], values["market_id"], client_id, values["quantity_lots"]
                )
            elif kind == EventKind.ORDER_CLOSED:
                self.open.pop(values["order_id"], None)
                self.parked.pop(values["order_id"], None)
            elif kind == EventKind.ORDER_PARKED:
                self.parked[values["order_id"]] = self.open[values["order_id"]]
            elif kind == EventKind.ORDER_REVIEWED:
                self.parked.pop(values["order_id"], None)
            elif kind == EventKind.SETTINGS_APPLIED:
                if values["op"] == CommandKind.SET_ACCOUNT:
                    self.families[values["account_id"]] = values["family_id"]
                elif values["op"] == CommandKind.SET_ALLOCATION:
                    key = (values["account_id"], values["object_id"])
                    self.rules[key] = self.asked[key]
                elif values["op"] == CommandKind.SET_MARKET:
                    self.versions[values["object_id"]] = values["settings_version"]
                    self.review_soon(values["object_id"])
            elif kind == EventKind.MONEY_MOVED:
                key = values["key"].rstrip(b"\0").decode("ascii")
                if values["op"] == CommandKind.HOLD:
                    self.holds[key] = (values["account_id"], values["asset_id"], values["amount_units"])
                elif values["op"] in (CommandKind.CAPTURE, CommandKind.RELEASE):
                    self.holds.pop(key, None)
            elif kind == EventKind.MARKET_STATE_CHANGED:
                self.halted_until.pop(values["market_id"], None)
                if values["new_state"] == MarketState.AUCTION:
                    self.calls[values["market_id"]] = None
                else:
                    self.calls.pop(values["market_id"], None)
                if values["until_ms"]:
                    self.halted_until[values["market_id"]] = values["until_ms"]
                if values["new_state"] != MarketState.OPEN:
                    self.review_soon(values["market_id"])
                    self.to_open.append((values["market_id"], self.random.choice((3, 10, 40, 100))))
            else:
                self.last[values["market_id"]] = values["price_ticks"]
                if values["flags"] & TradeFlag.MAKER_DONE:
                    self.open.pop(values["maker_order_id"], None)
                if values["flags"] & TradeFlag.TAKER_DONE:
                    self.open.pop(values["taker_order_id"], None)

    def choose(self) -> bytes:
        if self.halted_until and random_wait(self.random):
            self.now_ms = max(
                self.now_ms, min(self.halted_until.values()) + self.random.choice((-1, 0, 0, 1, 50, 2_500))
            )
            self.halted_until.clear()
            return self.tick()
        if self.to_open:
            self.to_open = [(market_id, wait - 1) for market_id, wait in self.to_open]
            market_id, wait = self.to_open[0]
            if wait <= 0:
                self.to_open.pop(0)
                return encode_command(
                    SetMarketState(market_id=market_id, state=MarketState.OPEN, cause=HaltCause.STAFF, **self.relay())
                )
        (action,) = self.random.choices(self.actions, self.weights)
        return action()

    # Parts

    def relay(self, *, direct: bool = False) -> dict[str, Any]:
        """Most by the outbox, numbered without a gap; some direct, which may have any number."""
        if direct or self.random.random() < 0.2:
            return {"relay_seq": self.random.randrange(5), "source": Source.DIRECT}
        self.relay_seq += 1
        return {"relay_seq": self.relay_seq, "source": Source.OUTBOX}

    def some_account(self) -> int:
        return self.stranger if self.random.random() < 0.01 else self.random.choice(self.accounts)

    def some_market(self) -> int:
        return self.random.choice((1, 1, 1, 1, 2, 2, 3)) if self.random.random() > 0.004 else 9

    def client_id(self) -> str:
        random = self.random
        return random.choice(("", f"c{random.randrange(25)}", f"u{random.randrange(10**9)}"))

    def at_times(self, value: int) -> int:
        """The value, or mostly 0, which switches a rule off."""
        return value if self.random.random() < 0.25 else 0

    def market(self, market_id: int, version: int = 1) -> MarketSettings:
        random = self.random
        base, quote, tick_size, lot_size, price = MARKETS[market_id]
        unit = tick_size * lot_size // 10**8
        return MarketSettings(
            market_id=market_id,
            symbol=f"M{market_id}",
            base_asset_id=base,
            quote_asset_id=quote,
            settings_version=version,
            tick_size=tick_size,
            lot_size=lot_size,
            initial_price_ticks=price,
            min_price_ticks=random.choice((1, price // 2)),
            max_price_ticks=random.choice((price * 2, price * 100, price * 100, 2**62 - 1)),
            min_lots=random.choice((1, 1, 1, 2)),
            max_lots=random.choice((50, 1_000, 1_000)),
            market_max_lots=random.choice((30, 700, 700)),
            min_notional_units=self.at_times(price * unit * 2),
            max_notional_units=self.at_times(price * unit * 150),
            bid_down_bp=self.at_times(random.choice((5_000, 9_000, 9_800))),
            bid_up_bp=self.at_times(random.choice((10_300, 11_000, 30_000))),
            ask_down_bp=self.at_times(random.choice((3_000, 9_700))),
            ask_up_bp=self.at_times(random.choice((10_500, 50_000))),
            max_open_orders=random.choice((2, 12, 20, 40)),
            fees=random.choice(FEES),
            park_outside_band=random.random() < 0.5,
            park_expiry_s=random.choice((1, 5, 60, 3_600)),
            max_iceberg_orders=self.at_times(2),
            max_order_lists=self.at_times(2),
            max_order_amends=self.extras.choice((0, 1, 1, 2)),
            max_conditional_orders=self.at_times(3),
            breaker_rules=self.breakers(),
            call_s=random.choice((0, 1, 30, 119)),
            collar_bp=self.at_times(random.choice((100, 500))),
            max_extensions=random.choice((0, 1, 2)),
            breaker_min_notional_units=self.at_times(price * unit * 3),
            conditional_buffer_bp=random.choice((0, 0, 7, 500, 10_000)),
        )

    def breakers(self) -> list[BreakerRule]:
        random = self.random
        if random.random() < 0.6:
            return []
        ids = sorted(random.sample(range(1, 9), random.choice((1, 1, 2, 3))))
        return [
            BreakerRule(
                i, random.choice((1, 1, 2)), random.choice((100, 300, 500, 1_000, 3_000)),
                random.choice((1_000, 1_500, 60_000, 300_000)), random.choice((120, 150, 300)),
            )
            for i in ids
        ]  # fmt: skip

    # Orders

    def order(self) -> bytes:
        order = encode_command(self.new_order())
        self.repeatable.append(order)
        return order

    def new_order(self, **fixed: Any) -> PlaceOrder:
        random = self.random
        market_id = fixed.get("market_id", self.some_market())
        if self.calls and "market_id" not in fixed and random.random() < 0.5:
            market_id = random.choice(list(self.calls))
        self.last_market = market_id
        version = self.versions.get(market_id, 1)
        if random.random() < 0.02:
            version += random.choice((-1, 1))
        lots = random.choice((1, 2, 5, random.randint(1, self.lots_max), random.randint(1, self.lots_max)))
        side = random.randrange(2)
        fields: dict[str, Any] = {
            "market_id": market_id,
            "account_id": self.some_account(),
            "settings_version": version,
            "side": side,
            "client_id": self.client_id(),
            "stp_mode": random.choice((1, 1, *StpMode)),
        }
        draw = random.random()
        if draw < self.conditional:
            fields |= self.conditional_fields(MARKETS.get(market_id, MARKETS[1])[4], side, lots)
        elif draw < 0.84:
            fields |= self.limit_fields(MARKETS.get(market_id, MARKETS[1])[4], side, lots)
        elif draw < 0.92:
            fields |= {"order_kind": OrderKind.MARKET, "quantity_lots": lots}
        else:
            _, _, tick_size, lot_size, price = MARKETS.get(market_id, MARKETS[1])
            notional = price * tick_size * lot_size // 10**8
            budget = random.choice((random.randint(notional // 2, 3 * notional), lots * notional, lots * notional + 1))
            fields |= {"order_kind": OrderKind.MARKET, "budget_units": budget}
        if random.random() < 0.01:
            name = random.choice([name for name in fields if name != "client_id"])
            fields[name] = random.choice((0, 77, 200))
        return PlaceOrder(**(fields | {"strategy": self.strategy()} | fixed))

    def strategy(self) -> Strategy | None:
        """Of one order in five; now and then one that no producer sends."""
        extras = self.extras
        if extras.random() < 0.8:
            return None
        given = extras.choice((8, 16, 24, 24))
        strategy_id = extras.choice((0, 1, 2**40, 2**63 - 1, -(2**63))) if given & 8 else 0
        strategy_type = extras.choice((0, 1_000_000, 2**32 - 1)) if given & 16 else 0
        if extras.random() < 0.03:
            given = extras.choice((0, 1, 8, 16, 32, 25))
        return Strategy(strategy_id=strategy_id, strategy_type=strategy_type, given=given)

    def conditional_fields(self, around: int, side: int, lots: int) -> dict[str, Any]:
        """A stop near the last price, mostly on the side where it does not trigger at once."""
        random = self.random
        kind = random.choice((4, 5, 6, 7))
        falls = (kind in (OrderKind.STOP_LOSS, OrderKind.STOP_LOSS_LIMIT)) == (side == Side.SELL)
        last = self.last.get(self.last_market, around)
        away = random.randint(0, 1 + round(2 * self.spread))
        stop = last - away if falls else last + away
        if random.random() < 0.05:
            stop = random.choice((0, 1, around * 3, 2**61, last))
        fields: dict[str, Any] = {"order_kind": kind, "stop_price_ticks": max(0, stop), "quantity_lots": lots}
        if random.random() < 0.3:
            fields["trailing_bips"] = random.choice((10, 50, 100, 200, 500, 2_000, 2_000, 9, 2_001))
            if random.random() < 0.6:
                fields["stop_price_ticks"] = 0
        if kind in (OrderKind.STOP_LOSS_LIMIT, OrderKind.TAKE_PROFIT_LIMIT):
            limit = self.limit_fields(around, side, lots)
            if limit["order_kind"] == OrderKind.LIMIT or random.random() < 0.1:
                fields = limit | fields
            else:
                fields |= {"time_in_force": TimeInForce.GTC, "price_ticks": max(1, last + random.randint(-5, 5))}
        return fields

    def limit_fields(self, around: int, side: int, lots: int) -> dict[str, Any]:
        random = self.random
        price = max(1, round(random.gauss(around + (self.apart if side == Side.SELL else -self.apart), self.spread)))
        if random.random() < 0.03:
            price = random.choice((1, around // 3, around * 3, around * 150, 2**61))
        tif = random.choice((1, 1, 1, 1, 1, TimeInForce.GTD, TimeInForce.GTD, TimeInForce.IOC, TimeInForce.FOK))
        kind = OrderKind.LIMIT
        if tif in (TimeInForce.GTC, TimeInForce.GTD) and random.random() < (0.02 if self.calls else 0.15):
            kind = OrderKind.LIMIT_MAKER
        fields = {"order_kind": kind, "time_in_force": tif, "price_ticks": price, "quantity_lots": lots}
        if tif == TimeInForce.GTD:
            fields["expires_ms"] = self.now_ms + random.choice((-5, 0, 1, *(30, 300, 3_000, 60_000, 10**9) * 5))
        if random.random() < 0.3:
            fields["display_lots"] = min(random.choice((1, 2, 5, 20, lots)), lots + (random.random() < 0.02))
            if tif in (TimeInForce.IOC, TimeInForce.FOK) and random.random() < 0.95:
                fields["display_lots"] = 0
        return fields

    def repeat(self) -> bytes:
        """An order that was sent before, as it was or with another price or version."""
        if not self.repeatable:
            return self.tick()
        frames = bytearray(self.random.choice(self.repeatable))
        if frames[1] == CommandKind.PLACE_LIST:
            return bytes(frames)
        if frames[1] == CommandKind.PLACE_BLOCK:
            if len(frames) > 2 * FRAME_SIZE and self.random.random() < 0.3:
                frames[2 * FRAME_SIZE] ^= 1
            return bytes(frames)
        layout = COMMANDS[CommandKind.PLACE_ORDER]
        values = dict(zip(("version", "kind", *layout.names), layout.struct.unpack_from(frames), strict=True))
        strategy = frames[FRAME_SIZE:]
        draw = self.random.random()
        if draw < 0.2:
            values["price_ticks"] += 1
        elif draw < 0.3:
            values["settings_version"] += 1
        elif draw < 0.4:
            values["stp_mode"] = 2
        elif draw < 0.6:  # the same order by another strategy, or by none
            label = self.strategy()
            strategy = encode_command(PlaceOrder(side=0, order_kind=1, strategy=label))[FRAME_SIZE:]
            values["parts"] = 1 + bool(strategy)
        return layout.struct.pack(*values.values()) + strategy

    def target(self) -> dict[str, Any]:
        """An order by id, by client id or by both, mostly a real one of its account."""
        random = self.random
        if not self.open or random.random() < 0.1:
            return {"account_id": self.some_account(), "order_id": random.randrange(9), "client_id": self.client_id()}
        placed = random.choice(list(self.open.values()))
        by_id, by_client_id = random.choice(((1, 0), (1, 0), (0, 1), (1, 1)))
        target = {
            "account_id": placed.account_id if random.random() > 0.03 else self.some_account(),
            "order_id": placed.order_id if by_id or not placed.client_id else 0,
            "client_id": placed.client_id if by_client_id else "",
            "market_id": placed.market_id if random.random() < 0.5 else 0,
        }
        if random.random() < 0.05:
            target["market_id"] = self.some_market()
        if random.random() < 0.05:
            target["client_id"] = self.client_id()
        return target

    def cancel(self) -> bytes:
        cancel = CancelOrder(**self.target(), flags=self.restriction(), cancel_client_id=self.random.choice(("", "x1")))
        return encode_command(cancel)

    def restriction(self) -> int:
        """Which status a cancel asks for; mostly none."""
        return self.extras.choices((0, 1, 2, 3, 128), (70, 14, 14, 1, 1))[0]

    def cancel_everything(self) -> bytes:
        market_id = self.random.choice((0, 0, 1, 2, 9))
        return encode_command(CancelAll(account_id=self.some_account(), market_id=market_id))

    def amend(self) -> bytes:
        random, target = self.random, self.target()
        target_order = self.open.get(target["order_id"])
        was = target_order.quantity if target_order else self.lots_max
        lots = random.choice((0, 1, was // 2, was - 1, was - 1, was, random.randint(-1, was + 1)))
        return encode_command(AmendOrder(**target, quantity_lots=lots, amend_client_id=random.choice(("", "a1"))))

    def replace(self) -> bytes:
        random, target = self.random, self.target()
        target_order = self.open.get(target["order_id"])
        market_id = target_order.market_id if target_order else 1
        target["market_id"] = market_id
        order = self.new_order(market_id=market_id, account_id=target["account_id"])
        if random.random() < 0.03:
            order = self.new_order()
        mode = random.choice((*ReplaceMode, *ReplaceMode, *ReplaceMode, 0))
        head = ReplaceOrder(
            **target, flags=self.restriction(), mode=mode, cancel_client_id=random.choice(("", "x2"))
        )  # fmt: skip
        return encode_replace(head, order)

    def cancel_timer(self) -> bytes:
        timeout_ms = self.random.choice((0, 1, 300, 2_000, 2_000, 86_400_000, 86_400_001))
        market_id = self.random.choice((0,) * 15 + (1,))
        return encode_command(
            SetCancelTimer(account_id=self.some_account(), timeout_ms=timeout_ms, market_id=market_id)
        )

    def tick(self) -> bytes:
        return encode_command(Tick(flags=self.random.choice((0, 1, 2))))

    # Money

    def credit(self, account_id: int, asset_id: int) -> Credit:
        amount = self.random.randint(1, self.money_units)
        if self.random.random() < 0.002:
            amount = 2**62 - 1
        return Credit(
            account_id=account_id, asset_id=asset_id, amount_units=amount, counter=Counterparty.EXTERNAL, **self.relay()
        )

    def money(self) -> bytes:
        random = self.random
        kind = random.choice((Credit, Debit, Hold, Hold, Release, Capture, Transfer))
        usual_counter = {Credit: 1, Debit: 1}.get(kind, 0)
        fields: dict[str, Any] = {
            "account_id": self.some_account(),
            "asset_id": random.choice((1, 2, 3)) if random.random() > 0.01 else 9,
            "amount_units": random.randint(0, random.choice((10, 10**6, self.money_units))),
            "counter": usual_counter,
            "to_account_id": 0,
            "key": f"k{random.randrange(8)}" if kind not in (Credit, Debit, Transfer) or random.random() < 0.5 else "",
        }
        if kind is Transfer or (kind is Capture and random.random() < 0.5):
            fields["to_account_id"] = self.some_account()
        elif kind is Capture:
            fields["counter"] = Counterparty.EXTERNAL
        if random.random() < 0.05:
            fields[random.choice(("counter", "to_account_id", "account_id"))] = random.choice((0, 1, 2))
        if kind in (Release, Capture) and self.holds and random.random() < 0.8:
            fields["key"] = random.choice(list(self.holds))
            fields["account_id"], fields["asset_id"], held = self.holds[fields["key"]]
            fields["amount_units"] = random.choice((held, held, held // 2, held + 1))
        if random.random() < 0.02:
            fields["key"] = random.choice(("", "k1"))
        if kind is Credit and random.random() < 0.02:
            fields["amount_units"] = 2**62 - 1 - random.choice((0, 10**13))
        relay = self.relay()
        if random.random() < 0.03 and relay["source"] == Source.OUTBOX:  # an old one, sent again
            self.relay_seq -= 1
            relay = {"relay_seq": random.randrange(self.relay_seq + 1), "source": Source.OUTBOX}
        return encode_command(kind(**fields, **relay))

    # Staff

    def account(self) -> bytes:
        random = self.random
        account_id = self.some_account() if random.random() > 0.03 else random.choice((0, 98))
        family = random.choice((0, 0, 1, 1, 1, 2, account_id, 50))
        tier = random.choice((0, 1, 2, 15, 16))
        flags = int(random.random() < 0.1)
        account = SetAccount(account_id=account_id, family_id=family, fee_tier=tier, flags=flags, **self.relay())
        return encode_command(account)

    def settings(self) -> bytes:
        random = self.random
        if random.random() < 0.1:
            body = AssetSettings(asset_id=random.choice((0, 1, 3)), code=random.choice(("BTC", "", "NEW")))
            return encode_set_asset(body, **self.relay())
        market_id = random.choice(list(MARKETS))
        new = self.market(market_id, self.versions.get(market_id, 0) + random.choice((1, 1, 1, 1, 0)))
        values = {name: getattr(new, name) for name in new.__struct_fields__}
        draw = random.random()
        if draw < 0.1:
            values["tick_size"] *= 10
        elif draw < 0.15:
            values[random.choice(("min_lots", "max_price_ticks", "tick_size", "market_id", "bid_up_bp"))] = 0
        elif draw < 0.2:
            values[random.choice(("base_asset_id", "quote_asset_id"))] = random.choice((1, 2, 3, 9))
        elif draw < 0.23:
            values["fees"] = [(-950, 1_000)]
        return encode_set_market(MarketSettings(**values), **self.relay())

    def block(self) -> bytes:
        random = self.random
        order = self.new_order()
        if order.order_kind == OrderKind.MARKET and random.random() < 0.9:
            order = replace(order, side=Side.SELL, budget_units=0, quantity_lots=max(1, order.quantity_lots))
        if random.random() < 0.9:
            order = replace(order, display_lots=0)
        rule = (
            random.choice(list(self.rules.values()))
            if self.rules
            else AllocationSettings(account_id=1, rule_id=1, method=2, accounts=[1])
        )
        if random.random() < 0.95:
            order = replace(order, account_id=rule.account_id)
        count = len(rule.accounts) if rule.method == AllocationMethod.PRO_RATA else 0
        if random.random() < 0.03:
            count = random.randrange(20)
        lots = [random.choice((0, 1, 2, 5, 50)) - (random.random() < 0.01) for _ in range(count)]
        rule_id = rule.rule_id if random.random() < 0.97 else 9
        head = PlaceBlock(market_id=order.market_id, account_id=order.account_id, rule_id=rule_id)
        if random.random() < 0.02:
            head = replace(head, account_id=self.some_account())
        run = encode_block(head, order, lots)
        self.repeatable.append(run)
        return run

    def order_list(self) -> bytes:
        random = self.random
        market_id, account_id = self.some_market(), self.some_account()
        last = self.last.get(market_id, MARKETS.get(market_id, MARKETS[1])[4])
        kind = random.choice(tuple(ListKind)) if random.random() < 0.98 else 4

        def order(**fixed: Any) -> PlaceOrder:
            return self.new_order(market_id=market_id, account_id=account_id, **fixed)

        def away(sign: int) -> int:
            return max(1, last + sign * random.randint(0, 2 + round(2 * self.spread)))

        def leg(side: int, lots: int, target: bool, sign: int) -> PlaceOrder:
            kinds = (3, 3, 6, 7) if target else (4, 5)
            order_kind = random.choice(kinds) if random.random() < 0.98 else random.choice(tuple(OrderKind))
            fields: dict[str, Any] = {"side": side, "quantity_lots": lots, "order_kind": order_kind, "budget_units": 0,
                                      "expires_ms": 0, "display_lots": 0, "trailing_bips": 0}  # fmt: skip
            price = away(sign)
            limit = order_kind in (OrderKind.LIMIT_MAKER, OrderKind.STOP_LOSS_LIMIT, OrderKind.TAKE_PROFIT_LIMIT)
            fields["time_in_force"] = TimeInForce.GTC if limit else 0
            fields["price_ticks"] = 0
            fields["stop_price_ticks"] = 0 if order_kind == OrderKind.LIMIT_MAKER else price
            if limit:
                fields["price_ticks"] = price if order_kind == OrderKind.LIMIT_MAKER else away(random.choice((-1, 1)))
                if random.random() < 0.1:
                    fields |= {
                        "time_in_force": TimeInForce.GTD,
                        "expires_ms": self.now_ms + random.choice((300, 3_000)),
                    }
                if random.random() < 0.2:
                    fields["display_lots"] = min(lots, 2)
            if order_kind != OrderKind.LIMIT_MAKER and random.random() < 0.1:
                fields["trailing_bips"] = random.choice((100, 500))
            return order(**fields)

        def oco() -> list[PlaceOrder]:
            side, lots = random.randrange(2), random.choice((1, 2, 5, random.randint(1, self.lots_max)))
            return [
                leg(side, lots, side == Side.SELL, 1),
                leg(side, lots + (random.random() < 0.02), side == Side.BUY, -1),
            ]

        side = random.randrange(2)
        working = order(
            **(self.limit_fields(last, side, random.choice((1, 2, 5, 10))) | {"side": side, "budget_units": 0})
        )
        if kind == ListKind.OCO:
            legs = oco()
        elif kind == ListKind.OTO:
            legs = [working, order()]
        else:
            legs = [working, *oco()]
        if random.random() < 0.02:
            legs = legs[:-1]
        head = PlaceList(market_id=market_id, account_id=account_id, list_kind=kind,
                         list_client_id=random.choice(("", f"l{random.randrange(15)}")))  # fmt: skip
        run = encode_list(head, legs)
        self.repeatable.append(run)
        return run

    def allocation(self) -> bytes:
        random = self.random
        owner = self.some_account()
        family = [a for a in self.accounts if self.families.get(a, a) == self.families.get(owner, owner)]
        family = family or [owner]
        if random.random() < 0.05:
            family = self.accounts
        if random.random() < 0.02:
            family = [*family, self.stranger]
        accounts = random.sample(family, random.randint(1, len(family)))
        if random.random() < 0.05:
            accounts = []
        method = random.choice((1, 1, 2, 3, 3)) if random.random() < 0.97 else 4
        weights = []
        if method == AllocationMethod.FIXED and accounts:
            cuts = sorted(random.sample(range(1, 10_000), len(accounts) - 1))
            weights = [after - before for before, after in pairwise((0, *cuts, 10_000))]
            if random.random() < 0.03:
                weights[0] += 1
        rule = AllocationSettings(
            account_id=owner, rule_id=random.choice((1, 2)), method=method, accounts=accounts, weights_bp=weights
        )
        run = encode_set_allocation(rule, **self.relay())
        self.asked[owner, rule.rule_id] = rule
        return run

    def review(self) -> bytes:
        random = self.random
        placed = random.choice(list(self.parked.values())) if self.parked else None
        if placed is None and random.random() < 0.95:
            return self.order()
        if placed is None or random.random() < 0.1:
            placed = random.choice(list(self.open.values())) if self.open else Placed(1, 1, 1, "", 1)
        account_id = placed.account_id if random.random() < 0.97 else self.some_account()
        market_id = placed.market_id if random.random() < 0.97 else self.some_market()
        decision = random.choice((1, 1, 1, 2) if random.random() < 0.97 else (0, 3))
        review = ReviewOrder(
            market_id=market_id, account_id=account_id, order_id=placed.order_id, decision=decision, **self.relay()
        )
        return encode_command(review)

    def review_soon(self, market_id: int) -> None:
        """A parked order is released when its market has just got another state or other settings."""
        parked = [order for order in self.parked.values() if order.market_id == market_id]
        if parked and not self.queue:
            order = self.random.choice(parked)
            self.queue.append(
                encode_command(
                    ReviewOrder(
                        market_id=market_id, account_id=order.account_id, order_id=order.order_id, decision=1,
                        **self.relay(direct=True),
                    )
                )
            )  # fmt: skip

    def state(self) -> bytes:
        random = self.random
        if random.random() < 0.15:  # a market is closed, and gets other sizes before it opens again
            market_id = random.choice(list(MARKETS))
            new = self.market(market_id, self.versions.get(market_id, 0) + 1)
            self.queue.append(
                encode_set_market(
                    structs.replace(new, tick_size=new.tick_size * random.choice((1, 10))), **self.relay(direct=True)
                )
            )
            closed = SetMarketState(
                market_id=market_id, state=MarketState.CLOSED, cause=HaltCause.STAFF, **self.relay()
            )
            return encode_command(closed)
        market_id = random.choice((*MARKETS, *MARKETS, 9))
        state = random.choice((*MarketState, MarketState.POST_ONLY, *(MarketState.AUCTION,) * 5, MarketState.HALTED))
        cause = random.choice((HaltCause.STAFF,) * 6 + (0, *HaltCause, 200))
        if cause == HaltCause.CLOCK:
            state = random.choice((state, MarketState.HALTED))
        elif cause == HaltCause.INVARIANT:
            state = random.choice((state, MarketState.CANCEL_ONLY))
        if random.random() < 0.03:
            state = random.choice((0, 8, 255))
        if random.random() < 0.2:
            name = random.choice(("coin", "coin", "money", "", "other"))
            return encode_command(SetClassState(asset_class=name, state=state, cause=cause, **self.relay()))
        return encode_command(SetMarketState(market_id=market_id, state=state, cause=cause, **self.relay()))

    # What no producer of ours sends

    def garbage(self) -> bytes:
        """A command with some bytes changed, or with a frame too many or too few."""
        random = self.random
        draw = random.random()
        if draw < 0.05:
            settings = bytearray(self.settings())
            settings[random.randrange(45, len(settings) - 60) if draw < 0.03 else 45] ^= 255
            return bytes(settings)
        make = random.choice(
            (
                self.order,
                self.order,
                self.cancel,
                self.amend,
                self.replace,
                self.cancel_timer,
                self.money,
                self.account,
                self.block,
            )
        )
        run = bytearray(make())
        layout = COMMANDS[CommandKind(run[1])]
        if draw < 0.15:
            return self.with_parts(run + bytes(FRAME_SIZE))
        if draw < 0.25:
            return self.with_parts(run[:FRAME_SIZE])
        field_name = random.choice(layout.names[7:])  # behind the header
        if field_name in ("relay_seq", "source"):
            return bytes(run)
        offset = 2
        for name, code in zip(layout.names, layout.codes, strict=True):
            size = {"B": 1, "H": 2, "I": 4, "Q": 8, "q": 8}.get(code) or int(code[:-1])
            if name == field_name:
                at = offset + random.randrange(size if size <= 8 else 4)
                run[at] = random.choice((0, 1, 5, 65, 127, 128, 200, 255))
                break
            offset += size
        return bytes(run)

    @staticmethod
    def with_parts(run: bytearray) -> bytes:
        run[2] = len(run) // FRAME_SIZE
        return bytes(run)
