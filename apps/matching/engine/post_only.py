"""LIMIT_MAKER: rests, or is refused where it would match an order that has not expired, its own family's too (T3)."""

from typing import Final

from apps.matching.engine import limit
from apps.matching.engine.book import Order
from apps.matching.engine.funds import release_for
from apps.matching.engine.reach import would_match
from apps.matching.engine.state import State
from apps.streams.kinds import Reason, TimeInForce

_RESTING: Final = frozenset({int(TimeInForce.GTC), int(TimeInForce.GTD)})


def is_well_formed(order: Order) -> bool:
    return order.time_in_force in _RESTING and limit.is_well_formed(order)


def place_limit_maker(state: State, order: Order) -> Reason | None:
    """As LIMIT, but asked last whether it would match."""
    reason = limit.hold_fault(order)
    if reason is not None:
        return reason
    if would_match(state, order):
        release_for(order)
        return Reason.WOULD_MATCH
    limit.enter(state, order)
    return None
