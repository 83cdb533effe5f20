"""Limit orders outside the band that wait for staff (docs: Parked for review)."""

from collections.abc import Callable

from apps.streams.commands import ReviewOrder
from apps.streams.events import OrderParked, OrderReviewed
from apps.streams.kinds import OrderKind, OrderStatus, Reason, Review, TimeInForce, Waiting
from tests.oracle import checks
from tests.oracle.ending import close
from tests.oracle.refusing import refuse
from tests.oracle.world import Order, World


def parks(order: Order) -> bool:
    can_rest = order.time_in_force in (TimeInForce.GTC, TimeInForce.GTD)
    return order.market.settings.park_outside_band and order.kind == OrderKind.LIMIT and can_rest


def park(world: World, order: Order) -> None:
    """It waits for park_expiry_s, or until its own end where that is not later."""
    order.parked_until = world.now + order.market.settings.park_expiry_s * 1_000
    if order.expires_ms:
        order.parked_until = min(order.parked_until, order.expires_ms)
    order.parked_seq = world.seq + 1
    world.emit(
        OrderParked,
        market_id=order.market.market_id,
        account_id=order.account.account_id,
        order_id=order.order_id,
        price_ticks=order.price,
        reference_price_ticks=order.market.reference,
        until_ms=order.parked_until,
        side=order.side,
    )


def review_order(world: World, command: ReviewOrder, run: Callable[[World, Order], None], *, readable: bool) -> None:
    """`run` sweeps the released order and lets the rest stand."""
    order = world.orders.get(command.order_id)
    if order is not None:
        named = (order.account.account_id, order.market.market_id)
        if named != (command.account_id, command.market_id):
            order = None
    if not readable or command.decision not in list(Review):
        reason = Reason.MALFORMED
    elif command.market_id not in world.markets:
        reason = Reason.UNKNOWN_MARKET
    elif order is None:
        reason = Reason.UNKNOWN_ORDER
    elif order.waiting != Waiting.PARKED:
        reason = Reason.NOT_PARKED
    else:
        reason = checks.state_of(world, order) if command.decision == Review.RELEASE else Reason.NONE
    if reason or order is None:
        refuse(world, command, reason, object_id=command.order_id)
        return
    world.emit(
        OrderReviewed,
        market_id=command.market_id,
        account_id=command.account_id,
        relay_seq=command.relay_seq,
        source=command.source,
        order_id=command.order_id,
        decision=command.decision,
    )
    if command.decision == Review.REJECT:
        close(world, order, OrderStatus.REJECTED, Reason.REJECTED_BY_STAFF)
        return
    order.waiting = 0
    reason = checks.filters_of(world, order) or checks.limits_of(order)
    if reason:
        close(world, order, OrderStatus.EXPIRED, reason)
    else:
        run(world, order)
