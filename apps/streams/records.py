"""Binary layout of commands and events: THE contract between processes (architecture.md section 3).

Layout
    A command is a run of 1-8 consecutive frames of 128 bytes, little-endian, zero-padded; the first frame starts with
    the 32-byte command header and says how many parts the run has. An event is one record of 192 bytes that starts
    with the 40-byte event header. Each class below *is* the table: its annotated fields, in order, give the struct
    format, the numpy dtype and the documentation. The compiled engine reads the same table.

Invariants
    An unknown kind or version, or bad framing, is a `FrameError`, and nothing of that entry is applied.
    Events are absolute: `available`/`held` are the balance after the event in units (10^-8 of the asset),
    `level_lots` is the displayed quantity of the price level after it. Events alone rebuild books and balances.

Units
    price_* in ticks, *_lots in lots, *_units in 10^-8 of the asset, *_ms in milliseconds since the epoch.
"""

import struct
from dataclasses import dataclass, fields
from typing import Annotated, Any, ClassVar, Final, get_args, get_type_hints

from apps.streams.kinds import CommandKind, EventKind

FRAME_SIZE: Final = 128
MAX_PARTS: Final = 8
EVENT_SIZE: Final = 192
COMMAND_VERSION: Final = 1
EVENT_VERSION: Final = 1

U8 = Annotated[int, "B"]
U16 = Annotated[int, "H"]
U32 = Annotated[int, "I"]
U64 = Annotated[int, "Q"]
I64 = Annotated[int, "q"]
Text16 = Annotated[str, "16s"]
Text36 = Annotated[str, "36s"]
Text64 = Annotated[str, "64s"]


