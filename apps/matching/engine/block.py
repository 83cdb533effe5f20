"""PLACE_BLOCK: one order of an institution for dozens of sub-accounts, allocated in the same step as it fills (T12).

The run is a head, which names one of the account's allocation rules, a whole PLACE_ORDER, and for a pro-rata rule the
requested lots of its accounts. It is checked like any order; behind the price band comes the rule: it exists, its
accounts are of the family, the requested lots fit. Then limits, and the funds of every sub-account for its share.

Only LIMIT and LIMIT_MAKER without a display, and MARKET sells by quantity, can be block orders: of these it is known at
acceptance how many lots each account may have to pay for.
"""

from struct import Struct
from typing import Final
from zlib import crc32

from apps.matching.engine.allocation import Block, Share
from apps.matching.engine.book import Order
from apps.matching.engine.client_ids import NO_CLIENT_ID
from apps.matching.engine.framing import fields_of, is_order_of
from apps.matching.engine.placing import place_order
from apps.matching.engine.state import State
from apps.matching.engine.strategy import order_offsets
from apps.streams.kinds import CommandKind, Reason
from apps.streams.records import FRAME_SIZE

_unpack = fields_of(CommandKind.PLACE_BLOCK).unpack_from
_LOTS_A_FRAME: Final = FRAME_SIZE // 8


def place_block(state: State, frames: bytes, offset: int) -> None:
    parts, flags, market_id, account_id, rule_id, count = _unpack(frames, offset)
    lots_frames = -(-count // _LOTS_A_FRAME)
    places = order_offsets(frames, offset, parts - lots_frames, 1)
    if places is None or flags or not is_order_of(frames, places[0], market_id, account_id):
        state.journal.rejected(market_id, account_id, 0, 0, NO_CLIENT_ID, Reason.MALFORMED)
        return
    lots = Struct(f"<{count}q")
    requested = lots.unpack_from(frames, offset + (parts - lots_frames) * FRAME_SIZE)
    block = Block(rule_id, crc32(lots.pack(*requested)))

    def share(order: Order) -> Reason | None:
        return _share(state, order, block, requested)

    place_order(state, frames, places[0], share, block)


def _share(state: State, order: Order, block: Block, requested: tuple[int, ...]) -> Reason | None:
    """Give each account of the rule its share; why that cannot be, or None."""
    rule = order.account.allocations.get(block.rule_id)
    if rule is None:
        return Reason.UNKNOWN_ALLOCATION
    if not rule.is_of_family(state, order.account):
        return Reason.ALLOCATION_FAMILY
    final = rule.final_lots(order.quantity_lots, requested)
    if isinstance(final, Reason):
        return final
    market = order.market
    for account_id, lots in zip(rule.accounts, final, strict=True):
        if lots:
            seat = market.seats.get(account_id) or state.accounts[account_id].take_seat(market)
            block.shares.append(Share(seat, lots))
    return None
