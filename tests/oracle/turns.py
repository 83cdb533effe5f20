"""Triggered orders take their turns (matching-rules 5)."""

from collections.abc import Callable

from apps.streams.kinds import MarketState, OrderStatus, Reason, Waiting
from tests.oracle import checks, lists
from tests.oracle.ending import close, has_expired
from tests.oracle.world import Order, World


def run_triggered(world: World, run: Callable[[World, Order], None]) -> None:
    """Empty the queues of the markets that are open, with what triggered orders trigger in turn."""
    for market in [world.markets[market_id] for market_id in sorted(world.markets)]:
        while market.state == MarketState.OPEN and market.triggered:
            order = market.triggered.pop(0)
            if order.order_id not in world.orders:
                continue
            if order.waiting == Waiting.PENDING:
                lists.take_turn(world, order)
            else:
                take_turn(world, order, run)


def take_turn(world: World, order: Order, run: Callable[[World, Order], None]) -> None:
    """The triggered order is checked as what it becomes, then trades and rests like a new one."""
    order.waiting = 0
    reason = Reason.EXPIRED_BY_TIME if has_expired(order, world.now) else Reason.NONE
    reason = reason or checks.filters_of(world, order) or checks.band_of(order)
    if reason:
        close(world, order, OrderStatus.EXPIRED, reason)
    else:
        run(world, order)
