"""Which orders make a list, and their frames (T4; clients.md section 4).

OCO: of one side and one quantity. A sell has LIMIT_MAKER, TAKE_PROFIT or TAKE_PROFIT_LIMIT above and STOP_LOSS or
STOP_LOSS_LIMIT below, a buy the other way round; the price of the one above, its limit or its stop, is the higher one.
OTO: LIMIT or LIMIT_MAKER works; pending is any kind, a market order by quantity only. OTOCO: both.
"""

from typing import Final

from apps.matching.engine.accounts import Seat
from apps.matching.engine.book import SELL, Order
from apps.matching.engine.client_ids import NO_CLIENT_ID
from apps.matching.engine.framing import fields_of, is_order_of, is_text
from apps.matching.engine.order_kinds import KINDS
from apps.matching.engine.selftrade import MODES
from apps.matching.engine.strategy import NO_STRATEGY, read_strategy
from apps.matching.engine.terms import Terms
from apps.streams.kinds import CommandKind, ListKind, OrderKind, Reason

_unpack = fields_of(CommandKind.PLACE_ORDER).unpack_from
_STOPS: Final = frozenset({int(OrderKind.STOP_LOSS), int(OrderKind.STOP_LOSS_LIMIT)})
_TARGETS: Final = frozenset({int(OrderKind.LIMIT_MAKER), int(OrderKind.TAKE_PROFIT), int(OrderKind.TAKE_PROFIT_LIMIT)})
_WORKING: Final = frozenset({int(OrderKind.LIMIT), int(OrderKind.LIMIT_MAKER)})
_OCO: Final = int(ListKind.OCO)
LEGS: Final = {int(ListKind.OCO): 2, int(ListKind.OTO): 2, int(ListKind.OTOCO): 3}


def read_leg(seat: Seat, frames: bytes, offset: int) -> tuple[Order, int] | None:
    """(order, settings version) of a PLACE_ORDER of the seat's market and account; None if it is malformed."""
    if not is_order_of(frames, offset, seat.market.market_id, seat.account.account_id):
        return None
    (
        parts, flags, _, _, price_ticks, quantity_lots, budget_units, display_lots,
        stop_price_ticks, expires_ms, settings_version, trailing_bips, side, kind, time_in_force, stp_mode, client_id,
    ) = _unpack(frames, offset)  # fmt: skip
    rules = KINDS.get(kind)
    strategy = NO_STRATEGY if parts == 1 else read_strategy(frames, offset, parts)
    if rules is None or side > SELL or stp_mode not in MODES or strategy is None or flags or not is_text(client_id):
        return None
    terms = None
    if display_lots | expires_ms | stop_price_ticks | trailing_bips:
        terms = Terms(display_lots, expires_ms, stop_price_ticks, trailing_bips)
    if parts != 1:
        terms = terms or Terms()
        terms.strategy = strategy
    order = Order(seat, side, kind, time_in_force, stp_mode, price_ticks, quantity_lots, budget_units, client_id, terms)
    return (order, settings_version) if rules.is_well_formed(order) else None


def legs_fault(kind: int, orders: list[Order]) -> Reason | None:
    """Whether these orders make such a list."""
    if kind == _OCO:
        return _pair_fault(*orders)
    working, *pending = orders
    if working.kind not in _WORKING or any(order.budget_units for order in pending):
        return Reason.LIST_LEGS
    return _pair_fault(*pending) if len(pending) == 2 else None


def _pair_fault(above: Order, below: Order) -> Reason | None:
    kinds = (_TARGETS, _STOPS) if above.side == SELL else (_STOPS, _TARGETS)
    if (above.side, above.quantity_lots) != (below.side, below.quantity_lots):
        return Reason.LIST_LEGS
    if above.kind not in kinds[0] or below.kind not in kinds[1]:
        return Reason.LIST_LEGS
    prices = _mark(above), _mark(below)
    return Reason.LIST_LEGS if all(prices) and prices[0] <= prices[1] else None


def _mark(order: Order) -> int:
    """The price at which a leg of an OCO comes into play, 0 for one that trails from now on."""
    if order.kind == OrderKind.LIMIT_MAKER:
        return order.price_ticks
    return order.terms.stop_price_ticks if order.terms is not None else 0


def client_ids_of(orders: list[Order]) -> list[bytes]:
    return [order.client_id for order in orders if order.client_id != NO_CLIENT_ID]
