"""Every event of the event stream: a class a kind, its annotated fields the table of its bytes (records.py).

Invariants
    Events are absolute: `available`/`held` are the balance after the event in units (10^-8 of the asset),
    `level_lots` is the displayed quantity of the price level after it. Events alone rebuild books and balances.

Units
    price_* in ticks, *_lots in lots, *_units in 10^-8 of the asset, *_ms in milliseconds since the epoch.
"""

from dataclasses import dataclass
from typing import ClassVar, Final

from apps.streams.fields import I64, U8, U16, U32, U64, Text36, Text64
from apps.streams.kinds import EventKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Header of every event. `seq` is gapless per shard; cmd_* is the id of the command that caused it."""

    KIND: ClassVar[EventKind]

    flags: U8 = 0
    reason: U8 = 0
    market_id: U32 = 0
    seq: U64
    cmd_ms: U64
    cmd_n: U32
    cmd_index: U32
    account_id: U64 = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderAccepted(Event):
    """The order has an id and its funds are held: available/held of the asset it pays with (buy: quote, sell: base).

    A market buy by quantity holds nothing. Comes before the order's trades. Flag WAITING: the order has to be triggered
    first. Flags STRATEGY_ID and STRATEGY_TYPE: the account gave it that, and it stands at the end; nothing tells it
    again.
    """

    KIND = EventKind.ORDER_ACCEPTED

    order_id: U64
    price_ticks: I64
    quantity_lots: I64
    budget_units: I64
    display_lots: I64
    stop_price_ticks: I64
    expires_ms: I64
    available_units: I64
    held_units: I64
    level_lots: I64
    trailing_bips: U32
    side: U8
    order_kind: U8
    time_in_force: U8
    stp_mode: U8
    client_id: Text36
    strategy_id: I64 = 0
    strategy_type: U32 = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRejected(Event):
    """Refused at entry: no id, no row, nothing changed. `reason` says which step failed first."""

    KIND = EventKind.ORDER_REJECTED

    side: U8
    order_kind: U8
    client_id: Text36


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderDuplicate(Event):
    """The client id was seen with the same parameters: order_id is the first order's; nothing changed (T15)."""

    KIND = EventKind.ORDER_DUPLICATE

    order_id: U64
    client_id: Text36


@dataclass(frozen=True, slots=True, kw_only=True)
class Trade(Event):
    """One print at the maker's price. account_id is the taker's.

    Fees are in what each party receives (buyer: base, seller: quote). maker_fee_units < 0 is a rebate, paid out of
    taker_fee_units and therefore in the asset the *taker* receives. Balances are after the trade; where both parties
    are one account they are equal. level_lots is the maker's level after the print; maker_left_lots counts an
    iceberg's reserve, whose refill follows as ICEBERG_REFILLED. With flag AUCTION both orders were resting: the price
    may stand in no level, level_lots is 0, and no refill follows, as each keeps its place. The money of a block order
    is that of its sub-accounts, as the ALLOCATED events say that follow: its owner's balances are here as they are
    after all of that.
    """

    KIND = EventKind.TRADE

    trade_id: U64
    agg_id: U64
    maker_account_id: U64
    maker_order_id: U64
    taker_order_id: U64
    price_ticks: I64
    quantity_lots: I64
    taker_fee_units: I64
    maker_fee_units: I64
    taker_base_available: I64
    taker_base_held: I64
    taker_quote_available: I64
    taker_quote_held: I64
    maker_base_available: I64
    maker_base_held: I64
    maker_quote_available: I64
    maker_quote_held: I64
    level_lots: I64
    maker_left_lots: I64


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRested(Event):
    """What an order that traded on entry leaves, or a triggered one, now stands in the book.

    left_lots counts an iceberg's reserve.
    """

    KIND = EventKind.ORDER_RESTED

    order_id: U64
    price_ticks: I64
    left_lots: I64
    level_lots: I64
    side: U8


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderClosed(Event):
    """The order ended other than by a trade with a DONE flag; available/held of the asset it pays with, after.

    stp_mode is 0 in events of rules versions 1 and 2, which knew EXPIRE_TAKER only.
    """

    KIND = EventKind.ORDER_CLOSED

    order_id: U64
    price_ticks: I64
    quantity_lots: I64
    filled_lots: I64
    filled_quote_units: I64
    available_units: I64
    held_units: I64
    level_lots: I64
    status: U8
    side: U8
    order_kind: U8
    time_in_force: U8
    client_id: Text36
    cancel_client_id: Text36
    stp_mode: U8 = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelRejected(Event):
    """No such open order of this account; or a cancel-all or its timer was refused, then without ids."""

    KIND = EventKind.CANCEL_REJECTED

    order_id: U64
    client_id: Text36
    cancel_client_id: Text36


@dataclass(frozen=True, slots=True, kw_only=True)
class AllCanceled(Event):
    """Ends the answer to CANCEL_ALL, after one ORDER_CLOSED for each of `count` orders."""

    KIND = EventKind.ALL_CANCELED

    count: U32


