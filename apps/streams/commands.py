"""Every command of the command stream: a class a kind, its annotated fields the table of its bytes (records.py).

Units
    price_* in ticks, *_lots in lots, *_units in 10^-8 of the asset, *_ms in milliseconds since the epoch.
"""

from dataclasses import dataclass
from typing import ClassVar, Final

from apps.streams.fields import I64, U8, U16, U32, U64, Text16, Text36, Text64
from apps.streams.kinds import CommandKind


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
class Strategy:
    """Second frame of a new order that its account has labelled: which of its strategies it belongs to.

    `given` says which of both there is (AcceptedFlag.STRATEGY_ID, STRATEGY_TYPE); the other is 0.
    """

    strategy_id: I64 = 0
    strategy_type: U32 = 0
    given: U8


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceOrder(Command):
    """A new order, in one frame, or in two where it has a strategy.

    Exactly one of quantity_lots and budget_units is positive; budget only for MARKET. display_lots (iceberg) and
    expires_ms (GTD) are 0 where not used. Conditional kinds have stop_price_ticks, their trigger price; with
    trailing_bips, the distance of a trailing stop in basis points, it is the activation price and may be 0.
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
    # Stands in no byte of the first frame: the codec writes and reads it (`parts` is 2 then).
    strategy: Strategy | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelOrder(Command):
    """Cancel by order_id, or by client_id where order_id is 0; both given must name the same order. Flags: CancelFlag,
    for an order of that status only.
    """

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
    """Cancel one order and place another: this head and a whole PlaceOrder of the same account and market
    (codec.encode_replace). The order to cancel is found, and may be restricted by its status, as by CancelOrder.
    """

    KIND = CommandKind.REPLACE_ORDER

    order_id: U64 = 0
    client_id: Text36 = ""
    cancel_client_id: Text36 = ""
    mode: U8


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceList(Command):
    """Orders that depend on one another: this head and two or three whole PlaceOrders of the same account and market
    (codec.encode_list), above before below, working before pending. `list_kind` is a ListKind.
    """

    KIND = CommandKind.PLACE_LIST

    list_kind: U8
    list_client_id: Text36 = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceBlock(Command):
    """An order for several sub-accounts: this head, a whole PlaceOrder of the same account and market, then the lots
    that each account of a pro-rata rule requested, as int64 in the rule's order, 16 a frame (codec.encode_block). Other
    rules have none, so requested_count is 0.
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


COMMAND_RECORDS: Final = (
    Tick, PlaceOrder, CancelOrder, CancelAll, AmendOrder, ReplaceOrder, SetCancelTimer, PlaceList, PlaceBlock, Credit,
    Debit, Hold, Release, Capture, Transfer, SetMarketState, SetAccount, SetAsset, SetMarket, SetAllocation,
    ReviewOrder, SetClassState,
)  # fmt: skip
