"""The events of the current batch: numbers them, stamps the command's id on them, packs them.

The argument order of each pack is the field order of the record in apps/streams/events.py, which the tests check by
decoding every kind. The TRADE event is packed by the sweep itself (engine-figures.md section 5).
"""

from typing import Final

from apps.matching.engine.accounts import Balance
from apps.matching.engine.allocation import Share
from apps.matching.engine.book import BUY, Order
from apps.matching.engine.breaker import Distance
from apps.matching.engine.errors import InvariantBroken
from apps.matching.engine.market import Market
from apps.matching.engine.order_list import OrderList
from apps.streams.kinds import AcceptedFlag, AllocatedFlag, AllocationStep, ClosedFlag, EnteredFlag, EventKind, Reason
from apps.streams.records import EVENT_VERSION, EVENTS

_accepted = EVENTS[EventKind.ORDER_ACCEPTED].struct.pack
_rejected = EVENTS[EventKind.ORDER_REJECTED].struct.pack
_duplicate = EVENTS[EventKind.ORDER_DUPLICATE].struct.pack
_rested = EVENTS[EventKind.ORDER_RESTED].struct.pack
_closed = EVENTS[EventKind.ORDER_CLOSED].struct.pack
_cancel_rejected = EVENTS[EventKind.CANCEL_REJECTED].struct.pack
_all_canceled = EVENTS[EventKind.ALL_CANCELED].struct.pack
_prevented = EVENTS[EventKind.PREVENTED_MATCH].struct.pack
_moved = EVENTS[EventKind.MONEY_MOVED].struct.pack
_refused = EVENTS[EventKind.RELAY_REFUSED].struct.pack
_applied = EVENTS[EventKind.SETTINGS_APPLIED].struct.pack
_state_changed = EVENTS[EventKind.MARKET_STATE_CHANGED].struct.pack
_internal_reject = EVENTS[EventKind.INTERNAL_REJECT].struct.pack
_refilled = EVENTS[EventKind.ICEBERG_REFILLED].struct.pack
_triggered = EVENTS[EventKind.ORDER_TRIGGERED].struct.pack
_amended = EVENTS[EventKind.ORDER_AMENDED].struct.pack
_auction_price = EVENTS[EventKind.AUCTION_PRICE].struct.pack
_halt_distance = EVENTS[EventKind.HALT_DISTANCE].struct.pack
_level_changed = EVENTS[EventKind.LEVEL_CHANGED].struct.pack
_trade = EVENTS[EventKind.TRADE].struct.pack
_timer_set = EVENTS[EventKind.CANCEL_TIMER_SET].struct.pack
_parked = EVENTS[EventKind.ORDER_PARKED].struct.pack
_reviewed = EVENTS[EventKind.ORDER_REVIEWED].struct.pack
_amend_rejected = EVENTS[EventKind.AMEND_REJECTED].struct.pack
_allocated = EVENTS[EventKind.ALLOCATED].struct.pack
_list_changed = EVENTS[EventKind.LIST_CHANGED].struct.pack
_list_rejected = EVENTS[EventKind.LIST_REJECTED].struct.pack
_list_duplicate = EVENTS[EventKind.LIST_DUPLICATE].struct.pack
_pending_entered = EVENTS[EventKind.PENDING_ENTERED].struct.pack