@dataclass(frozen=True, slots=True, kw_only=True)
class PreventedMatch(Event):
    """Self-trade prevention met an order of the taker's family (T8). account_id is the taker's.

    Mode DECREMENT took prevented_lots off both. Then, and only then, the rest is set: balances after it of the asset
    that each order pays with, the maker's level, and what is left of both (a taker by quote budget: 0). Which of them
    ended says an ORDER_CLOSED of its own.
    """

    KIND = EventKind.PREVENTED_MATCH

    prevented_id: U64
    taker_order_id: U64
    maker_order_id: U64
    maker_account_id: U64
    price_ticks: I64
    prevented_lots: I64
    stp_mode: U8
    taker_side: U8 = 0
    taker_available: I64 = 0
    taker_held: I64 = 0
    maker_available: I64 = 0
    maker_held: I64 = 0
    level_lots: I64 = 0
    taker_left_lots: I64 = 0
    maker_left_lots: I64 = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class MoneyMoved(Event):
    """A money command was done. `op` is its CommandKind; to_* are the receiving account's (TRANSFER, CAPTURE to one).

    amount_units is what moved (RELEASE: all of it); released_units is the rest that a CAPTURE gave back.
    """

    KIND = EventKind.MONEY_MOVED

    relay_seq: U64
    source: U16
    counter: U16
    asset_id: U32
    amount_units: I64
    released_units: I64
    available_units: I64
    held_units: I64
    to_account_id: U64
    to_available_units: I64
    to_held_units: I64
    op: U8
    key: Text64


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayRefused(Event):
    """A relayed command was refused and changed nothing; its outbox row is done as refused, with `reason`.

    object_id is the market (SET_MARKET, SET_MARKET_STATE), the account (SET_ACCOUNT) or the asset (money).
    """

    KIND = EventKind.RELAY_REFUSED

    relay_seq: U64
    source: U16
    op: U8
    object_id: U64
    amount_units: I64
    key: Text64


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingsApplied(Event):
    """A settings command was done; object_id is the asset, market, account or allocation rule."""

    KIND = EventKind.SETTINGS_APPLIED

    relay_seq: U64
    source: U16
    op: U8
    object_id: U64
    settings_version: U32
    family_id: U64
    fee_tier: U16


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketStateChanged(Event):
    """until_ms is when a timer ends this state, 0 where none does. relay_seq is 0 where no staff command caused it.

    reopens_ms is when the market will be open again by itself, its call phase included, 0 where it will not. rule_id is
    the circuit breaker that began the halt, also in its call phase.
    """

    KIND = EventKind.MARKET_STATE_CHANGED

    relay_seq: U64
    source: U16
    old_state: U8
    new_state: U8
    cause: U8
    until_ms: U64
    reopens_ms: U64 = 0
    rule_id: U16 = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class InternalReject(Event):
    """The command was skipped (poison, or too old at takeover) and changed nothing; relay_seq where it had one."""

    KIND = EventKind.INTERNAL_REJECT

    relay_seq: U64
    source: U16
    op: U8


@dataclass(frozen=True, slots=True, kw_only=True)
class IcebergRefilled(Event):
    """An iceberg's tip was used up and the next one stands at the back of its level; `seq` is its new priority."""

    KIND = EventKind.ICEBERG_REFILLED

    order_id: U64
    price_ticks: I64
    tip_lots: I64
    level_lots: I64
    side: U8


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderTriggered(Event):
    """A waiting order takes its turn among the triggered ones: `seq` is its place. Its hold stays as it was.

    last_price_ticks is the print that triggered it, stop_price_ticks the stop that was met (of a trailing stop the
    current one), price_ticks its limit. What becomes of it say the ORDER_RESTED, TRADE and ORDER_CLOSED that follow,
    mostly of the same command.
    """

    KIND = EventKind.ORDER_TRIGGERED

    order_id: U64
    price_ticks: I64
    stop_price_ticks: I64
    last_price_ticks: I64
    side: U8
    order_kind: U8
    client_id: Text36


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderAmended(Event):
    """The order's quantity is smaller now; its place is the same. left_lots counts an iceberg's reserve."""

    KIND = EventKind.ORDER_AMENDED

    order_id: U64
    price_ticks: I64
    old_quantity_lots: I64
    quantity_lots: I64
    left_lots: I64
    available_units: I64
    held_units: I64
    level_lots: I64
    side: U8
    order_kind: U8
    time_in_force: U8
    stp_mode: U8
    client_id: Text36
    amend_client_id: Text36


