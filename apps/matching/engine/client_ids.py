"""Client order ids are idempotent (T15, architecture.md section 3, Client order ids).

An open order's id is found at its account. Of closed orders the last `capacity` ids of the whole shard are kept in a
ring: records of 28 bytes = 16 bytes BLAKE2b of (account, id), 4 bytes fingerprint of the parameters, order_id.

The fingerprint is a CRC-32: parameters that differ within any 32 bits in a row never have the same one, others with
a chance of 2^-32, and who searches for such a pair only gets back his own first order.

Known limit: an id used again while its older order is still in the ring has two records there. Only the newer one is
found; the older one leaves the ring at its turn.
"""

from collections import deque
from collections.abc import Iterable
from hashlib import blake2b
from struct import Struct
from typing import Final
from zlib import crc32

from apps.matching.engine.book import Order

NO_CLIENT_ID: Final = bytes(36)
KEY_SIZE: Final = 16
IDENTITY_SIZE: Final = 20
RECORD_SIZE: Final = 28

_key_hash = blake2b(digest_size=KEY_SIZE)
_pack_owner = Struct("<Q36s").pack
_pack_parameters = Struct("<IBBBBqqqqqqI").pack


def identify(order: Order) -> bytes:
    """20 bytes: who asked under which id, then what was asked for.

    Time, settings version and the command id are no part of what was asked for. The zeros stand for display, stop
    price, expiry and trailing distance, so that a remembered id stays valid when orders begin to carry them.
    """
    key = _key_hash.copy()
    key.update(_pack_owner(order.account.account_id, order.client_id))
    parameters = _pack_parameters(
        order.market.market_id, order.side, order.kind, order.time_in_force, order.stp_mode,
        order.price_ticks, order.quantity_lots, order.budget_units, 0, 0, 0, 0,
    )  # fmt: skip
    return key.digest() + crc32(parameters).to_bytes(4, "little")


class ClosedIds:
    """The ring of remembered ids of closed orders."""

    __slots__ = ("capacity", "records", "ring")

    def __init__(self, capacity: int, records: Iterable[bytes] = ()) -> None:
        """`records` are those of a snapshot, oldest first."""
        self.capacity = capacity
        self.ring = deque(records)
        self.records = {record[:KEY_SIZE]: record for record in self.ring}

    def first_order(self, identity: bytes) -> int:
        """order_id of the closed order with the same id and the same parameters, else 0."""
        record = self.records.get(identity[:KEY_SIZE])
        if record is None or record[:IDENTITY_SIZE] != identity:
            return 0
        return int.from_bytes(record[IDENTITY_SIZE:], "little")

    def remember(self, order: Order) -> None:
        """The order has closed; its id, if it has one, is kept until `capacity` further ones have closed."""
        identity = order.identity
        if not identity:
            return
        record = identity + order.order_id.to_bytes(8, "little")
        self.ring.append(record)
        self.records[identity[:KEY_SIZE]] = record
        if len(self.ring) > self.capacity:
            oldest = self.ring.popleft()
            if self.records[oldest[:KEY_SIZE]] is oldest:
                del self.records[oldest[:KEY_SIZE]]