# Plain ints: a look-up on an enum class costs more than the rest of the argument list.
_V: Final = EVENT_VERSION
_ACCEPTED: Final = int(EventKind.ORDER_ACCEPTED)
_REJECTED: Final = int(EventKind.ORDER_REJECTED)
_DUPLICATE: Final = int(EventKind.ORDER_DUPLICATE)
_RESTED: Final = int(EventKind.ORDER_RESTED)
_CLOSED: Final = int(EventKind.ORDER_CLOSED)
_CANCEL_REJECTED: Final = int(EventKind.CANCEL_REJECTED)
_ALL_CANCELED: Final = int(EventKind.ALL_CANCELED)
_PREVENTED: Final = int(EventKind.PREVENTED_MATCH)
_MOVED: Final = int(EventKind.MONEY_MOVED)
_REFUSED: Final = int(EventKind.RELAY_REFUSED)
_APPLIED: Final = int(EventKind.SETTINGS_APPLIED)
_STATE_CHANGED: Final = int(EventKind.MARKET_STATE_CHANGED)
_INTERNAL_REJECT: Final = int(EventKind.INTERNAL_REJECT)
_REFILLED: Final = int(EventKind.ICEBERG_REFILLED)
_TRIGGERED: Final = int(EventKind.ORDER_TRIGGERED)
_AMENDED: Final = int(EventKind.ORDER_AMENDED)
_AUCTION_PRICE: Final = int(EventKind.AUCTION_PRICE)
_HALT_DISTANCE: Final = int(EventKind.HALT_DISTANCE)
_LEVEL_CHANGED: Final = int(EventKind.LEVEL_CHANGED)
_TRADE: Final = int(EventKind.TRADE)
_TIMER_SET: Final = int(EventKind.CANCEL_TIMER_SET)
_PARKED: Final = int(EventKind.ORDER_PARKED)
_REVIEWED: Final = int(EventKind.ORDER_REVIEWED)
_AMEND_REJECTED: Final = int(EventKind.AMEND_REJECTED)
_ALLOCATED: Final = int(EventKind.ALLOCATED)
_LIST_CHANGED: Final = int(EventKind.LIST_CHANGED)
_LIST_REJECTED: Final = int(EventKind.LIST_REJECTED)
_LIST_DUPLICATE: Final = int(EventKind.LIST_DUPLICATE)
_PENDING_ENTERED: Final = int(EventKind.PENDING_ENTERED)
_RESTED_AT_ONCE: Final = int(AcceptedFlag.RESTED)
_WAITING: Final = int(AcceptedFlag.WAITING)
_PENDING: Final = int(AcceptedFlag.PENDING)
_ENTERED_WAITING: Final = int(EnteredFlag.WAITING)
_WAS_RESTING: Final = int(ClosedFlag.WAS_RESTING)
_ALLOCATED_TAKER: Final = int(AllocatedFlag.TAKER)
_RELEASED: Final = int(AllocationStep.RELEASED)


