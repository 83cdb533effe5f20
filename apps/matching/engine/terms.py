"""What only some orders have: a trigger, an end in time, a hidden reserve, lots prevented or amended away, a wait, the
shares of sub-accounts.

A plain order has none of it (`Order.terms` is None), so that it pays one look at most for each rule here.
"""

from typing import TYPE_CHECKING, Final

from apps.matching.engine.allocation import Block
from apps.matching.engine.strategy import NO_STRATEGY, Strategy
from apps.streams.kinds import Waiting

if TYPE_CHECKING:
    from apps.matching.engine.order_list import OrderList
    from apps.matching.engine.trailing import Segment

CONDITIONAL: Final = int(Waiting.CONDITIONAL)
PENDING: Final = int(Waiting.PENDING)
PARKED: Final = int(Waiting.PARKED)
TRIGGERED: Final = int(Waiting.TRIGGERED)
AMENDS_MAX: Final = 2**31  # above every max_order_amends


class Terms:
    """`display_lots`, `expires_ms`, `stop_price_ticks` and `trailing_bips` are as the order asked, 0 where it did not.

    `accepted_seq` is the seq of the order's ORDER_ACCEPTED: timers that are due at the same time, and orders that
    trigger at the same price, run in that order. `reserve_lots` is an iceberg's hidden rest; `Order.left_lots` its tip.
    `prevented_lots` were taken off by self-trade prevention (DECREMENT). `placed_lots` is the quantity that an amended
    order was placed with, else 0; `amends` counts its amendments up to AMENDS_MAX, those before rules version 6 not.

    `waiting` is 0 for an order that stands in a book, else a Waiting. A parked one ends at `park_due_ms` unless it was
    reviewed before; `parked_seq` is the seq of its ORDER_PARKED. `segment` is where an active trailing stop stands,
    with its best price (trailing.py). `hold_units` is what a conditional market buy holds, 0 for every other order.
    `queued_seq` is the seq of the event that put the order into the FIFO; it stays until the order rests or ends.
    `block` holds the shares of a block order, `order_list` is the list that the order is a member of. `strategy` is for
    the order's ORDER_ACCEPTED; a snapshot has nothing of it.
    """

    __slots__ = (
        "accepted_seq", "amends", "block", "display_lots", "expires_ms", "hold_units", "order_list", "park_due_ms",
        "parked_seq", "placed_lots", "prevented_lots", "queued_seq", "reserve_lots", "segment", "stop_price_ticks",
        "strategy", "trailing_bips", "waiting",
    )  # fmt: skip

    def __init__(
        self, display_lots: int = 0, expires_ms: int = 0, stop_price_ticks: int = 0, trailing_bips: int = 0
    ) -> None:
        self.display_lots = display_lots
        self.expires_ms = expires_ms
        self.stop_price_ticks = stop_price_ticks
        self.trailing_bips = trailing_bips
        self.accepted_seq = 0
        self.reserve_lots = 0
        self.prevented_lots = 0
        self.placed_lots = 0
        self.amends = 0
        self.waiting = 0
        self.park_due_ms = 0
        self.parked_seq = 0
        self.block: Block | None = None
        self.order_list: OrderList | None = None
        self.segment: Segment | None = None
        self.hold_units = 0
        self.queued_seq = 0
        self.strategy: Strategy = NO_STRATEGY

    @property
    def best_ticks(self) -> int:
        """Best last price since an active trailing stop became active, 0 for every other order."""
        return 0 if self.segment is None else self.segment.best_ticks
