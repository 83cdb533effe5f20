"""A Hypothesis state machine over every kind of order, command, market state and account, with checks after each step.

Small worlds on purpose: four accounts, seven prices, a dozen lots, little money, so that everything meets everything
and a failure shrinks to a few lines. What is checked is what no reader of the engine could know better: its own
validate(), the books and balances that its events rebuild, money as counted from outside, and every print.
"""

from collections import Counter
from struct import Struct
from typing import Any, Final

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from apps.matching.engine.snapshot_tables import MAGIC, TABLES
from apps.streams.codec import encode_block, encode_list, encode_set_allocation
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
    SetMarketState,
    Transfer,
)
from apps.streams.events import MarketStateChanged, MoneyMoved, OrderAccepted, Trade
from apps.streams.kinds import (
    AllocationMethod,
    BreakerMeasure,
    CommandKind,
    Counterparty,
    EventKind,
    ListKind,
    MarketState,
    OrderKind,
    Review,
    Side,
    StpMode,
    TimeInForce,
    TradeFlag,
)
from apps.streams.messages import AllocationSettings, BreakerRule
from tests.matching.engine.play import ASSETS, LOT_SIZE, MARKET, SETTINGS, Table
from tests.matching.engine.projection import Projection

PEOPLE: Final = ("alice", "bob", "carol", "dave")
SUB_ACCOUNTS: Final = ("sub1", "sub2")  # of alice, for block orders
MIDDLE: Final = 5_000_000
PRICES: Final = tuple(MIDDLE + 100_000 * step for step in (0, -1, 1, -2, 2, -3, 3))
LOT_COST: Final = MIDDLE * SETTINGS.unit_factor
FUNDS: Final = (("15", "USDT"), ("0.0003", "BTC"))  # thirty lots at the middle, each
CONDITIONAL: Final = (
    OrderKind.STOP_LOSS, OrderKind.STOP_LOSS_LIMIT, OrderKind.TAKE_PROFIT, OrderKind.TAKE_PROFIT_LIMIT,
)  # fmt: skip
WITHOUT_PRICE: Final = {OrderKind.MARKET, OrderKind.STOP_LOSS, OrderKind.TAKE_PROFIT}
REFUSALS: Final = {
    EventKind.ORDER_REJECTED, EventKind.LIST_REJECTED, EventKind.CANCEL_REJECTED, EventKind.AMEND_REJECTED,
    EventKind.RELAY_REFUSED,
}  # fmt: skip
STATES: Final = (
    MarketState.AUCTION, MarketState.OPEN, MarketState.HALTED, MarketState.POST_ONLY, MarketState.CANCEL_ONLY,
    MarketState.AUCTION, MarketState.CLOSED,
)  # fmt: skip