class Journal:
    """`now_ms`, `cmd_n` and `cmd_index` are the id of the command being applied; `now_ms` is the engine's time."""

    __slots__ = ("cmd_index", "cmd_n", "emit", "now_ms", "records", "seq")

    def __init__(self) -> None:
        self.seq = 0
        self.now_ms = 0
        self.cmd_n = 0
        self.cmd_index = 0
        self.begin()

    def begin(self) -> None:
        """A new batch."""
        self.records: list[bytes] = []
        self.emit = self.records.append

    def take(self, seq_before: int) -> bytes:
        """The batch's events; InvariantBroken unless they are numbered without a gap from `seq_before` on."""
        records = self.records
        if self.seq - seq_before != len(records):
            raise InvariantBroken("event numbers are not gapless")
        self.begin()
        return b"".join(records)

    def accepted(self, order: Order, level_lots: int) -> None:
        """`level_lots` > 0 says that the whole order rests; of an iceberg its tip shows."""
        self.seq = seq = self.seq + 1
        pays = order.seat.quote if order.side == BUY else order.seat.base
        terms = order.terms
        if terms is None:
            display_lots = expires_ms = 0
        else:
            display_lots, expires_ms = terms.display_lots, terms.expires_ms
        self.emit(
            _accepted(
                _V, _ACCEPTED, _RESTED_AT_ONCE if level_lots else 0, 0, order.market.market_id,
                seq, self.now_ms, self.cmd_n, self.cmd_index, order.account.account_id, order.order_id,
                order.price_ticks, order.quantity_lots, order.budget_units, display_lots, 0, expires_ms,
                pays.available_units, pays.held_units, level_lots, 0,
                order.side, order.kind, order.time_in_force, order.stp_mode, order.client_id,
            )
        )  # fmt: skip

    def waits(self, order: Order, *, is_pending: bool = False) -> None:
        """The order is accepted and stands in no book; a pending one of a list holds nothing either."""
        self.seq = seq = self.seq + 1
        pays = order.seat.quote if order.side == BUY else order.seat.base
        terms = order.terms
        assert terms is not None
        self.emit(
            _accepted(
                _V, _ACCEPTED, _PENDING if is_pending else _WAITING, 0, order.market.market_id,
                seq, self.now_ms, self.cmd_n, self.cmd_index, order.account.account_id, order.order_id,
                order.price_ticks, order.quantity_lots, order.budget_units, terms.display_lots,
                terms.stop_price_ticks, terms.expires_ms, pays.available_units, pays.held_units, 0,
                terms.trailing_bips, order.side, order.kind, order.time_in_force, order.stp_mode, order.client_id,
            )
        )  # fmt: skip

    def triggered(self, order: Order, stop_price_ticks: int, last_price_ticks: int) -> None:
        """The seq of this event is the order's place in the FIFO."""
        self.seq = seq = self.seq + 1
        self.emit(
            _triggered(
                _V, _TRIGGERED, 0, 0, order.market.market_id, seq, self.now_ms, self.cmd_n, self.cmd_index,
                order.account.account_id, order.order_id, order.price_ticks, stop_price_ticks, last_price_ticks,
                order.side, order.kind, order.client_id,
            )
        )  # fmt: skip

    def rejected(self, market_id: int, account_id: int, side: int, kind: int, client_id: bytes, reason: int) -> None:
        self.seq = seq = self.seq + 1
        self.emit(
            _rejected(
                _V, _REJECTED, 0, reason, market_id, seq, self.now_ms, self.cmd_n, self.cmd_index, account_id,
                side, kind, client_id,
            )
        )  # fmt: skip

    def duplicate(self, order: Order, first_order_id: int) -> None:
        self.seq = seq = self.seq + 1
        self.emit(
            _duplicate(
                _V, _DUPLICATE, 0, 0, order.market.market_id, seq, self.now_ms, self.cmd_n, self.cmd_index,
                order.account.account_id, first_order_id, order.client_id,
            )
        )  # fmt: skip

    def rested(self, order: Order, level_lots: int) -> None:
        self.seq = seq = self.seq + 1
        self.emit(
            _rested(
                _V, _RESTED, 0, 0, order.market.market_id, seq, self.now_ms, self.cmd_n, self.cmd_index,
                order.account.account_id, order.order_id, order.price_ticks, order.open_lots, level_lots, order.side,
            )
        )  # fmt: skip

    def closed(
        self,
        order: Order,
        status: int,
        reason: int,
        cancel_client_id: bytes = b"",
        was_resting: bool = False,
        level_lots: int = 0,
    ) -> None:
        """`level_lots` counts only where the order was resting. Shares of a block order, released before, follow."""
        self.seq = seq = self.seq + 1
        pays = order.seat.quote if order.side == BUY else order.seat.base
        self.emit(
            _closed(
                _V, _CLOSED, _WAS_RESTING if was_resting else 0, reason, order.market.market_id,
                seq, self.now_ms, self.cmd_n, self.cmd_index,
                order.account.account_id, order.order_id, order.price_ticks, order.quantity_lots, order.filled_lots,
                order.filled_quote_units, pays.available_units, pays.held_units, level_lots,
                status, order.side, order.kind, order.time_in_force, order.client_id, cancel_client_id, order.stp_mode,
            )
        )  # fmt: skip
        if order.terms is not None and order.terms.block is not None:
            for share in order.terms.block.shares:
                if share.open_lots:
                    self.allocated(order, share, _RELEASED, share.open_lots)

    def cancel_rejected(
        self, market_id: int, account_id: int, order_id: int, client_id: bytes, cancel_client_id: bytes, reason: int
    ) -> None:
        self.seq = seq = self.seq + 1
        self.emit(
            _cancel_rejected(
                _V, _CANCEL_REJECTED, 0, reason, market_id, seq, self.now_ms, self.cmd_n, self.cmd_index,
                account_id, order_id, client_id, cancel_client_id,
            )
        )  # fmt: skip

    def all_canceled(self, market_id: int, account_id: int, count: int) -> None:
        self.seq = seq = self.seq + 1
        self.emit(
            _all_canceled(
                _V, _ALL_CANCELED, 0, 0, market_id, seq, self.now_ms, self.cmd_n, self.cmd_index, account_id, count
            )
        )

    def prevented(self, prevented_id: int, taker: Order, maker: Order, lots: int, stp_mode: int = 0) -> None:
        """`stp_mode` is what was done, where that is not what the taker's mode says."""
        self.seq = seq = self.seq + 1
        self.emit(
            _prevented(
                _V, _PREVENTED, 0, int(Reason.SELF_TRADE), taker.market.market_id,
                seq, self.now_ms, self.cmd_n, self.cmd_index, taker.account.account_id,
                prevented_id, taker.order_id, maker.order_id, maker.account.account_id, maker.price_ticks, lots,
                stp_mode or taker.stp_mode, 0, 0, 0, 0, 0, 0, 0, 0,
            )
        )  # fmt: skip

    def decremented(
        self,
        prevented_id: int,
        taker: Order,
        maker: Order,
        lots: int,
        *,
        level_lots: int,
        taker_pays: Balance,
        maker_pays: Balance,
    ) -> None:
        """A prevented match that took `lots` off both; balances are of the asset that each order pays with."""
        self.seq = seq = self.seq + 1
        self.emit(
            _prevented(
                _V, _PREVENTED, 0, int(Reason.SELF_TRADE), taker.market.market_id,
                seq, self.now_ms, self.cmd_n, self.cmd_index, taker.account.account_id,
                prevented_id, taker.order_id, maker.order_id, maker.account.account_id, maker.price_ticks, lots,
                taker.stp_mode, taker.side,
                taker_pays.available_units, taker_pays.held_units, maker_pays.available_units, maker_pays.held_units,
                level_lots, taker.left_lots, maker.open_lots,
            )
        )  # fmt: skip

    def iceberg_refilled(self, order: Order, level_lots: int) -> None:
        """The seq of this event is the order's new place."""
        self.seq = seq = self.seq + 1
        self.emit(
            _refilled(
                _V, _REFILLED, 0, 0, order.market.market_id, seq, self.now_ms, self.cmd_n, self.cmd_index,
                order.account.account_id, order.order_id, order.price_ticks, order.left_lots, level_lots, order.side,
            )
        )  # fmt: skip

    def amended(self, order: Order, old_lots: int, pays: Balance, level_lots: int, amend_client_id: bytes) -> None:
        """`pays` is the balance that the order pays from."""
        self.seq = seq = self.seq + 1
        self.emit(
            _amended(
                _V, _AMENDED, 0, 0, order.market.market_id, seq, self.now_ms, self.cmd_n, self.cmd_index,
                order.account.account_id, order.order_id, order.price_ticks, old_lots, order.quantity_lots,
                order.open_lots, pays.available_units, pays.held_units, level_lots,
                order.side, order.kind, order.time_in_force, order.stp_mode, order.client_id, amend_client_id,
            )
        )  # fmt: skip

    def amend_rejected(
        self, market_id: int, account_id: int, order_id: int, client_id: bytes, amend_client_id: bytes, reason: int
    ) -> None:
        self.seq = seq = self.seq + 1
        self.emit(
            _amend_rejected(
                _V, _AMEND_REJECTED, 0, reason, market_id, seq, self.now_ms, self.cmd_n, self.cmd_index,
                account_id, order_id, client_id, amend_client_id,
            )
        )  # fmt: skip

    def parked(self, order: Order, reference_ticks: int, until_ms: int) -> None:
        self.seq = seq = self.seq + 1
        self.emit(
            _parked(
                _V, _PARKED, 0, 0, order.market.market_id, seq, self.now_ms, self.cmd_n, self.cmd_index,
                order.account.account_id, order.order_id, order.price_ticks, reference_ticks, until_ms, order.side,
            )
        )  # fmt: skip

    def reviewed(self, order: Order, relay_seq: int, source: int, decision: int) -> None:
        self.seq = seq = self.seq + 1
        self.emit(
            _reviewed(
                _V, _REVIEWED, 0, 0, order.market.market_id, seq, self.now_ms, self.cmd_n, self.cmd_index,
                order.account.account_id, relay_seq, source, order.order_id, decision,
            )
        )  # fmt: skip

    def cancel_timer_set(self, account_id: int, due_ms: int, flags: int = 0) -> None:
        self.seq = seq = self.seq + 1
        self.emit(
            _timer_set(
                _V, _TIMER_SET, flags, 0, 0, seq, self.now_ms, self.cmd_n, self.cmd_index, account_id, due_ms
            )
        )  # fmt: skip

    def allocated(
        self,
        order: Order,
        share: Share,
        step: int,
        lots: int,
        *,
        trade_id: int = 0,
        price_ticks: int = 0,
        fee_units: int = 0,
        is_taker: bool = False,
    ) -> None:
        """One share of a block order; `step` is an AllocationStep and `lots` those of this step."""
        self.seq = seq = self.seq + 1
        base, quote = share.seat.base, share.seat.quote
        self.emit(
            _allocated(
                _V, _ALLOCATED, _ALLOCATED_TAKER if is_taker else 0, 0, order.market.market_id,
                seq, self.now_ms, self.cmd_n, self.cmd_index, share.seat.account.account_id,
                order.order_id, order.account.account_id, trade_id, price_ticks, lots, fee_units,
                share.final_lots, share.allocated_lots,
                base.available_units, base.held_units, quote.available_units, quote.held_units, step, order.side,
            )
        )  # fmt: skip

    def list_changed(self, order_list: OrderList, status: int) -> None:
        """`status` is a ListStatus."""
        self.seq = seq = self.seq + 1
        seat = order_list.seat
        first, second, third = (*order_list.order_ids, 0)[:3]
        self.emit(
            _list_changed(
                _V, _LIST_CHANGED, 0, 0, seat.market.market_id, seq, self.now_ms, self.cmd_n, self.cmd_index,
                seat.account.account_id, order_list.list_id, first, second, third, order_list.kind, status,
                order_list.client_id,
            )
        )  # fmt: skip

    def list_rejected(
        self, market_id: int, account_id: int, kind: int, leg: int, client_id: bytes, reason: int
    ) -> None:
        self.seq = seq = self.seq + 1
        self.emit(
            _list_rejected(
                _V, _LIST_REJECTED, 0, reason, market_id, seq, self.now_ms, self.cmd_n, self.cmd_index, account_id,
                kind, leg, client_id,
            )
        )  # fmt: skip

    def list_duplicate(self, order_list: OrderList, first_list_id: int) -> None:
        self.seq = seq = self.seq + 1
        seat = order_list.seat
        self.emit(
            _list_duplicate(
                _V, _LIST_DUPLICATE, 0, 0, seat.market.market_id, seq, self.now_ms, self.cmd_n, self.cmd_index,
                seat.account.account_id, first_list_id, order_list.client_id,
            )
        )  # fmt: skip

    def pending_entered(self, order: Order, list_id: int, *, is_waiting: bool) -> None:
        """Its funds are held."""
        self.seq = seq = self.seq + 1
        pays = order.seat.quote if order.side == BUY else order.seat.base
        self.emit(
            _pending_entered(
                _V, _PENDING_ENTERED, _ENTERED_WAITING if is_waiting else 0, 0, order.market.market_id,
                seq, self.now_ms, self.cmd_n, self.cmd_index, order.account.account_id, order.order_id, list_id,
                order.price_ticks, pays.available_units, pays.held_units, order.side, order.kind, order.client_id,
            )
        )  # fmt: skip

    def money_moved(
        self,
        op: int,
        relay_seq: int,
        source: int,
        counter: int,
        asset_id: int,
        key: bytes,
        amount_units: int,
        *,
        account_id: int,
        available_units: int,
        held_units: int,
        released_units: int = 0,
        to_account_id: int = 0,
        to_available_units: int = 0,
        to_held_units: int = 0,
    ) -> None:
        self.seq = seq = self.seq + 1
        self.emit(
            _moved(
                _V, _MOVED, 0, 0, 0, seq, self.now_ms, self.cmd_n, self.cmd_index, account_id,
                relay_seq, source, counter, asset_id, amount_units, released_units, available_units, held_units,
                to_account_id, to_available_units, to_held_units, op, key,
            )
        )  # fmt: skip

    def relay_refused(
        self,
        op: int,
        relay_seq: int,
        source: int,
        reason: int,
        *,
        market_id: int,
        account_id: int,
        object_id: int,
        amount_units: int,
        key: bytes,
    ) -> None:
        self.seq = seq = self.seq + 1
        self.emit(
            _refused(
                _V, _REFUSED, 0, reason, market_id, seq, self.now_ms, self.cmd_n, self.cmd_index, account_id,
                relay_seq, source, op, object_id, amount_units, key,
            )
        )  # fmt: skip

    def settings_applied(
        self,
        op: int,
        relay_seq: int,
        source: int,
        object_id: int,
        *,
        market_id: int = 0,
        account_id: int = 0,
        settings_version: int = 0,
        family_id: int = 0,
        fee_tier: int = 0,
    ) -> None:
        self.seq = seq = self.seq + 1
        self.emit(
            _applied(
                _V, _APPLIED, 0, 0, market_id, seq, self.now_ms, self.cmd_n, self.cmd_index, account_id,
                relay_seq, source, op, object_id, settings_version, family_id, fee_tier,
            )
        )  # fmt: skip

    def market_state_changed(self, market: Market, relay_seq: int, source: int, old_state: int) -> None:
        """The market is in its new state."""
        self.seq = seq = self.seq + 1
        self.emit(
            _state_changed(
                _V, _STATE_CHANGED, 0, 0, market.market_id, seq, self.now_ms, self.cmd_n, self.cmd_index, 0,
                relay_seq, source, old_state, market.state, market.cause,
                market.until_ms, market.reopens_ms, market.rule_id,
            )
        )  # fmt: skip

    def auction_price(self, market: Market) -> None:
        self.seq = seq = self.seq + 1
        self.emit(
            _auction_price(
                _V, _AUCTION_PRICE, 0, 0, market.market_id, seq, self.now_ms, self.cmd_n, self.cmd_index, 0,
                market.auction_ticks, market.auction_lots,
            )
        )  # fmt: skip

    def halt_distance(self, market_id: int, found: Distance) -> None:
        self.seq = seq = self.seq + 1
        self.emit(
            _halt_distance(
                _V, _HALT_DISTANCE, 0, 0, market_id, seq, self.now_ms, self.cmd_n, self.cmd_index, 0, *found
            )
        )  # fmt: skip

    def auction_trade(
        self,
        market: Market,
        taker: Order,
        maker: Order,
        flags: int,
        price_ticks: int,
        lots: int,
        taker_fee: int,
        maker_fee: int,
    ) -> None:
        """Of two resting orders; the market has given the trade its ids."""
        self.seq = seq = self.seq + 1
        takes, makes = taker.seat, maker.seat
        self.emit(
            _trade(
                _V, _TRADE, flags, 0, market.market_id, seq, self.now_ms, self.cmd_n, self.cmd_index,
                taker.account.account_id, market.last_trade_id, market.last_agg_id, maker.account.account_id,
                maker.order_id, taker.order_id, price_ticks, lots, taker_fee, maker_fee,
                takes.base.available_units, takes.base.held_units,
                takes.quote.available_units, takes.quote.held_units,
                makes.base.available_units, makes.base.held_units,
                makes.quote.available_units, makes.quote.held_units,
                0, maker.open_lots,
            )
        )  # fmt: skip

    def level_changed(self, market: Market, side: int, price_ticks: int, level_lots: int) -> None:
        self.seq = seq = self.seq + 1
        self.emit(
            _level_changed(
                _V, _LEVEL_CHANGED, 0, 0, market.market_id, seq, self.now_ms, self.cmd_n, self.cmd_index, 0,
                price_ticks, level_lots, side,
            )
        )  # fmt: skip

    def internal_reject(
        self, op: int, relay_seq: int, source: int, reason: int, *, market_id: int, account_id: int
    ) -> None:
        self.seq = seq = self.seq + 1
        self.emit(
            _internal_reject(
                _V, _INTERNAL_REJECT, 0, reason, market_id, seq, self.now_ms, self.cmd_n, self.cmd_index, account_id,
                relay_seq, source, op,
            )
        )  # fmt: skip
