"""Events of the journal: answers to what is asked about open orders: cancel, amend, review, cancel-all-after."""

from typing import Final

from apps.matching.engine.accounts import Balance
from apps.matching.engine.book import Order
from apps.matching.engine.event_batch import EventBatch
from apps.streams.kinds import EventKind
from apps.streams.records import EVENT_VERSION, EVENTS

_cancel_rejected = EVENTS[EventKind.CANCEL_REJECTED].struct.pack
_all_canceled = EVENTS[EventKind.ALL_CANCELED].struct.pack
_amended = EVENTS[EventKind.ORDER_AMENDED].struct.pack
_timer_set = EVENTS[EventKind.CANCEL_TIMER_SET].struct.pack
_reviewed = EVENTS[EventKind.ORDER_REVIEWED].struct.pack
_amend_rejected = EVENTS[EventKind.AMEND_REJECTED].struct.pack

# Plain ints: a look-up on an enum class costs more than the rest of the argument list.
_V: Final = EVENT_VERSION
_CANCEL_REJECTED: Final = int(EventKind.CANCEL_REJECTED)
_ALL_CANCELED: Final = int(EventKind.ALL_CANCELED)
_AMENDED: Final = int(EventKind.ORDER_AMENDED)
_TIMER_SET: Final = int(EventKind.CANCEL_TIMER_SET)
_REVIEWED: Final = int(EventKind.ORDER_REVIEWED)
_AMEND_REJECTED: Final = int(EventKind.AMEND_REJECTED)


class RequestEvents(EventBatch):
    __slots__ = ()

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

    def cancel_timer_set(self, account_id: int, due_ms: int, flags: int = 0) -> None:
        self.seq = seq = self.seq + 1
        self.emit(
            _timer_set(
                _V, _TIMER_SET, flags, 0, 0, seq, self.now_ms, self.cmd_n, self.cmd_index, account_id, due_ms
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

    def reviewed(self, order: Order, relay_seq: int, source: int, decision: int) -> None:
        self.seq = seq = self.seq + 1
        self.emit(
            _reviewed(
                _V, _REVIEWED, 0, 0, order.market.market_id, seq, self.now_ms, self.cmd_n, self.cmd_index,
                order.account.account_id, relay_seq, source, order.order_id, decision,
            )
        )  # fmt: skip
