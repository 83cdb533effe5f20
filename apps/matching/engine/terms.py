"""What only some orders have: an end in time, a hidden reserve, lots lost to prevented matches or amended away, a wait,
the shares of sub-accounts.

A plain order has none of it (`Order.terms` is None), so that it pays one look at most for each rule here.
"""

from apps.matching.engine.allocation import Block


class Terms:
    """`display_lots` and `expires_ms` are as the order asked, 0 where it did not.

    `accepted_seq` is the seq of the order's ORDER_ACCEPTED: timers that are due at the same time run in that order.
    `reserve_lots` is an iceberg's hidden rest; `Order.left_lots` is its tip. `prevented_lots` were taken off by
    self-trade prevention (DECREMENT). `placed_lots` is the quantity that an amended order was placed with, else 0.
    `waiting` is 0 for an order that stands in a book, else a Waiting. A parked one ends at `park_due_ms` unless it was
    reviewed before; `parked_seq` is the seq of its ORDER_PARKED. `block` holds the shares of a block order.
    """

    __slots__ = (
        "accepted_seq", "block", "display_lots", "expires_ms", "park_due_ms", "parked_seq", "placed_lots",
        "prevented_lots", "reserve_lots", "waiting",
    )  # fmt: skip

    def __init__(self, display_lots: int = 0, expires_ms: int = 0) -> None:
        self.display_lots = display_lots
        self.expires_ms = expires_ms
        self.accepted_seq = 0
        self.reserve_lots = 0
        self.prevented_lots = 0
        self.placed_lots = 0
        self.waiting = 0
        self.park_due_ms = 0
        self.parked_seq = 0
        self.block: Block | None = None
