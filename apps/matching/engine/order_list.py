"""An order list: two or three orders of an account in a market that depend on one another (T4, matching-rules.md 5).

OCO: two legs of one side; whatever happens to one first ends the other. OTO: the pending order waits, without a hold,
until the working one has filled whole. OTOCO: the same, and the pending part is an OCO.

The legs of an OCO hold their funds once, the larger need: `shared_units`. What one of them does not need is given back
when the other one remains.
"""

from enum import IntEnum
from typing import TYPE_CHECKING, Final

from apps.matching.engine.book import BUY, Order
from apps.streams.kinds import ListKind

if TYPE_CHECKING:
    from apps.matching.engine.accounts import Seat

_OCO: Final = int(ListKind.OCO)


class Stage(IntEnum):
    """How far the part that waits for the working order is. Stored in snapshots."""

    WORKING = 1  # it is pending
    QUEUED = 2  # its turn in the market's FIFO will come
    ENTERED = 3  # it has taken its turn; an OCO has no other stage


class OrderList:
    """`legs` are its open orders by id, in the order of the command; `order_ids` those of all.

    `id_key` and `fingerprint` are those of its own client id, as orders have them; `list_id` is its first order's id.
    """

    __slots__ = ("client_id", "fingerprint", "id_key", "is_done", "kind", "legs", "order_ids", "seat", "stage")

    def __init__(self, seat: "Seat", kind: int, client_id: bytes, id_key: bytes, fingerprint: int) -> None:
        self.seat = seat
        self.kind = kind
        self.client_id = client_id
        self.id_key = id_key
        self.fingerprint = fingerprint
        self.stage = Stage.ENTERED if kind == _OCO else Stage.WORKING
        self.order_ids: tuple[int, ...] = ()
        self.legs: dict[int, Order] = {}
        self.is_done = False

    @property
    def list_id(self) -> int:
        return self.order_ids[0]

    @property
    def order_id(self) -> int:
        """For who remembers its client id as if it were an order's."""
        return self.order_ids[0]

    def is_working(self, order: Order) -> bool:
        """The order that the others wait for."""
        return self.kind != _OCO and order.order_id == self.order_ids[0]

    def holds_nothing(self, order: Order) -> bool:
        """It is pending, or stands in the FIFO as a pending one."""
        return self.stage is not Stage.ENTERED and order.order_id != self.order_ids[0]

    def sibling_of(self, order: Order) -> Order | None:
        """The other leg of an OCO, while both hold their funds."""
        if self.stage is not Stage.ENTERED or len(self.legs) != 2:
            return None
        first, second = self.legs.values()
        return second if order is first else first

    def shares_hold(self, order: Order) -> bool:
        """Whether it holds something else than its own need: it is pending, or a leg of an OCO whose sibling lives."""
        return self.holds_nothing(order) or self.sibling_of(order) is not None

    def units_held_by(self, order: Order) -> int:
        """What belongs to this order alone: its own need, or what the other leg will not need when it is gone."""
        sibling = self.sibling_of(order)
        if sibling is None:
            return 0 if self.holds_nothing(order) else need_of_whole(order)
        return shared_units(order, sibling) - need_of_whole(sibling)


def order_list_of(order: Order) -> OrderList | None:
    return None if order.terms is None else order.terms.order_list


def need_of_whole(order: Order) -> int:
    """Units that the order needs for its whole quantity. Nothing of a leg fills before its sibling has ended."""
    market = order.market
    if order.side != BUY:
        return order.quantity_lots * market.lot_size
    if order.terms is not None and order.terms.hold_units:
        return order.terms.hold_units
    return order.price_ticks * order.quantity_lots * market.unit_factor


def shared_units(first: Order, second: Order) -> int:
    """What the two legs of an OCO hold together."""
    return max(need_of_whole(first), need_of_whole(second))
