"""A small table language, so that engine tests and docs/matching read like the requirement.

    bid    b1  alice  50950   0.5      -> rested
    sell   s1  carol  market  0.7      -> trade b1 50950 0.5, expired no_liquidity
    book                               -> bids 50950 x 0.2

One line is one command or question, then what it must answer. Prices are in USDT, quantities in BTC, budgets in USDT;
whoever is named first gets 1,000,000 USDT and 100 BTC, unless a `fund` line came before. No fees unless set.

    bid|ask   ID WHO PRICE QUANTITY [OPTION ...]          limit order
    buy|sell  ID WHO market QUANTITY [OPTION ...]         market order by quantity
    buy|sell  ID WHO spend BUDGET [OPTION ...]            market order by quote budget

    Options: `as CLIENT-ID`, `ioc`, `fok`, `gtd SECONDS` (good till then, from now), `maker` (LIMIT_MAKER), `show
    QUANTITY` (iceberg), `stp expire_taker|expire_maker|expire_both|decrement`, `stop PRICE` (STOP_LOSS or
    STOP_LOSS_LIMIT), `profit PRICE` (TAKE_PROFIT or TAKE_PROFIT_LIMIT), `trail BIPS` behind one of these, whose price
    is then the activation price, 0 for none, `strategy ID`, `strategy ID:TYPE` or `strategy :TYPE`.

    wait SECONDS                                          time passes, with a tick each second
    cancel ID [by WHO] [only new|only partially_filled]   by order id
    cancel-all WHO                                        all orders of the account
    amend ID QUANTITY [by WHO]                            to a smaller quantity
    cancel-after WHO SECONDS                              cancel-all-after; 0 clears it
    replace|replace-anyway ID [only ...] bid|ask|...      cancel-replace: stop on failure, allow failure
    allocation RULE WHO equal|pro-rata SUB ...            how WHO's block orders are divided; s1..s9 names nine
    allocation RULE WHO fixed SUB:BP ...
    block RULE [QUANTITY,QUANTITY...] bid|ask|sell ...    a block order; the quantities are those requested, pro rata
    oco|oto|otoco LIST / bid|ask|buy|sell ... / ...       an order list; LIST is its client id, - for none
    fund WHO AMOUNT ASSET     withdraw WHO AMOUNT ASSET   credit, debit
    transfer WHO AMOUNT ASSET WHO                         between accounts
    hold|release|capture KEY WHO AMOUNT ASSET             keyed holds
    family WHO HEAD           tier WHO N                  account settings (s1..s9 is a family of nine)
    set FIELD VALUE ...       fees MAKER:TAKER ...        newer market settings (integers; ppm by tier)
    breakers [ID:price|vwap:BP:SECONDS:HALT-SECONDS ...]  circuit breakers, in their order; none without
    state STATE                                           staff moves the market
    class-of ASSET CLASS      class-state CLASS STATE     staff moves every market of an asset class
    review ID release|reject                              staff decides about a parked order
    skip COMMAND                                          it failed before and is skipped (poison)
    book    balance WHO ASSET    fees-of ASSET    last    distance    questions
"""

from dataclasses import replace
from typing import Any

import msgspec