class FrameError(ValueError):
    """Bytes that are not whole, known frames. The shard stops before anything of the entry is applied."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """Header of every command. The worker stamps entry_ms, entry_n and index: together they are the command id."""

    KIND: ClassVar[CommandKind]

    parts: U8 = 1
    flags: U8 = 0
    market_id: U32 = 0
    account_id: U64 = 0
    entry_ms: U64 = 0
    entry_n: U32 = 0
    index: U32 = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick(Command):
    """Time passes; no other effect. The active worker appends one every 100 ms."""

    KIND = CommandKind.TICK


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceOrder(Command):
    """A new order. Exactly one of quantity_lots and budget_units is positive; budget only for MARKET.

    display_lots (iceberg) and expires_ms (GTD) are 0 where not used. Conditional kinds have stop_price_ticks, their
    trigger price; with trailing_bips, the distance of a trailing stop in basis points, it is the activation price and
    may be 0.
    """

    KIND = CommandKind.PLACE_ORDER

    price_ticks: I64 = 0
    quantity_lots: I64 = 0
    budget_units: I64 = 0
    display_lots: I64 = 0
    stop_price_ticks: I64 = 0
    expires_ms: I64 = 0
    settings_version: U32 = 0
    trailing_bips: U32 = 0
    side: U8
    order_kind: U8
    time_in_force: U8 = 0
    stp_mode: U8 = 1
    client_id: Text36 = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelOrder(Command):
    """Cancel by order_id, or by client_id where order_id is 0; both given must name the same order."""

    KIND = CommandKind.CANCEL_ORDER

    order_id: U64 = 0
    client_id: Text36 = ""
    cancel_client_id: Text36 = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelAll(Command):
    """Cancel all orders of the account in market_id, or in every market where market_id is 0."""

    KIND = CommandKind.CANCEL_ALL


@dataclass(frozen=True, slots=True, kw_only=True)
class AmendOrder(Command):
    """Reduce the quantity of an order, found as by CancelOrder, to quantity_lots. It keeps its place and client id."""

    KIND = CommandKind.AMEND_ORDER

    order_id: U64 = 0
    quantity_lots: I64
    client_id: Text36 = ""
    amend_client_id: Text36 = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplaceOrder(Command):
    """Cancel one order and place another: two parts, this head and a whole PlaceOrder frame of the same account and
    market (codec.encode_replace). The order to cancel is found as by CancelOrder.
    """

    KIND = CommandKind.REPLACE_ORDER

    order_id: U64 = 0
    client_id: Text36 = ""
    cancel_client_id: Text36 = ""
    mode: U8


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceList(Command):
    """Orders that depend on one another: this head and two or three whole PlaceOrder frames of the same account and
    market (codec.encode_list), above before below, working before pending. `list_kind` is a ListKind.
    """

    KIND = CommandKind.PLACE_LIST

    list_kind: U8
    list_client_id: Text36 = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceBlock(Command):
    """An order for several sub-accounts: this head, a whole PlaceOrder frame of the same account and market, then the
    lots that each account of a pro-rata rule requested, as int64 in the rule's order, 16 a frame (codec.encode_block).
    Other rules have none, so requested_count is 0.
    """

    KIND = CommandKind.PLACE_BLOCK

    rule_id: U32
    requested_count: U16 = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SetCancelTimer(Command):
    """Cancel all orders of the account, in every market, timeout_ms from now unless set anew before; 0 clears it."""

    KIND = CommandKind.SET_CANCEL_TIMER

    timeout_ms: U64


@dataclass(frozen=True, slots=True, kw_only=True)
class Relayed(Command):
    """Commands that come from an outbox row: relay_seq is dense per source; not newer is ignored, a gap stops."""

    relay_seq: U64
    source: U16


@dataclass(frozen=True, slots=True, kw_only=True)
class MoneyCommand(Relayed):
    """Money without an order. `key` is the business key; for holds it names the hold. Amount > 0."""

    counter: U16 = 0
    asset_id: U32
    amount_units: I64
    to_account_id: U64 = 0
    key: Text64 = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Credit(MoneyCommand):
    """counter -> available of account_id."""

    KIND = CommandKind.CREDIT


@dataclass(frozen=True, slots=True, kw_only=True)
class Debit(MoneyCommand):
    """available of account_id -> counter."""

    KIND = CommandKind.DEBIT


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold(MoneyCommand):
    """available -> held under `key`."""

    KIND = CommandKind.HOLD


@dataclass(frozen=True, slots=True, kw_only=True)
class Release(MoneyCommand):
    """The whole hold `key` -> available; amount_units is not read."""

    KIND = CommandKind.RELEASE


@dataclass(frozen=True, slots=True, kw_only=True)
class Capture(MoneyCommand):
    """amount_units of hold `key` -> counter (or to_account_id where given); the rest of the hold -> available."""

    KIND = CommandKind.CAPTURE


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer(MoneyCommand):
    """available of account_id -> available of to_account_id."""

    KIND = CommandKind.TRANSFER


@dataclass(frozen=True, slots=True, kw_only=True)
class SetMarketState(Relayed):
    """Staff moves market_id to `state` for `cause`."""

    KIND = CommandKind.SET_MARKET_STATE

    state: U8
    cause: U8


@dataclass(frozen=True, slots=True, kw_only=True)
class SetClassState(Relayed):
    """Staff moves all markets of an asset class, of their base or quote asset, to `state` for `cause`."""

    KIND = CommandKind.SET_CLASS_STATE

    asset_class: Text16
    state: U8
    cause: U8


@dataclass(frozen=True, slots=True, kw_only=True)
class SetAccount(Relayed):
    """Family (0 = its own) and fee tier of account_id; creates the account where it is new. Flags: AccountFlag."""

    KIND = CommandKind.SET_ACCOUNT

    family_id: U64 = 0
    fee_tier: U16 = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewOrder(Relayed):
    """Staff releases or rejects (`decision`, a Review) the parked order of account_id in market_id."""

    KIND = CommandKind.REVIEW_ORDER

    order_id: U64
    decision: U8


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlCommand(Relayed):
    """Head of a settings command; body_length bytes of msgpack (messages.py) follow it over the frames of the run."""

    body_length: U16


@dataclass(frozen=True, slots=True, kw_only=True)
class SetAsset(ControlCommand):
    """Body: messages.AssetSettings."""

    KIND = CommandKind.SET_ASSET


@dataclass(frozen=True, slots=True, kw_only=True)
class SetMarket(ControlCommand):
    """Body: messages.MarketSettings."""

    KIND = CommandKind.SET_MARKET


@dataclass(frozen=True, slots=True, kw_only=True)
class SetAllocation(ControlCommand):
    """Body: messages.AllocationSettings; account_id is the rule's owner."""

    KIND = CommandKind.SET_ALLOCATION


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
    first.
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


