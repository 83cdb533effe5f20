"""Events of the journal: order lists."""

from typing import Final

from apps.matching.engine.event_batch import EventBatch
from apps.matching.engine.order_list import OrderList
from apps.streams.kinds import EventKind
from apps.streams.records import EVENT_VERSION, EVENTS

_list_changed = EVENTS[EventKind.LIST_CHANGED].struct.pack
_list_rejected = EVENTS[EventKind.LIST_REJECTED].struct.pack
_list_duplicate = EVENTS[EventKind.LIST_DUPLICATE].struct.pack

# Plain ints: a look-up on an enum class costs more than the rest of the argument list.
_V: Final = EVENT_VERSION
_LIST_CHANGED: Final = int(EventKind.LIST_CHANGED)
_LIST_REJECTED: Final = int(EventKind.LIST_REJECTED)
_LIST_DUPLICATE: Final = int(EventKind.LIST_DUPLICATE)


class ListEvents(EventBatch):
    __slots__ = ()

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
