"""Client order ids are idempotent (T15, architecture.md section 3, Client order ids).

An open order's id is found at its account. Of closed orders the last `capacity` ids of the whole shard are kept in a
ring: records of 32 bytes = 16 bytes hash of (account, id), 8 bytes fingerprint of the parameters, order_id.

Known limit: an id used again while its older order is still in the ring has two records there. Only the newer one is
found; the older one leaves the ring at its turn.
"""

from collections import deque
from hashlib import blake2b
from struct import Struct
from typing import Final

from apps.matching.engine.book import Order

NO_CLIENT_ID: Final = bytes(36)
KEY_SIZE: Final = 16
IDENTITY_SIZE: Final = 24
RECORD_SIZE: Final = 32

_pack_owner = Struct("<Q36s").pack
_pack_parameters = Struct("<IBBBBqqqqqqI").pack


def identify(order: Order) -> bytes:
    """24 bytes: who asked under which id, then what was asked for.

    Time, settings version and the command id are no part of what was asked for. The zeros stand for display, stop
    price, expiry and trailing distance, so that a remembered id stays valid when orders begin to carry them.
    """
    key = blake2b(_pack_owner(order.account.account_id, order.client_id), digest_size=16).digest()
    parameters = _pack_parameters(
        order.market.market_id, order.side, order.kind, order.time_in_force, order.stp_mode,
        order.price_ticks, order.quantity_lots, order.budget_units, 0, 0, 0, 0,
    )  # fmt: skip
    return key + blake2b(parameters, digest_size=8).digest()


class ClosedIds:
    """The ring of remembered ids of closed orders."""

    __slots__ = ("capacity", "records", "ring")

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.ring: deque[bytes] = deque()
        self.records: dict[bytes, bytes] = {}

    def first_order(self, identity: bytes) -> int:
        """order_id of the closed order with the same id and the same parameters, else 0."""
        record = self.records.get(identity[:KEY_SIZE])
        if record is None or record[:IDENTITY_SIZE] != identity:
            return 0
        return int.from_bytes(record[IDENTITY_SIZE:], "little")

    def remember(self, order: Order) -> None:
        """The order has closed; its id is kept until `capacity` further ones have."""
        if order.identity:
            self.push(order.identity + order.order_id.to_bytes(8, "little"))

    def push(self, record: bytes) -> None:
        self.ring.append(record)
        self.records[record[:KEY_SIZE]] = record
        if len(self.ring) > self.capacity:
            oldest = self.ring.popleft()
            if self.records[oldest[:KEY_SIZE]] is oldest:
                del self.records[oldest[:KEY_SIZE]]