from apps.common.amounts import format_units, parse_decimal
from apps.matching.engine import Engine
from apps.matching.engine.snapshot_tables import COUNT, MAGIC, TABLES, read_tables, version_of
from apps.streams.codec import (
    decode_events,
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
    Command,
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
from apps.streams.events import (
    AllCanceled,
    Allocated,
    AmendRejected,
    AuctionPrice,
    CancelRejected,
    CancelTimerSet,
    HaltDistance,
    IcebergRefilled,
    InternalReject,
    LevelChanged,
    ListChanged,
    ListDuplicate,
    ListRejected,
    MarketStateChanged,
    MoneyMoved,
    OrderAccepted,
    OrderAmended,
    OrderClosed,
    OrderDuplicate,
    OrderParked,
    OrderRejected,
    OrderRested,
    OrderReviewed,
    OrderTriggered,
    PendingEntered,
    PreventedMatch,
    RelayRefused,
    SettingsApplied,
    Trade,
)
from apps.streams.kinds import (
    AcceptedFlag,
    AllocationMethod,
    AllocationStep,
    BreakerMeasure,
    CancelFlag,
    Counterparty,
    HaltCause,
    ListKind,
    ListStatus,
    MarketState,
    OrderKind,
    OrderStatus,
    Reason,
    ReplaceMode,
    Review,
    Side,
    Source,
    StpMode,
    TimeInForce,
    TimerFlag,
    TradeFlag,
)
from apps.streams.messages import AllocationSettings, AssetSettings, BreakerRule, MarketSettings
from apps.streams.records import FRAME_SIZE

ASSETS = {"BTC": 1, "USDT": 2}
MARKET = 1
TICK_SIZE = 1_000_000  # 0.01 USDT
LOT_SIZE = 1_000  # 0.00001 BTC
START_MS = 1_800_000_000_000
TRIGGERS = {"stop": OrderKind.STOP_LOSS, "profit": OrderKind.TAKE_PROFIT}
LIMIT_FORMS = {
    OrderKind.STOP_LOSS: OrderKind.STOP_LOSS_LIMIT,
    OrderKind.TAKE_PROFIT: OrderKind.TAKE_PROFIT_LIMIT,
}
BY_OTHERS = {
    Reason.CANCELED_BY_STAFF: "staff",
    Reason.CANCELED_BY_TIMER: "timer",
    Reason.REJECTED_BY_STAFF: "staff",
}
SHARE_WORDS = {
    AllocationStep.HELD: "holds for",
    AllocationStep.FILLED: "gets",
    AllocationStep.PREVENTED: "loses",
    AllocationStep.RELEASED: "releases",
}

BY_ENGINE = {
    HaltCause.NO_AUCTION_PRICE: " without an auction price",
    HaltCause.AUCTION_EXTENDED: " again",
}

SETTINGS = MarketSettings(
    market_id=MARKET,
    symbol="BTCUSDT",
    base_asset_id=ASSETS["BTC"],
    quote_asset_id=ASSETS["USDT"],
    settings_version=1,
    tick_size=TICK_SIZE,
    lot_size=LOT_SIZE,
    initial_price_ticks=5_100_000,
    min_price_ticks=1,
    max_price_ticks=100_000_000,
    min_lots=1,
    max_lots=1_000_000_000,
    market_max_lots=1_000_000_000,
    min_notional_units=0,
    max_notional_units=0,
    bid_down_bp=0,
    bid_up_bp=0,
    ask_down_bp=0,
    ask_up_bp=0,
    max_open_orders=0,
    fees=[(0, 0)],
)


class Table:
    """An engine with two assets and one open market, driven by commands and by the table language."""

    def __init__(self, *, closed_ids_kept: int = 1_000_000, made_by: Any = None, **settings: Any) -> None:
        self.engine: Any = (made_by or Engine)(closed_ids_kept)  # looked up now: conftest.py puts another one there
        self.settings = msgspec.structs.replace(SETTINGS, **settings)
        self.now_ms = START_MS
        self.entry_n = 0
        self.relay_seq = 0
        self.accounts: dict[str, int] = {}
        self.orders: dict[str, int] = {}
        self.owners: dict[str, str] = {}
        self.triggered: set[int] = set()
        self.new: set[int] = set()
        self.skipping = False
        self.replacing: ReplaceOrder | None = None
        self.blocking: tuple[PlaceBlock, list[int]] | None = None
        self.rules: dict[str, int] = {}
        self.listing: list[tuple[str, str, PlaceOrder]] | None = None
        self.members: set[int] = set()
        self.log: list[bytes] = []
        for code, asset_id in ASSETS.items():
            self.run(encode_set_asset(AssetSettings(asset_id=asset_id, code=code), **self.numbered()))
        self.run(encode_set_market(self.settings, **self.numbered()))
        self.send(SetMarketState(market_id=MARKET, state=MarketState.OPEN, cause=0, **self.numbered()))

    def numbered(self) -> dict[str, int]:
        self.relay_seq += 1
        return {"relay_seq": self.relay_seq, "source": Source.OUTBOX}

    def run(self, frames: bytes) -> list[Any]:
        """Stamp the frames as one stream entry a millisecond later, process them, decode the events."""
        stamped = bytearray(frames)
        self.now_ms += 1
        stamp(stamped, self.now_ms, self.entry_n)
        self.log.append(bytes(stamped))
        if self.skipping:
            return decode_events(self.engine.skip(bytes(stamped), Reason.INTERNAL))
        return decode_events(self.engine.process(bytes(stamped)))

    def send(self, command: Command) -> list[Any]:
        return self.run(encode_command(command).ljust(command.parts * FRAME_SIZE, b"\0"))

    def account(self, who: str) -> int:
        """The account's id; on first use with money."""
        if who not in self.accounts:
            assert not self.skipping, f"{who} must be named before a skipped command"
            self.accounts[who] = 1001 + len(self.accounts)
            for asset, amount in (("USDT", "1000000"), ("BTC", "100")):
                self.fund(who, amount, asset)
        return self.accounts[who]

    def fund(self, who: str, amount: str, asset: str) -> list[Any]:
        account_id = self.accounts.setdefault(who, 1001 + len(self.accounts))
        return self.send(
            Credit(
                account_id=account_id,
                asset_id=ASSETS[asset],
                amount_units=parse_decimal(amount),
                counter=Counterparty.EXTERNAL,
                key=f"fund:{self.relay_seq}",
                **self.numbered(),
            )
        )

    def place(self, name: str, who: str, **fields: Any) -> list[Any]:
        """A new order with any fields; remembers its id under `name`."""
        order = PlaceOrder(
            market_id=fields.pop("market_id", MARKET),
            account_id=self.account(who),
            settings_version=fields.pop("settings_version", self.settings.settings_version),
            **fields,
        )
        if self.listing is not None:
            self.listing.append((name, who, order))
            return []
        head, self.replacing = self.replacing, None
        block, self.blocking = self.blocking, None
        if head is not None:
            events = self.run(encode_replace(head, order))
        elif block is not None:
            events = self.run(encode_block(block[0], order, block[1]))
        else:
            events = self.send(order)
        for event in events:
            if isinstance(event, OrderAccepted):
                self.orders[name] = event.order_id
                self.owners[name] = who
        return events

    def set_market(self, **fields: Any) -> list[Any]:
        newer = {"settings_version": self.settings.settings_version + 1} | fields
        wanted = msgspec.structs.replace(self.settings, **newer)
        events = self.run(encode_set_market(wanted, **self.numbered()))
        if isinstance(events[0], SettingsApplied):
            self.settings = wanted
        return events

    def balance(self, who: str, asset: str) -> tuple[int, int]:
        """(available_units, held_units)."""
        for row in self.engine.balances():
            if (row.account_id, row.asset_id) == (self.accounts[who], ASSETS[asset]):
                return row.available_units, row.held_units
        return 0, 0

    def state_but_seq(self) -> tuple[object, ...]:
        """Everything that a refused command must leave as it was: all but time, event seq and relay numbers."""
        body, (head, relays) = self.engine.snapshot(), TABLES[:2]
        row = head.row.unpack_from(body, len(MAGIC) + 4)
        said = {
            name: value for (name, _), value in zip(head.columns, row, strict=True) if name not in ("seq", "now_ms")
        }
        behind = len(MAGIC) + 4 + head.row.size
        return said, body[behind + 4 + int.from_bytes(body[behind : behind + 4], "little") * relays.row.size :]

    # The table language

    def play(self, script: str) -> None:
        """Run every line and compare; validate() at the end."""
        for number, line in enumerate(script.splitlines(), 1):
            text = line.split("#")[0].strip()
            if not text:
                continue
            asked, _, expected = text.partition("->")
            answer = self.answer(asked.split())
            if expected.strip():
                assert answer == " ".join(expected.split()), f"line {number}: {text}\n  answered: {answer}"
            self.engine.validate()

    def ask(self, line: str) -> str:
        """What one line is answered."""
        return self.answer(line.split())

    def answer(self, words: list[str]) -> str:
        verb, rest = words[0], words[1:]
        return str(getattr(self, "do_" + verb.replace("-", "_"))(*rest))

    def do_bid(self, name: str, who: str, price: str, quantity: str, *options: str) -> str:
        return self._limit(Side.BUY, name, who, price, quantity, options)

    def do_ask(self, name: str, who: str, price: str, quantity: str, *options: str) -> str:
        return self._limit(Side.SELL, name, who, price, quantity, options)

    def do_buy(self, name: str, who: str, how: str, amount: str, *options: str) -> str:
        return self._market(Side.BUY, name, who, how, amount, options)

    def do_sell(self, name: str, who: str, how: str, amount: str, *options: str) -> str:
        return self._market(Side.SELL, name, who, how, amount, options)

    def _limit(self, side: Side, name: str, who: str, price: str, quantity: str, options: tuple[str, ...]) -> str:
        fields: dict[str, Any] = {
            "side": side,
            "order_kind": OrderKind.LIMIT,
            "time_in_force": TimeInForce.GTC,
            "price_ticks": ticks(price),
            "quantity_lots": lots(quantity),
            "client_id": name,
        }
        fields |= self._options(who, options)
        fields["order_kind"] = LIMIT_FORMS.get(fields["order_kind"], fields["order_kind"])
        return self.words(self.place(name, who, **fields))

    def _market(self, side: Side, name: str, who: str, how: str, amount: str, options: tuple[str, ...]) -> str:
        size = {"quantity_lots": lots(amount)} if how == "market" else {"budget_units": parse_decimal(amount)}
        fields: dict[str, Any] = {"side": side, "order_kind": OrderKind.MARKET, "client_id": name, **size}
        return self.words(self.place(name, who, **fields | self._options(who, options)))

    def _options(self, who: str, options: tuple[str, ...]) -> dict[str, Any]:
        """PlaceOrder fields for the words behind an order."""
        self.account(who)  # may take time
        fields: dict[str, Any] = {}
        words = iter(options)
        for word in words:
            match word:
                case "as":
                    fields["client_id"] = next(words)
                case "ioc" | "fok":
                    fields["time_in_force"] = TimeInForce[word.upper()]
                case "gtd":
                    fields["time_in_force"] = TimeInForce.GTD
                    fields["expires_ms"] = self.now_ms + 1 + parse_decimal(next(words)) // 10**5
                case "maker":
                    fields["order_kind"] = OrderKind.LIMIT_MAKER
                case "show":
                    fields["display_lots"] = lots(next(words))
                case "stop" | "profit":
                    fields["order_kind"] = TRIGGERS[word]
                    fields["stop_price_ticks"] = ticks(next(words))
                case "trail":
                    fields["trailing_bips"] = int(next(words))
                case "strategy":
                    fields["strategy"] = _strategy(next(words))
                case "stp":
                    fields["stp_mode"] = StpMode[next(words).upper()]
                case _:
                    raise AssertionError(f"no such option: {word}")
        return fields

    def do_wait(self, seconds: str) -> str:
        answers = []
        for left in range(int(seconds), 0, -1):
            self.now_ms += 999 if left > 1 else 1_000  # a tick takes its own millisecond
            answers.append(self.do_tick())
        return ", ".join(answer for answer in answers if answer != "nothing") or "nothing"

    def do_cancel(self, name: str, *options: str) -> str:
        given = dict(zip(options[::2], options[1::2], strict=True))
        who = given.get("by", self.owners.get(name, ""))
        command = CancelOrder(
            market_id=MARKET, account_id=self.account(who), order_id=self.orders[name], flags=_only(given.get("only"))
        )
        return self.words(self.send(command))

    def do_amend(self, name: str, quantity: str, *by: str) -> str:
        who = by[1] if by else self.owners[name]
        command = AmendOrder(account_id=self.account(who), order_id=self.orders[name], quantity_lots=lots(quantity))
        return self.words(self.send(command))

    def do_replace(self, name: str, *order: str) -> str:
        return self._replace(name, ReplaceMode.STOP_ON_FAILURE, order)

    def do_replace_anyway(self, name: str, *order: str) -> str:
        return self._replace(name, ReplaceMode.ALLOW_FAILURE, order)

    def _replace(self, name: str, mode: ReplaceMode, order: tuple[str, ...]) -> str:
        only, order = (order[1], order[2:]) if order[0] == "only" else (None, order)
        account_id = self.account(order[2])
        self.replacing = ReplaceOrder(
            market_id=MARKET, account_id=account_id, order_id=self.orders.get(name, 10**6), mode=mode, flags=_only(only)
        )
        return self.answer(list(order))

    def do_allocation(self, rule: str, who: str, method: str, *subs: str) -> str:
        pairs = [sub.partition(":") for word in subs for sub in _range(word)]
        settings = AllocationSettings(
            account_id=self.account(who),
            rule_id=self.rules.setdefault(rule, len(self.rules) + 1),
            method=AllocationMethod[method.upper().replace("-", "_")],
            accounts=[self.account(sub) for sub, _, _ in pairs],
            weights_bp=[int(weight) for _, _, weight in pairs if weight],
        )
        return self.words(self.run(encode_set_allocation(settings, **self.numbered())))

    def do_block(self, rule: str, *words: str) -> str:
        """The order that follows is one."""
        requested: list[int] = []
        if words[0] not in ("bid", "ask", "buy", "sell"):
            requested, words = [lots(part) for part in words[0].split(",")], words[1:]
        self.account(words[2])  # may take time
        head = PlaceBlock(market_id=MARKET, account_id=self.account(words[2]), rule_id=self.rules.get(rule, 99))
        self.blocking = head, requested
        return self.answer(list(words))

    def do_oco(self, name: str, *words: str) -> str:
        return self._list(ListKind.OCO, name, words)

    def do_oto(self, name: str, *words: str) -> str:
        return self._list(ListKind.OTO, name, words)

    def do_otoco(self, name: str, *words: str) -> str:
        return self._list(ListKind.OTOCO, name, words)

    def _list(self, kind: ListKind, name: str, words: tuple[str, ...]) -> str:
        legs = " ".join(words).split("/")[1:]
        self.account(legs[0].split()[2])  # may take time
        self.listing = []
        for leg in legs:
            self.answer(leg.split())
        orders, self.listing = self.listing, None
        head = PlaceList(
            market_id=MARKET, account_id=orders[0][2].account_id, list_kind=kind,
            list_client_id="" if name == "-" else name,
        )  # fmt: skip
        events = self.run(encode_list(head, [order for _, _, order in orders]))
        accepted = [event.order_id for event in events if isinstance(event, OrderAccepted)]
        for (leg, who, _), order_id in zip(orders, accepted, strict=False):
            self.orders[leg], self.owners[leg] = order_id, who
        return self.words(events)

    def do_cancel_after(self, who: str, seconds: str) -> str:
        return self.words(self.send(SetCancelTimer(account_id=self.account(who), timeout_ms=int(seconds) * 1_000)))

    def do_cancel_all(self, who: str) -> str:
        return self.words(self.send(CancelAll(account_id=self.account(who))))

    def do_fund(self, who: str, amount: str, asset: str) -> str:
        return self.words(self.fund(who, amount, asset))

    def do_withdraw(self, who: str, amount: str, asset: str) -> str:
        return self.words(self.money(Debit, who, amount, asset, counter=Counterparty.EXTERNAL))

    def do_transfer(self, who: str, amount: str, asset: str, to: str) -> str:
        return self.words(self.money(Transfer, who, amount, asset, to_account_id=self.account(to)))

    def do_hold(self, key: str, who: str, amount: str, asset: str) -> str:
        return self.words(self.money(Hold, who, amount, asset, key=key))

    def do_release(self, key: str, who: str, asset: str) -> str:
        return self.words(self.money(Release, who, "0", asset, key=key))

    def do_capture(self, key: str, who: str, amount: str, asset: str) -> str:
        return self.words(self.money(Capture, who, amount, asset, key=key, counter=Counterparty.EXTERNAL))

    def money(self, kind: type[Any], who: str, amount: str, asset: str, **fields: Any) -> list[Any]:
        return self.send(
            kind(
                account_id=self.account(who),
                asset_id=ASSETS[asset],
                amount_units=parse_decimal(amount),
                **fields,
                **self.numbered(),
            )
        )

    def do_family(self, who: str, head: str) -> str:
        family_id = self.account(head)
        events = [
            event
            for sub in _range(who)
            for event in self.send(SetAccount(account_id=self.account(sub), family_id=family_id, **self.numbered()))
        ]
        return self.words(events[-1:])

    def do_tier(self, who: str, tier: str) -> str:
        return self.words(self.send(SetAccount(account_id=self.account(who), fee_tier=int(tier), **self.numbered())))

    def do_set(self, *pairs: str) -> str:
        values: dict[str, Any] = {pairs[i]: int(pairs[i + 1]) for i in range(0, len(pairs), 2)}
        for name in values:
            if isinstance(getattr(self.settings, name), bool):
                values[name] = bool(values[name])
        return self.words(self.set_market(**values))

    def do_fees(self, *tiers: str) -> str:
        fees = [(int(tier.split(":")[0]), int(tier.split(":")[1])) for tier in tiers]
        return self.words(self.set_market(fees=fees))

    def do_breakers(self, *rules: str) -> str:
        wanted = []
        for rule in rules:
            rule_id, measure, bp, window_s, halt_s = rule.split(":")
            measured = BreakerMeasure[measure.upper()]
            wanted.append(BreakerRule(int(rule_id), measured, int(bp), int(window_s) * 1_000, int(halt_s)))
        return self.words(self.set_market(breaker_rules=wanted))

    def do_state(self, state: str) -> str:
        return self.words(
            self.send(SetMarketState(market_id=MARKET, state=MarketState[state], cause=1, **self.numbered()))
        )

    def do_review(self, name: str, decision: str) -> str:
        return self.words(self.send(self.review(name, Review[decision.upper()])))

    def review(self, name: str, decision: int, **changes: Any) -> ReviewOrder:
        fields: dict[str, Any] = {
            "market_id": MARKET,
            "account_id": self.accounts[self.owners[name]],
            "order_id": self.orders[name],
            "decision": decision,
        }
        return ReviewOrder(**self.numbered() | fields | changes)

    def do_class_of(self, asset: str, asset_class: str) -> str:
        settings = AssetSettings(asset_id=ASSETS[asset], code=asset, asset_class=asset_class)
        return self.words(self.run(encode_set_asset(settings, **self.numbered())))

    def do_class_state(self, asset_class: str, state: str) -> str:
        command = SetClassState(asset_class=asset_class, state=MarketState[state], cause=1, **self.numbered())
        return self.words(self.send(command))

    def do_distance(self) -> str:
        row = next(iter(self.engine.markets()))
        return f"halt below {price_text(row.halt_down_ticks + 1)} and above {price_text(row.halt_up_ticks - 1)}"

    def do_skip(self, *words: str) -> str:
        self.skipping = True
        try:
            return self.answer(list(words))
        finally:
            self.skipping = False

    def do_tick(self) -> str:
        return self.words(self.send(Tick()))

    def do_book(self) -> str:
        sides = []
        for side, name in ((Side.BUY, "bids"), (Side.SELL, "asks")):
            levels = self.engine.depth(MARKET, side, 1000)
            if levels:
                sides.append(name + " " + " ".join(f"{price_text(p)} x {quantity_text(q)}" for p, q in levels))
        return ", ".join(sides) or "empty"

    def do_balance(self, who: str, asset: str) -> str:
        available, held = self.balance(who, asset)
        return f"{amount_text(available)} available, {amount_text(held)} held"

    def do_fees_of(self, asset: str) -> str:
        return amount_text(next(row.fee_units for row in self.engine.assets() if row.code == asset))

    def do_last(self) -> str:
        return price_text(next(iter(self.engine.markets())).last_price_ticks)

    # Events as words

    def words(self, events: list[Any]) -> str:
        """What an order does that was triggered, and not brought by this command, says which."""
        self.triggered |= {event.order_id for event in events if isinstance(event, OrderTriggered)}
        for event in events:
            if isinstance(event, ListChanged):
                self.members |= {event.order_id_1, event.order_id_2, event.order_id_3}
        self.new = {event.order_id for event in events if isinstance(event, OrderAccepted)} - self.members
        return ", ".join(text for event in events for text in self._words_of(event)) or "nothing"

    def _of(self, order_id: int) -> str:
        return f" {self._name(order_id)}" if order_id in self.triggered | self.members else ""

    def _name(self, order_id: int) -> str:
        return next((name for name, known in self.orders.items() if known == order_id), f"#{order_id}")

    def _who(self, account_id: int) -> str:
        return next(name for name, known in self.accounts.items() if known == account_id)

    def _words_of(self, event: Any) -> list[str]:
        match event:
            case OrderAccepted() if event.flags & (AcceptedFlag.STRATEGY_ID | AcceptedFlag.STRATEGY_TYPE):
                strategy_id = str(event.strategy_id) if event.flags & AcceptedFlag.STRATEGY_ID else ""
                strategy_type = f":{event.strategy_type}" if event.flags & AcceptedFlag.STRATEGY_TYPE else ""
                unlabelled = replace(event, flags=event.flags & (AcceptedFlag.STRATEGY_ID - 1))
                return [f"of strategy {strategy_id}{strategy_type}", *self._words_of(unlabelled)]
            case OrderAccepted():
                if event.flags & AcceptedFlag.WAITING:
                    return [f"waits{self._of(event.order_id)}"]
                if event.flags & AcceptedFlag.PENDING:
                    return [f"pending{self._of(event.order_id)}"]
                return ["rested"] if event.flags & AcceptedFlag.RESTED else []
            case OrderTriggered():
                return [f"triggered {self._name(event.order_id)}"]
            case OrderRejected():
                return [f"rejected {reason_text(event.reason)}"]
            case OrderDuplicate():
                return [f"duplicate of {self._name(event.order_id)}"]
            case AuctionPrice():
                price, lots_there = price_text(event.price_ticks), quantity_text(event.quantity_lots)
                return [f"auction {price} x {lots_there}" if event.quantity_lots else "auction none"]
            case LevelChanged() | HaltDistance():
                return []
            case Trade() if event.flags & TradeFlag.AUCTION:
                text = f"pair {self._name(event.taker_order_id)} {self._name(event.maker_order_id)}"
                return [f"{text} {price_text(event.price_ticks)} {quantity_text(event.quantity_lots)}"]
            case Trade():
                text = f"trade {self._name(event.maker_order_id)} {price_text(event.price_ticks)}"
                text += f" {quantity_text(event.quantity_lots)}"
                of_taker = self._of(event.taker_order_id)
                if of_taker:
                    text += f" by{of_taker}"
                return [text, f"done{of_taker}"] if event.flags & TradeFlag.TAKER_DONE else [text]
            case OrderRested():
                return [f"rests{self._of(event.order_id)} {quantity_text(event.left_lots)}"]
            case OrderClosed():
                status = OrderStatus(event.status).name.lower()
                if event.reason == Reason.CANCELED_BY_USER:
                    return [f"canceled {self._name(event.order_id)}"]
                if event.reason in BY_OTHERS:
                    return [f"{status} {self._name(event.order_id)} by {BY_OTHERS[event.reason]}"]
                if event.order_id not in self.new:
                    status += f" {self._name(event.order_id)}"
                return [f"{status} {reason_text(event.reason)}"]
            case OrderParked():
                return ["parked"]
            case OrderReviewed():
                return ["released"] if event.decision == Review.RELEASE else []
            case Allocated():
                verb = SHARE_WORDS[AllocationStep(event.step)]
                return [f"{self._who(event.account_id)} {verb} {quantity_text(event.quantity_lots)}"]
            case ListChanged():
                return ["list done"] if event.status == ListStatus.ALL_DONE else []
            case ListRejected():
                leg = f" {event.leg}" if event.leg else ""
                return [f"list rejected{leg} {reason_text(event.reason)}"]
            case ListDuplicate():
                return [f"duplicate of list {self._name(event.list_id)}"]
            case PendingEntered():
                return [f"enters{self._of(event.order_id)}"]
            case IcebergRefilled():
                return [f"refill {self._name(event.order_id)} {quantity_text(event.tip_lots)}"]
            case CancelTimerSet():
                if event.flags & TimerFlag.FIRED:
                    return ["timer fired"]
                return ["timer set" if event.due_ms else "timer cleared"]
            case OrderAmended():
                return [f"amended {self._name(event.order_id)} {quantity_text(event.quantity_lots)}"]
            case AmendRejected():
                return [f"amend rejected {reason_text(event.reason)}"]
            case CancelRejected():
                return [f"cancel rejected {reason_text(event.reason)}"]
            case AllCanceled():
                return [f"{event.count} canceled"]
            case PreventedMatch():
                return [f"prevented {self._name(event.maker_order_id)} {quantity_text(event.prevented_lots)}"]
            case MoneyMoved():
                return ["moved"]
            case RelayRefused():
                return [f"refused {reason_text(event.reason)}"]
            case SettingsApplied():
                return ["applied"]
            case InternalReject():
                return [f"skipped {reason_text(event.reason)}"]
            case MarketStateChanged():
                text = f"{MarketState(event.old_state).name} to {MarketState(event.new_state).name}"
                text += f" by breaker {event.rule_id}" if event.rule_id else ""
                text += BY_ENGINE.get(HaltCause(event.cause), "")
                text += f" for {(event.until_ms - event.cmd_ms + 500) // 1_000} s" if event.until_ms else ""
                return [text]
        raise AssertionError(f"no words for {event}")


def in_state(engine: Any, state: int) -> Any:
    """The engine with the market in that state, without a command or an event having brought it there."""
    body = engine.snapshot()
    rows = read_tables(body, version_of(body))
    at = next(table.columns.index(("state", "B")) for table in TABLES if table.name == "markets")
    rows["markets"] = [(*row[:at], int(state), *row[at + 1 :]) if row[0] == MARKET else row for row in rows["markets"]]
    rows["auctions"] = [(MARKET, 0, 0, 0)] if state == MarketState.AUCTION else []
    parts = [MAGIC]
    for table in TABLES:
        packed = [table.row.pack(*row) for row in rows[table.name]]
        parts += [COUNT.pack(len(packed)), *packed]
    return type(engine).restore(b"".join(parts))


def play(script: str, **settings: Any) -> Table:
    """A new table with these market settings, played; the table for further questions."""
    table = Table(**settings)
    table.play(script)
    return table


def _strategy(word: str) -> Strategy:
    """`7`, `7:1000000` or `:1000000`."""
    strategy_id, _, strategy_type = word.partition(":")
    given = AcceptedFlag.STRATEGY_ID * bool(strategy_id) | AcceptedFlag.STRATEGY_TYPE * bool(strategy_type)
    return Strategy(strategy_id=int(strategy_id or 0), strategy_type=int(strategy_type or 0), given=given)


def _only(status: str | None) -> int:
    return CancelFlag[f"ONLY_{status.upper()}"] if status else 0


def _range(word: str) -> list[str]:
    """`s1..s4` is s1 s2 s3 s4."""
    if ".." not in word:
        return [word]
    first, last = word.split("..")
    prefix = first.rstrip("0123456789")
    return [f"{prefix}{number}" for number in range(int(first[len(prefix) :]), int(last[len(prefix) :]) + 1)]


def ticks(price: str) -> int:
    return parse_decimal(price) // TICK_SIZE


def lots(quantity: str) -> int:
    return parse_decimal(quantity) // LOT_SIZE


def amount_text(units: int) -> str:
    """Without trailing zeros: '0.5', '50950'."""
    return format_units(units).rstrip("0").rstrip(".")


def price_text(price_ticks: int) -> str:
    return amount_text(price_ticks * TICK_SIZE)


def quantity_text(quantity_lots: int) -> str:
    return amount_text(quantity_lots * LOT_SIZE)


def reason_text(reason: int) -> str:
    return Reason(reason).name.lower()
