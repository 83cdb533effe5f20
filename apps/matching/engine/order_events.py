"""Events of the journal: the life of one order, from its entry to its end, and the shares of a block order."""

from typing import Final

from apps.matching.engine.accounts import Balance
from apps.matching.engine.allocation import Share
from apps.matching.engine.book import BUY, Order
from apps.matching.engine.event_batch import EventBatch
from apps.streams.kinds import AcceptedFlag, AllocatedFlag, AllocationStep, ClosedFlag, EnteredFlag, EventKind, Reason
from apps.streams.records import EVENT_VERSION, EVENTS

_accepted = EVENTS[EventKind.ORDER_ACCEPTED].struct.pack
_rejected = EVENTS[EventKind.ORDER_REJECTED].struct.pack
_duplicate = EVENTS[EventKind.ORDER_DUPLICATE].struct.pack
_rested = EVENTS[EventKind.ORDER_RESTED].struct.pack
_closed = EVENTS[EventKind.ORDER_CLOSED].struct.pack
_prevented = EVENTS[EventKind.PREVENTED_MATCH].struct.pack
_refilled = EVENTS[EventKind.ICEBERG_REFILLED].struct.pack
_triggered = EVENTS[EventKind.ORDER_TRIGGERED].struct.pack
_parked = EVENTS[EventKind.ORDER_PARKED].struct.pack
_allocated = EVENTS[EventKind.ALLOCATED].struct.pack
_pending_entered = EVENTS[EventKind.PENDING_ENTERED].struct.pack

# Plain ints: a look-up on an enum class costs more than the rest of the argument list.
_V: Final = EVENT_VERSION
_ACCEPTED: Final = int(EventKind.ORDER_ACCEPTED)
_REJECTED: Final = int(EventKind.ORDER_REJECTED)
_DUPLICATE: Final = int(EventKind.ORDER_DUPLICATE)
_RESTED: Final = int(EventKind.ORDER_RESTED)
_CLOSED: Final = int(EventKind.ORDER_CLOSED)
_PREVENTED: Final = int(EventKind.PREVENTED_MATCH)
_REFILLED: Final = int(EventKind.ICEBERG_REFILLED)
_TRIGGERED: Final = int(EventKind.ORDER_TRIGGERED)
_PARKED: Final = int(EventKind.ORDER_PARKED)
_ALLOCATED: Final = int(EventKind.ALLOCATED)
_PENDING_ENTERED: Final = int(EventKind.PENDING_ENTERED)
_RESTED_AT_ONCE: Final = int(AcceptedFlag.RESTED)
_WAITING: Final = int(AcceptedFlag.WAITING)
_PENDING: Final = int(AcceptedFlag.PENDING)
_ENTERED_WAITING: Final = int(EnteredFlag.WAITING)
_WAS_RESTING: Final = int(ClosedFlag.WAS_RESTING)
_ALLOCATED_TAKER: Final = int(AllocatedFlag.TAKER)
_RELEASED: Final = int(AllocationStep.RELEASED)


class OrderEvents(EventBatch):
    __slots__ = ()

    def accepted(self, order: Order, level_lots: int) -> None:
        """`level_lots` > 0 says that the whole order rests; of an iceberg its tip shows."""
        self.seq = seq = self.seq + 1
        pays = order.seat.quote if order.side == BUY else order.seat.base
        terms = order.terms
        if terms is None:
            display_lots = expires_ms = strategy_id = strategy_type = given = 0
        else:
            display_lots, expires_ms = terms.display_lots, terms.expires_ms
            strategy_id, strategy_type, given = terms.strategy
        self.emit(
            _accepted(
                _V, _ACCEPTED, given | _RESTED_AT_ONCE if level_lots else given, 0, order.market.market_id,
                seq, self.now_ms, self.cmd_n, self.cmd_index, order.account.account_id, order.order_id,
                order.price_ticks, order.quantity_lots, order.budget_units, display_lots, 0, expires_ms,
                pays.available_units, pays.held_units, level_lots, 0,
                order.side, order.kind, order.time_in_force, order.stp_mode, order.client_id,
                strategy_id, strategy_type,
            )
        )  # fmt: skip

    def waits(self, order: Order, *, is_pending: bool = False) -> None:
        """The order is accepted and stands in no book; a pending one of a list holds nothing either."""
        self.seq = seq = self.seq + 1
        pays = order.seat.quote if order.side == BUY else order.seat.base
        terms = order.terms
        assert terms is not None
        strategy_id, strategy_type, given = terms.strategy
        self.emit(
            _accepted(
                _V, _ACCEPTED, given | (_PENDING if is_pending else _WAITING), 0, order.market.market_id,
                seq, self.now_ms, self.cmd_n, self.cmd_index, order.account.account_id, order.order_id,
                order.price_ticks, order.quantity_lots, order.budget_units, terms.display_lots,
                terms.stop_price_ticks, terms.expires_ms, pays.available_units, pays.held_units, 0,
                terms.trailing_bips, order.side, order.kind, order.time_in_force, order.stp_mode, order.client_id,
                strategy_id, strategy_type,
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

    def parked(self, order: Order, reference_ticks: int, until_ms: int) -> None:
        self.seq = seq = self.seq + 1
        self.emit(
            _parked(
                _V, _PARKED, 0, 0, order.market.market_id, seq, self.now_ms, self.cmd_n, self.cmd_index,
                order.account.account_id, order.order_id, order.price_ticks, reference_ticks, until_ms, order.side,
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

    def iceberg_refilled(self, order: Order, level_lots: int) -> None:
        """The seq of this event is the order's new place."""
        self.seq = seq = self.seq + 1
        self.emit(
            _refilled(
                _V, _REFILLED, 0, 0, order.market.market_id, seq, self.now_ms, self.cmd_n, self.cmd_index,
                order.account.account_id, order.order_id, order.price_ticks, order.left_lots, level_lots, order.side,
            )
        )  # fmt: skip

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
