"""Everything the model knows, as plain lists and dictionaries, and the events it wrote.

Held money is stored nowhere: it is the sum of what open orders and keyed holds need, added up whenever it is asked for.
What an account has in all changes only by trades and money commands.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from apps.streams.codec import encode_event
from apps.streams.commands import Strategy
from apps.streams.kinds import CONDITIONAL_KINDS, ListKind, MarketState, OrderKind, Side, Waiting
from apps.streams.messages import AllocationSettings, MarketSettings

AMOUNT_MAX = 2**62 - 1
LIMIT_KINDS = (OrderKind.LIMIT, OrderKind.LIMIT_MAKER)
MARKET_FORMS = (OrderKind.MARKET, OrderKind.STOP_LOSS, OrderKind.TAKE_PROFIT)


@dataclass(slots=True, eq=False)
class Account:
    account_id: int
    family: int
    fee_tier: int = 0
    total: dict[int, int] = field(default_factory=dict)  # by asset, available and held together
    orders: list["Order"] = field(default_factory=list)  # open ones, oldest first


@dataclass(slots=True, eq=False)
class Market:
    settings: MarketSettings
    state: int = MarketState.PRE_LAUNCH
    last_price: int | None = None
    trade_id: int = 0
    agg_id: int = 0
    prevented_id: int = 0
    skips: int = 0
    windows: dict[int, Any] = field(default_factory=dict)  # rule_id -> breakers.Window
    halts: list[int] = field(default_factory=list)  # when breaker halts began
    told: tuple[int, int, int, int] = (0, 0, 0, 0)  # the last HALT_DISTANCE
    told_ms: int = 0
    halt_rule: int = 0  # rule of the halt that lasts
    reopens_ms: int = 0
    call_ms: int = 0  # length of the call phase that is planned or runs
    extensions: int = 0
    indicative: tuple[int, int] = (0, 0)  # price and lots that were told last
    due_ms: int = 0  # when a timer ends the state, 0 where none does
    due_seq: int = 0
    triggered: list["Order"] = field(default_factory=list)  # the queue; may name orders that have ended since

    @property
    def market_id(self) -> int:
        return self.settings.market_id

    @property
    def base(self) -> int:
        return self.settings.base_asset_id

    @property
    def quote(self) -> int:
        return self.settings.quote_asset_id

    @property
    def reference(self) -> int:
        """Last trade, before the first one the initial price (matching-rules 1)."""
        return self.settings.initial_price_ticks if self.last_price is None else self.last_price

    def notional(self, price: int, lots: int) -> int:
        return price * lots * self.settings.unit_factor


@dataclass(slots=True, eq=False)
class Share:
    """What a sub-account has of a block order, in lots."""

    account: Account
    final: int
    allocated: int = 0


@dataclass(slots=True, eq=False)
class OrderList:
    """Orders that depend on one another: above before below, working before pending."""

    kind: int
    client_id: str
    orders: list["Order"] = field(default_factory=list)
    filled: bool = False  # its working order
    ending: bool = False
    done: bool = False

    @property
    def list_id(self) -> int:
        return self.orders[0].order_id

    @property
    def oco(self) -> list["Order"]:
        """Those of which one ends the other."""
        return {ListKind.OCO: self.orders, ListKind.OTO: [], ListKind.OTOCO: self.orders[1:]}[ListKind(self.kind)]


@dataclass(slots=True, eq=False)
class Order:
    order_id: int
    account: Account
    market: Market
    side: int
    kind: int
    time_in_force: int
    stp_mode: int
    price: int
    quantity: int
    budget: int
    display: int
    expires_ms: int
    client_id: str
    strategy: Strategy | None = None
    stop: int = 0
    trailing: int = 0
    best: int = 0  # of a trailing stop that is active
    hold_left: int = 0  # of a conditional market buy
    accepted_seq: int = 0
    priority: int = 0
    resting: bool = False
    waiting: int = 0  # why it stands in no book (Waiting)
    parked_until: int = 0
    parked_seq: int = 0
    shares: list[Share] = field(default_factory=list)  # of a block order
    list: OrderList | None = None
    tip: int = 0
    filled: int = 0
    filled_quote: int = 0
    prevented: int = 0
    amends: int = 0
    budget_left: int = 0
    sell_lots: int = 0  # what a sell by budget holds

    @property
    def left(self) -> int:
        return self.quantity - self.filled - self.prevented

    @property
    def is_market(self) -> bool:
        """A market order, or one that becomes a market order when it is triggered."""
        return self.kind in MARKET_FORMS

    @property
    def is_conditional(self) -> bool:
        return self.kind in CONDITIONAL_KINDS

    @property
    def pays_with(self) -> int:
        return self.market.quote if self.side == Side.BUY else self.market.base

    def need_unfilled(self) -> int:
        """What was held for it before its first fill."""
        if self.is_market or self.side == Side.SELL:
            return self.need() + (self.filled + self.prevented) * self.market.settings.lot_size
        return self.market.notional(self.price, self.quantity)

    def share_need(self, share: Share) -> int:
        lots = share.final - share.allocated
        if self.side == Side.SELL:
            return lots * self.market.settings.lot_size
        return self.market.notional(self.price, lots)

    def need(self) -> int:
        """What is held for it, of the asset it pays with (docs: Money held for orders, Market orders)."""
        if self.waiting == Waiting.PENDING:
            return 0
        if self.shares:
            return 0  # its sub-accounts hold
        if self.side == Side.SELL:
            lots = self.sell_lots - self.filled if self.budget else self.left
            return lots * self.market.settings.lot_size
        if self.budget:
            return self.budget_left
        if self.is_market:
            return self.hold_left
        return self.market.notional(self.price, self.left)


@dataclass(slots=True)
class KeyedHold:
    account: Account
    asset: int
    amount: int


@dataclass(slots=True)
class RememberedId:
    order_id: int
    fingerprint: tuple[Any, ...]
    open: bool = True


Ids = dict[tuple[int, str], RememberedId]  # by account and client id


class World:
    def __init__(self, closed_ids_kept: int = 1_000_000) -> None:
        self.now = 0
        self.seq = 0
        self.command = (0, 0, 0)
        self.out: list[bytes] = []
        self.assets: dict[int, str] = {}  # with their class
        self.accounts: dict[int, Account] = {}
        self.markets: dict[int, Market] = {}
        self.orders: dict[int, Order] = {}  # open ones
        self.blocks: list[Order] = []  # those of them that are divided
        self.last_order_id = 0
        self.allocation_rules: dict[tuple[int, int], AllocationSettings] = {}  # by owner and rule
        self.ids: Ids = {}
        self.list_ids: Ids = {}
        self.lists: list[OrderList] = []  # open ones
        self.closed_ids: list[tuple[Ids, tuple[int, str], RememberedId]] = []
        self.closed_ids_kept = closed_ids_kept
        self.holds: dict[str, KeyedHold] = {}
        self.relayed: dict[int, int] = {}  # source -> last relay_seq
        self.cancel_timers: dict[int, tuple[int, int]] = {}  # account -> (due_ms, seq)
        self.external: dict[int, int] = {}  # asset -> what came in less what went out
        self.fees: dict[int, int] = {}
        self.skips = 0  # of commands without a market

    def emit(self, record: type[Any], **fields: Any) -> None:
        """Write one event of the command that is being applied."""
        self.seq += 1
        cmd_ms, cmd_n, cmd_index = self.command
        self.out.append(encode_event(record(seq=self.seq, cmd_ms=cmd_ms, cmd_n=cmd_n, cmd_index=cmd_index, **fields)))

    # Money

    def held(self, account: Account, asset: int) -> int:
        for_orders = sum(self.need_in_list(order) for order in account.orders if order.pays_with == asset)
        for order in self.blocks:
            if order.pays_with == asset:
                for_orders += sum(order.share_need(share) for share in order.shares if share.account is account)
        keyed = sum(hold.amount for hold in self.holds.values() if hold.account is account and hold.asset == asset)
        return for_orders + keyed

    def need_in_list(self, order: Order) -> int:
        """Two orders of an OCO hold once, what the one needs that needs more; it is counted with the first."""
        if order.list is None or order not in order.list.oco:
            return order.need()
        met = [leg for leg in order.list.oco if leg.filled or leg.prevented or leg.waiting == Waiting.TRIGGERED]
        if met and order not in met:  # it is about to end, and gives back then what only it needed
            return max(0, order.need() - met[0].need_unfilled())
        if met:
            return order.need()
        legs = [leg for leg in order.list.oco if leg.order_id in self.orders]
        return max(leg.need() for leg in legs) if legs[0] is order else 0

    def available(self, account: Account, asset: int) -> int:
        return account.total.get(asset, 0) - self.held(account, asset)

    def balance(self, account: Account, asset: int) -> tuple[int, int]:
        """(available, held)"""
        held = self.held(account, asset)
        return account.total.get(asset, 0) - held, held

    def add(self, account: Account, asset: int, units: int) -> None:
        account.total[asset] = account.total.get(asset, 0) + units

    # Books

    def book(self, market: Market, side: int) -> Iterator[Order]:
        return (o for o in self.orders.values() if o.resting and o.market is market and o.side == side)

    def best(self, market: Market, side: int) -> Order | None:
        """The resting order that trades first: best price, then the oldest at it."""
        sign = -1 if side == Side.BUY else 1
        return min(self.book(market, side), key=lambda o: (sign * o.price, o.priority), default=None)

    def level(self, market: Market, side: int, price: int) -> int:
        """What shows at a price."""
        return sum(o.tip for o in self.book(market, side) if o.price == price)

    # Client order ids

    def remember(self, order: Order, fingerprint: tuple[Any, ...]) -> None:
        if order.client_id:
            self.ids[order.account.account_id, order.client_id] = RememberedId(order.order_id, fingerprint)

    def forget_order(self, order: Order) -> None:
        """The order has ended: it is open no more, its client id belongs to the closed ones."""
        del self.orders[order.order_id]
        order.account.orders.remove(order)
        if order.shares:
            self.blocks.remove(order)
        order.resting = False
        if order.client_id:
            self.close_id(self.ids, (order.account.account_id, order.client_id))

    def forget_list(self, orders: OrderList) -> None:
        """The list is done; its own id is a closed one as those of orders are."""
        if orders.client_id:
            self.close_id(self.list_ids, (orders.orders[0].account.account_id, orders.client_id))

    def close_id(self, ids: Ids, key: tuple[int, str]) -> None:
        entry = ids[key]
        entry.open = False
        self.closed_ids.append((ids, key, entry))
        if len(self.closed_ids) > self.closed_ids_kept:
            old_ids, old_key, old_entry = self.closed_ids.pop(0)
            if old_ids.get(old_key) is old_entry:
                del old_ids[old_key]

    # What must always hold

    def check(self) -> None:
        """Conservation per asset, nothing negative, no crossed book where it must not be."""
        for account in self.accounts.values():
            for asset in account.total:
                available, held = self.balance(account, asset)
                assert available >= 0, (account.account_id, asset, available)
                assert held >= 0, (account.account_id, asset, held)
        for asset in self.assets:
            inside = sum(account.total.get(asset, 0) for account in self.accounts.values())
            assert inside + self.fees.get(asset, 0) == self.external.get(asset, 0), asset
            assert self.fees.get(asset, 0) >= 0, asset
        for market in self.markets.values():
            if market.state in (MarketState.OPEN, MarketState.POST_ONLY):
                bid, ask = self.best(market, Side.BUY), self.best(market, Side.SELL)
                if market.state == MarketState.OPEN:
                    waiting = [o for o in market.triggered if o.order_id in self.orders]
                    assert not waiting, market.market_id
                assert bid is None or ask is None or bid.price < ask.price, market.market_id
        for order in self.orders.values():
            in_queue = order.market.triggered.count(order)
            freed = order.list is not None and order.list.filled and order.waiting == Waiting.PENDING
            assert in_queue == (freed or order.waiting == Waiting.TRIGGERED), order.order_id
            assert order.resting != bool(order.waiting), order.order_id
            assert not order.resting or 0 < order.tip <= order.left, order.order_id