@dataclass(frozen=True, slots=True, kw_only=True)
class AmendRejected(Event):
    """Nothing changed; `reason` says why."""

    KIND = EventKind.AMEND_REJECTED

    order_id: U64
    client_id: Text36
    amend_client_id: Text36


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderParked(Event):
    """The order, whose ORDER_ACCEPTED came just before, is outside the price band and waits for review until until_ms.

    reference_price_ticks is what its price was compared with.
    """

    KIND = EventKind.ORDER_PARKED

    order_id: U64
    price_ticks: I64
    reference_price_ticks: I64
    until_ms: U64
    side: U8


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderReviewed(Event):
    """A review was done; what it came to say the events after this one. After RELEASE those of a new order that has its
    ORDER_ACCEPTED behind it, or an ORDER_CLOSED where it fails a check; after REJECT an ORDER_CLOSED.
    """

    KIND = EventKind.ORDER_REVIEWED

    relay_seq: U64
    source: U16
    order_id: U64
    decision: U8


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelTimerSet(Event):
    """The account's cancel-all-after ends at due_ms; 0 says that there is none any more."""

    KIND = EventKind.CANCEL_TIMER_SET

    due_ms: U64


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocated(Event):
    """A sub-account's share of a block order (T12); `step` is an AllocationStep, account_id the sub-account's.

    quantity_lots are those of this step, allocated_lots all so far, final_lots what the share is of the whole order.
    FILLED: follows its TRADE, one for each sub-account that got lots of it; trade_id, price and flags are the trade's,
    fee_units this share of the block order's fee, in what it receives, or < 0 of its rebate, in what the taker
    receives. PREVENTED follows its PREVENTED_MATCH, HELD the ORDER_ACCEPTED, RELEASED the ORDER_CLOSED; trade_id, price
    and fee are 0 there. The accounts follow one another in the order of the rule.
    """

    KIND = EventKind.ALLOCATED

    order_id: U64
    owner_account_id: U64
    trade_id: U64
    price_ticks: I64
    quantity_lots: I64
    fee_units: I64
    final_lots: I64
    allocated_lots: I64
    base_available: I64
    base_held: I64
    quote_available: I64
    quote_held: I64
    step: U8
    side: U8


@dataclass(frozen=True, slots=True, kw_only=True)
class ListChanged(Event):
    """An order list began, went on or is done; `status` is a ListStatus. list_id is the id of its first order.

    EXEC_STARTED comes before the ORDER_ACCEPTED of its orders, UPDATED behind what filled the working one, ALL_DONE
    behind what ended the last one. order_id_3 is 0 for a list of two.
    """

    KIND = EventKind.LIST_CHANGED

    list_id: U64
    order_id_1: U64
    order_id_2: U64
    order_id_3: U64
    list_kind: U8
    status: U8
    list_client_id: Text36


@dataclass(frozen=True, slots=True, kw_only=True)
class ListRejected(Event):
    """No order of the list was accepted and nothing changed; `leg` is the one with that reason, 1 to 3, or 0."""

    KIND = EventKind.LIST_REJECTED

    list_kind: U8
    leg: U8
    list_client_id: Text36


@dataclass(frozen=True, slots=True, kw_only=True)
class ListDuplicate(Event):
    """The list's client id was seen with the same orders: list_id is the first list's; nothing changed (T15)."""

    KIND = EventKind.LIST_DUPLICATE

    list_id: U64
    list_client_id: Text36


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingEntered(Event):
    """A pending order of a list took its turn and holds its funds: available/held of the asset it pays with.

    With flag WAITING it waits for its trigger from now on; else ORDER_RESTED, TRADE and ORDER_CLOSED say what it did.
    """

    KIND = EventKind.PENDING_ENTERED

    order_id: U64
    list_id: U64
    price_ticks: I64
    available_units: I64
    held_units: I64
    side: U8
    order_kind: U8
    client_id: Text36


@dataclass(frozen=True, slots=True, kw_only=True)
class AuctionPrice(Event):
    """What would be traded if the call phase ended now: so many lots at this price; 0 and 0 where nothing crosses."""

    KIND = EventKind.AUCTION_PRICE

    price_ticks: I64
    quantity_lots: I64


@dataclass(frozen=True, slots=True, kw_only=True)
class HaltDistance(Event):
    """The nearest prices at which a print would halt the market, and the rules that would; 0 where there is none."""

    KIND = EventKind.HALT_DISTANCE

    up_ticks: I64
    down_ticks: I64
    up_rule_id: U16
    down_rule_id: U16


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelChanged(Event):
    """What a price level shows after an auction's trades, which tell no levels themselves."""

    KIND = EventKind.LEVEL_CHANGED

    price_ticks: I64
    level_lots: I64
    side: U8


EVENT_RECORDS: Final = (
    OrderAccepted, OrderRejected, OrderDuplicate, Trade, OrderRested, OrderClosed, CancelRejected, AllCanceled,
    PreventedMatch, MoneyMoved, RelayRefused, SettingsApplied, MarketStateChanged, InternalReject, IcebergRefilled,
    OrderAmended, AmendRejected, CancelTimerSet, OrderParked, OrderReviewed, OrderTriggered, Allocated,
    ListChanged, ListRejected, ListDuplicate, PendingEntered,
    AuctionPrice, HaltDistance, LevelChanged,
)  # fmt: skip