@dataclass(frozen=True, slots=True)
class Layout:
    """How one class lies in bytes. `names` are the fields in order, `struct` packs (version, kind, *values)."""

    record: type[Any]
    kind: int
    names: tuple[str, ...]
    codes: tuple[str, ...]
    struct: struct.Struct
    size: int

    @property
    def text_fields(self) -> frozenset[str]:
        return frozenset(name for name, code in zip(self.names, self.codes, strict=True) if code.endswith("s"))

    def numpy_fields(self) -> list[tuple[str, str]]:
        """[(name, numpy type)] including version, kind and the padding, for numpy.dtype()."""
        codes = {"B": "u1", "H": "<u2", "I": "<u4", "Q": "<u8", "q": "<i8"}
        rows = [("version", "u1"), ("kind", "u1")]
        rows += [(name, codes.get(code) or "S" + code[:-1]) for name, code in zip(self.names, self.codes, strict=True)]
        padding = self.size - struct.calcsize("<BB" + "".join(self.codes))
        return [*rows, ("padding", f"V{padding}")] if padding else rows


def _layout(record: type[Any], size: int) -> Layout:
    hints = get_type_hints(record, include_extras=True)
    names = tuple(field.name for field in fields(record))
    codes = tuple(str(get_args(hints[name])[1]) for name in names)
    packed = "<BB" + "".join(codes)
    padding = size - struct.calcsize(packed)
    assert padding >= 0, f"{record.__name__} is {-padding} bytes too long"
    return Layout(record, int(record.KIND), names, codes, struct.Struct(packed + f"{padding}x"), size)


COMMAND_RECORDS: Final = (
    Tick, PlaceOrder, CancelOrder, CancelAll, AmendOrder, ReplaceOrder, SetCancelTimer, PlaceList, PlaceBlock, Credit,
    Debit, Hold, Release, Capture, Transfer, SetMarketState, SetAccount, SetAsset, SetMarket, SetAllocation,
    ReviewOrder, SetClassState,
)  # fmt: skip
EVENT_RECORDS: Final = (
    OrderAccepted, OrderRejected, OrderDuplicate, Trade, OrderRested, OrderClosed, CancelRejected, AllCanceled,
    PreventedMatch, MoneyMoved, RelayRefused, SettingsApplied, MarketStateChanged, InternalReject, IcebergRefilled,
    OrderAmended, AmendRejected, CancelTimerSet, OrderParked, OrderReviewed, OrderTriggered, Allocated,
    ListChanged, ListRejected, ListDuplicate, PendingEntered,
    AuctionPrice, HaltDistance, LevelChanged,
)  # fmt: skip

COMMANDS: Final = {record.KIND: _layout(record, FRAME_SIZE) for record in COMMAND_RECORDS}
EVENTS: Final = {record.KIND: _layout(record, EVENT_SIZE) for record in EVENT_RECORDS}

COMMAND_HEADER: Final = struct.Struct("<BBBBIQQII")
CONTROL_HEAD_SIZE: Final = COMMAND_HEADER.size + 12
EVENT_HEADER: Final = struct.Struct("<BBBBIQQIIQ")