people = st.sampled_from(PEOPLE)
lots = st.integers(1, 12)
prices = st.sampled_from(PRICES)
back = st.integers(0, 7)  # how many orders ago
amounts = st.integers(1, 20).map(lambda number: number * LOT_COST // 2)


@st.composite
def orders(draw: Any, kinds: st.SearchStrategy[OrderKind] = st.sampled_from(OrderKind)) -> dict[str, Any]:  # noqa: B008
    """Fields of a PlaceOrder, well-formed but for the few that are not."""
    kind = draw(kinds)
    fields: dict[str, Any] = {
        "side": draw(st.sampled_from(Side)),
        "order_kind": kind,
        "stp_mode": draw(st.sampled_from(StpMode)),
        "client_id": draw(st.sampled_from(("", "", "a", "b", "c"))),
        "quantity_lots": draw(lots),
    }
    if kind is OrderKind.MARKET and draw(st.booleans()):
        fields |= {"quantity_lots": 0, "budget_units": draw(amounts)}
    if kind not in WITHOUT_PRICE:
        ends = (TimeInForce.GTC, TimeInForce.GTD, TimeInForce.IOC, TimeInForce.FOK)
        fields |= {"price_ticks": draw(prices), "time_in_force": draw(st.sampled_from(ends))}
        if fields["time_in_force"] == TimeInForce.GTD:
            fields["ends_in_ms"] = draw(st.sampled_from((5_000, 1, 60_000)))
        if draw(st.integers(0, 3)) == 3:
            fields["display_lots"] = draw(st.integers(1, 4))
    if kind in CONDITIONAL:
        fields["stop_price_ticks"] = draw(prices)
        if draw(st.integers(0, 2)) == 2:
            fields["trailing_bips"] = draw(st.sampled_from((200, 100, 1_000)))
            fields["stop_price_ticks"] *= draw(st.integers(0, 1))
    return fields


def resting(side: Side, price: int, quantity: int) -> dict[str, Any]:
    return {
        "side": side, "order_kind": OrderKind.LIMIT, "time_in_force": TimeInForce.GTC, "price_ticks": price,
        "quantity_lots": quantity,
    }  # fmt: skip


@st.composite
def lists(draw: Any) -> tuple[ListKind, list[dict[str, Any]]]:
    """The legs of an order list that makes sense, but for prices that are met already."""
    kind, quantity, side = draw(st.sampled_from(ListKind)), draw(lots), draw(st.sampled_from(Side))

    def leg(kinds: tuple[OrderKind, ...], side: Side, stop_ticks: int, price_ticks: int) -> dict[str, Any]:
        chosen = draw(st.sampled_from(kinds))
        fields = resting(side, price_ticks, quantity) | {
            "order_kind": chosen, "stp_mode": draw(st.sampled_from(StpMode)),
            "client_id": draw(st.sampled_from(("", "", "a", "b", "c"))),
        }  # fmt: skip
        if chosen in CONDITIONAL:
            fields["stop_price_ticks"] = stop_ticks
        if chosen in WITHOUT_PRICE:
            fields |= {"price_ticks": 0, "time_in_force": TimeInForce.NONE}
        elif draw(st.integers(0, 3)) == 3:
            fields["display_lots"] = draw(st.integers(1, 4))
        return fields

    def pair(side: Side) -> list[dict[str, Any]]:
        up = 1 if side == Side.SELL else -1
        middle, away = draw(prices), 100_000 * draw(st.integers(1, 2))
        near, far = middle + up * away, middle - up * away
        targets = leg((OrderKind.LIMIT_MAKER, OrderKind.TAKE_PROFIT, OrderKind.TAKE_PROFIT_LIMIT), side, near, near)
        stops = leg((OrderKind.STOP_LOSS, OrderKind.STOP_LOSS_LIMIT), side, far, far - up * 100_000)
        return [targets, stops] if side == Side.SELL else [stops, targets]

    if kind is ListKind.OCO:
        return kind, pair(side)
    working = leg((OrderKind.LIMIT, OrderKind.LIMIT_MAKER), side, 0, draw(prices))
    if kind is ListKind.OTOCO:
        return kind, [working, *pair(Side(1 - side))]
    stop_ticks = draw(prices)
    return kind, [working, leg(tuple(OrderKind), Side(1 - side), stop_ticks, draw(prices))]


@st.composite
def rules_of_the_market(draw: Any) -> dict[str, Any]:
    """Some of the settings, changed."""
    choices: dict[str, tuple[Any, ...]] = {
        "fees": ([(0, 0)], [(1_000, 1_000)], [(-900, 1_000)], [(-300, 1_000), (200, 750)]),
        "bid_up_bp": (0, 10_300),
        "ask_down_bp": (0, 9_700),
        "park_outside_band": (False, True),
        "park_expiry_s": (3_600, 3),
        "max_open_orders": (0, 3),
        "max_iceberg_orders": (0, 1),
        "max_conditional_orders": (0, 2),
        "max_order_lists": (0, 1),
        "max_order_amends": (0, 1),
        "conditional_buffer_bp": (0, 500),
        "min_lots": (1, 3),
        "min_notional_units": (0, 2 * LOT_COST),
        "market_max_lots": (1_000_000_000, 6),
        "breaker_rules": (
            [],
            [BreakerRule(1, BreakerMeasure.PRICE, 100, 60_000)],
            [BreakerRule(2, BreakerMeasure.VWAP, 150, 9_000)],
        ),
        "call_s": (5, 0),
        "collar_bp": (0, 150),
        "max_extensions": (0, 1),
        "breaker_min_notional_units": (0, 3 * LOT_COST),
    }
    chosen = draw(st.sets(st.sampled_from(tuple(choices)), min_size=1, max_size=4))
    return {name: draw(st.sampled_from(choices[name])) for name in sorted(chosen)}


class Followed(Table):
    """A table whose events all go through a projection; money that came in or went out is counted."""

    def __init__(self, made_by: Any) -> None:
        self.projection = Projection({MARKET: (ASSETS["BTC"], ASSETS["USDT"])})
        self.came_in: Counter[int] = Counter()
        self.placed: list[tuple[int, int]] = []  # (order_id, account_id)
        self.families: dict[int, int] = {}
        self.limits: dict[int, int] = {}  # price of each order that has one
        self.state = MarketState.PRE_LAUNCH
        super().__init__(made_by=made_by, closed_ids_kept=4)

    def run(self, frames: bytes) -> list[Any]:
        before = self.engine.snapshot()
        events = super().run(frames)
        for event in events:
            self.projection.apply(event)
            self._follow(event)
        if len(events) == 1 and events[0].KIND in REFUSALS:
            assert but_time(self.engine.snapshot()) == but_time(before), (
                f"a refused command changed something: {events}"
            )
        return events

    def _follow(self, event: Any) -> None:
        match event:
            case OrderAccepted():
                self.placed.append((event.order_id, event.account_id))
                self.limits[event.order_id] = event.price_ticks
            case MarketStateChanged():
                self.state = MarketState(event.new_state)
            case Trade():
                self._check_print(event)
            case MoneyMoved() if event.op == CommandKind.CREDIT:
                self.came_in[event.asset_id] += event.amount_units
            case MoneyMoved() if event.op == CommandKind.DEBIT or (
                event.op == CommandKind.CAPTURE and not event.to_account_id
            ):
                self.came_in[event.asset_id] -= event.amount_units

    def _check_print(self, event: Trade) -> None:
        """At the maker's price, in an auction at one price for all; beyond nobody's limit, never within a family."""
        makers, takers = self.limits[event.maker_order_id], self.limits[event.taker_order_id]
        buys = bool(event.flags & TradeFlag.TAKER_IS_BUYER)
        assert event.flags & TradeFlag.AUCTION or event.price_ticks == makers
        assert makers >= event.price_ticks if not buys else makers <= event.price_ticks
        assert not takers or (event.price_ticks <= takers if buys else event.price_ticks >= takers)
        taker, maker = (self.families.get(each, each) for each in (event.account_id, event.maker_account_id))
        assert taker != maker, "a family traded with itself"
        assert self.state == (MarketState.AUCTION if event.flags & TradeFlag.AUCTION else MarketState.OPEN)

    def recent(self, ago: int) -> tuple[int, int]:
        """(order_id, account_id) of an order; of one that never was, where there is none."""
        return self.placed[-1 - ago] if ago < len(self.placed) else (9_999, self.accounts["alice"])


class EngineMachine(RuleBasedStateMachine):
    """`engine_class` is set by the tests' subclasses. A rule is a family of commands, so that orders are most of it.

    A market that staff has moved is opened again a few steps later: what it is there for happens in OPEN.
    """

    engine_class: Any = None

    @initialize()
    def begin(self) -> None:
        self.closed_for = 0
        self.table = Followed(self.engine_class)
        for who in (*PEOPLE, *SUB_ACCOUNTS):
            for amount, asset in FUNDS:
                self.table.fund(who, amount, asset)
        self.table.set_market(initial_price_ticks=MIDDLE, call_s=5)
        head = self.table.accounts["alice"]
        for who in SUB_ACCOUNTS:
            self.join_family(who, "alice")
        accounts = [head, *(self.table.accounts[who] for who in SUB_ACCOUNTS)]
        for method in AllocationMethod:
            weights = [5_000, 3_000, 2_000] if method is AllocationMethod.FIXED else []
            rule_of_alice = AllocationSettings(
                account_id=head, rule_id=int(method), method=method, accounts=accounts, weights_bp=weights
            )
            self.table.run(encode_set_allocation(rule_of_alice, **self.table.numbered()))

    # -- orders -------------------------------------------------------------------------------------------------------
    @rule(who=people, side=st.sampled_from(Side), price=prices, quantity=lots)
    def rest(self, who: str, side: Side, price: int, quantity: int) -> None:
        self.place(who, resting(side, price, quantity))

    @rule(who=people, fields=orders())
    def place(self, who: str, fields: dict[str, Any]) -> None:
        self.turn()
        self.table.place("last", who, **self.timed(fields))

    @rule(who=people, fields=orders(st.just(OrderKind.LIMIT)))
    def place_limit(self, who: str, fields: dict[str, Any]) -> None:
        self.place(who, fields)

    @rule(who=people, fields=orders(st.sampled_from(CONDITIONAL)))
    def place_conditional(self, who: str, fields: dict[str, Any]) -> None:
        self.place(who, fields)

    @rule(who=people, fields=orders(st.just(OrderKind.MARKET)))
    def take(self, who: str, fields: dict[str, Any]) -> None:
        self.place(who, fields)

    @rule(
        fields=orders(), method=st.sampled_from(AllocationMethod), requested=st.tuples(*[st.integers(0, 5)] * 3),
    )  # fmt: skip
    def place_block(self, fields: dict[str, Any], method: AllocationMethod, requested: tuple[int, ...]) -> None:
        """By alice, for herself and her sub-accounts."""
        self.turn()
        head = self.table.accounts["alice"]
        order = PlaceOrder(
            market_id=MARKET, account_id=head, settings_version=self.table.settings.settings_version,
            **self.timed(fields) | {"display_lots": 0},
        )  # fmt: skip
        lots_of_each = requested if method is AllocationMethod.PRO_RATA else ()
        self.table.run(
            encode_block(PlaceBlock(market_id=MARKET, account_id=head, rule_id=int(method)), order, lots_of_each)
        )

    @rule(who=people, order_list=lists(), client_id=st.sampled_from(("", "", "l", "m")))
    def place_list(self, who: str, order_list: tuple[ListKind, list[dict[str, Any]]], client_id: str) -> None:
        self.turn()
        kind, legs = order_list
        account_id, version = self.table.accounts[who], self.table.settings.settings_version
        head = PlaceList(market_id=MARKET, account_id=account_id, list_kind=kind, list_client_id=client_id)
        orders = [
            PlaceOrder(market_id=MARKET, account_id=account_id, settings_version=version, **fields) for fields in legs
        ]
        self.table.run(encode_list(head, orders))

    @rule(maker=people, taker=people, side=st.sampled_from(Side), price=prices, quantity=lots)
    def print_at(self, maker: str, taker: str, side: Side, price: int, quantity: int) -> None:
        """Two orders that meet, if nothing better stands there: the last price moves, stops trigger."""
        self.place(maker, resting(side, price, quantity))
        self.place(taker, resting(Side(1 - side), price, quantity))

    @rule(ago=back, quantity_lots=lots, who=people, fields=orders(), mode=st.sampled_from((0, 0, 1, 2)))
    def change_order(self, ago: int, quantity_lots: int, who: str, fields: dict[str, Any], mode: int) -> None:
        """Amend, or cancel-replace in one of its modes."""
        self.turn()
        order_id, account_id = self.table.recent(ago)
        if not mode:
            self.table.send(AmendOrder(account_id=account_id, order_id=order_id, quantity_lots=quantity_lots))
            return
        who = next((name for name, known in self.table.accounts.items() if known == account_id), who)
        self.table.replacing = ReplaceOrder(
            market_id=MARKET, account_id=self.table.accounts[who], order_id=order_id, mode=mode
        )
        self.table.place("last", who, **self.timed(fields))

    @rule(ago=back, who=people, how=st.sampled_from(("id", "id", "id", "client id", "all")))
    def cancel(self, ago: int, who: str, how: str) -> None:
        self.turn()
        order_id, account_id = self.table.recent(ago)
        if how == "id":
            self.table.send(CancelOrder(market_id=MARKET, account_id=account_id, order_id=order_id))
        elif how == "client id":
            self.table.send(CancelOrder(account_id=self.table.accounts[who], client_id="abc"[ago % 3]))
        else:
            self.table.send(CancelAll(account_id=self.table.accounts[who]))

    @rule(
        who=people,
        timeout_ms=st.sampled_from((None, None, None, 2_000, 0)),
        wait_ms=st.sampled_from((1_000, 6_000, 1, 59_500, 60_000)),
    )
    def time_passes(self, who: str, timeout_ms: int | None, wait_ms: int) -> None:
        self.turn()
        if timeout_ms is not None:
            self.table.send(SetCancelTimer(account_id=self.table.accounts[who], timeout_ms=timeout_ms))
        self.table.now_ms += wait_ms
        self.table.do_tick()

    # -- money --------------------------------------------------------------------------------------------------------
    @rule(
        kind=st.sampled_from((Credit, Transfer, Hold, Release, Capture, Debit)),
        who=people, to=people, amount=amounts, asset=st.sampled_from(sorted(ASSETS)),
    )  # fmt: skip
    def move_money(self, kind: Any, who: str, to: str, amount: int, asset: str) -> None:
        self.turn()
        fields: dict[str, Any] = {"key": "k"} if kind in (Hold, Release, Capture) else {}
        if kind in (Credit, Debit, Capture):
            fields["counter"] = Counterparty.EXTERNAL
        if kind is Transfer:
            fields["to_account_id"] = self.table.accounts[to]
        self.table.send(
            kind(
                account_id=self.table.accounts[who], asset_id=ASSETS[asset],
                amount_units=amount if asset == "USDT" else amount // LOT_COST * LOT_SIZE + 1,
                **fields, **self.table.numbered(),
            )
        )  # fmt: skip

    # -- staff, worker, restarts --------------------------------------------------------------------------------------
    @rule(changes=rules_of_the_market())
    def change_rules(self, changes: dict[str, Any]) -> None:
        self.turn()
        self.table.set_market(**changes)

    @rule(who=people, price=st.sampled_from((2 * MIDDLE, MIDDLE // 2)), quantity=lots, decision=st.sampled_from(Review))
    def park_and_review(self, who: str, price: int, quantity: int, decision: Review) -> None:
        """An order far from the band, which may be parked; then staff decides about the last order."""
        if self.table.state == MarketState.OPEN and not self.table.settings.bid_up_bp:
            self.table.set_market(bid_up_bp=11_000, ask_down_bp=9_000, park_outside_band=True)
        self.place(who, resting(Side.BUY if price > MIDDLE else Side.SELL, price, quantity))
        order_id, account_id = self.table.recent(0)
        self.table.send(
            ReviewOrder(
                market_id=MARKET, account_id=account_id, order_id=order_id, decision=decision, **self.table.numbered()
            )
        )

    @rule(state=st.sampled_from(STATES), steps=st.integers(1, 6))
    def move_market(self, state: MarketState, steps: int) -> None:
        self.turn()
        self.closed_for = steps
        self.table.send(SetMarketState(market_id=MARKET, state=state, cause=1, **self.table.numbered()))

    @rule(
        entries=st.lists(
            st.tuples(people, st.sampled_from(Side), prices, lots, st.sampled_from((0, 2))), min_size=2, max_size=6
        ),
        waits=st.booleans(),
    )  # fmt: skip
    def call_auction(self, entries: list[tuple[str, Side, int, int, int]], waits: bool) -> None:
        """Orders, icebergs too, that may cross; then mostly the time at which they are paired."""
        self.turn()
        if not self.table.settings.call_s:
            self.table.set_market(call_s=5)
        command = SetMarketState(market_id=MARKET, state=MarketState.AUCTION, cause=1, **self.table.numbered())
        self.table.send(command)
        for who, side, price, quantity, display in entries:
            self.table.place("last", who, **resting(side, price, quantity) | {"display_lots": min(display, quantity)})
        if waits:
            self.table.now_ms += 5_000
            self.table.do_tick()

    @rule(what=st.sampled_from(("family", "skip", "restart", "restart")), who=people, head=people, fields=orders())
    def seldom(self, what: str, who: str, head: str, fields: dict[str, Any]) -> None:
        self.turn()
        if what == "restart":
            body = self.table.engine.snapshot()
            self.table.engine = self.engine_class.restore(body)
            assert self.table.engine.snapshot() == body
        elif what == "skip":
            self.closed_for = self.closed_for or 3  # the third skip stops the market
            self.table.skipping = True
            try:
                self.table.place("last", who, **self.timed(fields))
            finally:
                self.table.skipping = False
        else:
            self.join_family(who, head)

    # -- common -------------------------------------------------------------------------------------------------------
    def turn(self) -> None:
        if not self.closed_for and self.table.state != MarketState.OPEN:
            self.closed_for = 4  # a breaker or a timer moved it
        if self.closed_for:
            self.closed_for -= 1
            if not self.closed_for:
                bids, asks = (self.table.engine.depth(MARKET, side, 1) for side in Side)
                if not bids or not asks or bids[0][0] < asks[0][0]:
                    state = MarketState.OPEN
                else:  # an auction left the book crossed: only another one, or the end of its orders, leads on
                    state = MarketState.AUCTION if self.table.settings.call_s else MarketState.CLOSED
                self.table.send(SetMarketState(market_id=MARKET, state=state, cause=1, **self.table.numbered()))

    def join_family(self, who: str, head: str) -> None:
        account_id, family_id = self.table.accounts[who], self.table.accounts[head]
        events = self.table.send(SetAccount(account_id=account_id, family_id=family_id, **self.table.numbered()))
        if events[-1].KIND == EventKind.SETTINGS_APPLIED:
            self.table.families[account_id] = family_id

    def timed(self, fields: dict[str, Any]) -> dict[str, Any]:
        """`ends_in_ms` becomes a time."""
        fields = dict(fields)
        ends_in_ms = fields.pop("ends_in_ms", 0)
        return fields | {"expires_ms": self.table.now_ms + ends_in_ms if ends_in_ms else 0}

    @invariant()
    def is_sound(self) -> None:
        engine, projection = self.table.engine, self.table.projection
        engine.validate()
        balances = {(row.account_id, row.asset_id): (row.available_units, row.held_units) for row in engine.balances()}
        assert projection.money() == balances, "the events tell of other balances"
        levels = {
            (MARKET, side, price): quantity for side in Side for price, quantity in engine.depth(MARKET, side, 1_000)
        }
        assert projection.open_levels() == levels, "the events tell of another book"
        assert projection.left == {order.order_id: order.left_lots for order in engine.open_orders()}
        fees = {row.asset_id: row.fee_units for row in engine.assets()}
        for asset_id, units in self.table.came_in.items():
            inside = sum(sum(pair) for (_, held_in), pair in balances.items() if held_in == asset_id)
            assert inside + fees[asset_id] == units, "money came from nowhere or went nowhere"


_HEAD_AND_RELAYS: Final = tuple(table.row.size for table in TABLES[:2])
_COUNT: Final = Struct("<I")


def but_time(body: bytes) -> bytes:
    """A snapshot body without its head (seq, time) and the numbers of relayed commands, which refused ones take too."""
    offset = len(MAGIC)
    for size in _HEAD_AND_RELAYS:
        (count,) = _COUNT.unpack_from(body, offset)
        offset += _COUNT.size + count * size
    return body[offset:]
