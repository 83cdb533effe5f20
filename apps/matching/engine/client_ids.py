"""Client order ids are idempotent (T15, architecture.md section 3, Client order ids).

Layout
    `owners` says who owns an id: the open order or list, or the record of the closed one. Its key is the 16-byte
    BLAKE2b of (account, id), of a list's id with a mark. Records of the last `capacity` closed ids of the shard stand
    in a ring, oldest first: 28 bytes = key, 4 bytes fingerprint of the parameters, order_id.

    The fingerprint is a CRC-32: parameters that differ within any 32 bits in a row never have the same one, others with
    a chance of 2^-32, and who searches for such a pair only gets back his own first order.

Known limit
    An id used again while its older order is still in the ring has two records there. Only the newer owner is found;
    the older record leaves the ring at its turn.
"""

from collections import deque
from collections.abc import Iterable
from hashlib import blake2b
from struct import Struct
from typing import Final
from zlib import crc32

from apps.matching.engine.book import Order
from apps.matching.engine.order_list import OrderList

NO_CLIENT_ID: Final = bytes(36)
KEY_SIZE: Final = 16
RECORD: Final = Struct("<16sIQ")

_hash = blake2b(digest_size=KEY_SIZE)
_pack_record = RECORD.pack
_pack_owner = Struct("<Q36s").pack
_pack_parameters = Struct("<IBBBBqqqqqqI").pack
_pack_block = Struct("<II").pack


def key_of(account_id: int, client_id: bytes) -> bytes:
    """16 bytes for an account's client id as it stands in the frame (36 bytes)."""
    key = _hash.copy()
    key.update(_pack_owner(account_id, client_id))
    return key.digest()


def list_key_of(account_id: int, client_id: bytes) -> bytes:
    """The same for the client id of an order list: another namespace."""
    key = _hash.copy()
    key.update(_pack_owner(account_id, client_id))
    key.update(b"list")
    return key.digest()


def fingerprint_of(order: Order) -> int:
    """Of what the order asked for when it was placed; time, settings version and the command id are no part of that.

    Zeros stand for what an order does not carry, so that a remembered id stays valid when orders begin to carry more.
    """
    terms = order.terms
    display_lots = stop_price_ticks = expires_ms = trailing_bips = start = 0
    placed_lots = order.quantity_lots
    if terms is not None:
        if terms.block is not None:
            start = crc32(_pack_block(terms.block.rule_id, terms.block.requested_crc))
        display_lots, expires_ms, placed_lots = terms.display_lots, terms.expires_ms, terms.placed_lots or placed_lots
        stop_price_ticks, trailing_bips = terms.stop_price_ticks, terms.trailing_bips
    return crc32(
        _pack_parameters(
            order.market.market_id, order.side, order.kind, order.time_in_force, order.stp_mode,
            order.price_ticks, placed_lots, order.budget_units, display_lots, stop_price_ticks, expires_ms,
            trailing_bips,
        ),
        start,
    )  # fmt: skip


CAPACITY_MAX: Final = 2**30 - 1


def check_capacity(closed_ids_kept: int) -> None:
    if not 0 <= closed_ids_kept <= CAPACITY_MAX:
        raise ValueError(f"closed_ids_kept must be between 0 and 2^30 - 1, not {closed_ids_kept}")


class ClientIds:
    """Who owns which client id: open orders, and the ring of remembered closed ones."""

    __slots__ = ("capacity", "owners", "ring")

    def __init__(self, capacity: int, records: Iterable[bytes] = ()) -> None:
        """`records` are those of a snapshot, oldest first. ValueError for a capacity out of bounds."""
        check_capacity(capacity)
        self.capacity = capacity
        self.ring = deque(records)
        self.owners: dict[bytes, Order | OrderList | bytes] = {record[:KEY_SIZE]: record for record in self.ring}

    def open_order(self, account_id: int, client_id: bytes) -> Order | None:
        owner = self.owners.get(key_of(account_id, client_id))
        return owner if isinstance(owner, Order) else None

    def remember(self, order: Order | OrderList) -> None:
        """The order, or list, has closed; its id, if it has one, is kept until `capacity` further ones have closed."""
        key = order.id_key
        if not key:
            return
        record = _pack_record(key, order.fingerprint, order.order_id)
        self.owners[key] = record
        ring = self.ring
        ring.append(record)
        if len(ring) > self.capacity:
            oldest = ring.popleft()
            if self.owners[oldest[:KEY_SIZE]] is oldest:
                del self.owners[oldest[:KEY_SIZE]]
