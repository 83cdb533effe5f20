"""Conditional orders, trailing stops and the queue of what was triggered (matching-rules 5)."""

from apps.streams.events import OrderTriggered
from apps.streams.kinds import OrderKind, Side, Waiting
from tests.oracle.ending import end_other_leg
from tests.oracle.world import Market, Order, World

BP = 10_000
STOP_KINDS = (OrderKind.STOP_LOSS, OrderKind.STOP_LOSS_LIMIT)


def ceil_div(numerator: int, denominator: int) -> int:
    return -(-numerator // denominator)


def met(order: Order, last: int) -> bool:
    """The stop (or activation) price is met by the rule of the order's kind."""
    falls = (order.kind in STOP_KINDS) == (order.side == Side.SELL)
    return last <= order.stop if falls else last >= order.stop


def trails_at(order: Order, best: int) -> int:
    """Current stop of a trailing order with that best price."""
    if order.side == Side.SELL:
        return best * (BP - order.trailing) // BP
    return ceil_div(best * (BP + order.trailing), BP)


def entry_stop(order: Order) -> int:
    """Stop price by which a market form is reckoned at entry: for trailing ones that of the best it will begin with."""
    if not order.trailing:
        return order.stop
    reference = order.market.reference
    at_once = order.stop == 0 or met(order, reference)
    return trails_at(order, reference if at_once else order.stop)


def set_up(order: Order) -> None:
    """What an order that is to be triggered begins with."""
    order.waiting = Waiting.CONDITIONAL
    settings = order.market.settings
    if order.is_market and order.side == Side.BUY:
        notional = order.market.notional(entry_stop(order), order.quantity)
        order.hold_left = ceil_div(notional * (BP + settings.conditional_buffer_bp), BP)
    if order.trailing and (order.stop == 0 or met(order, order.market.reference)):
        order.best = order.market.reference


def would_trigger(order: Order) -> bool:
    return not order.trailing and met(order, order.market.reference)


def next_best(order: Order, best: int, last: int) -> int:
    """Best price of a trailing stop after a print at `last`, 0 while it is not active."""
    if best == 0:
        return last if met(order, last) else 0
    return max(best, last) if order.side == Side.SELL else min(best, last)


def fires(order: Order, best: int, last: int) -> bool:
    """Whether a print at `last` triggers it; `best` is that of a trailing one, this print included."""
    if not order.trailing:
        return met(order, last)
    stop = trails_at(order, best)
    return best > 0 and (last <= stop if order.side == Side.SELL else last >= stop)


def evaluate(world: World, market: Market) -> None:
    """After a print: what it triggers joins the queue, falls by descending stop, then rises by ascending stop."""
    last = market.reference
    falls: list[tuple[int, int, Order]] = []
    rises: list[tuple[int, int, Order]] = []
    for order in world.orders.values():
        if order.market is not market or order.waiting != Waiting.CONDITIONAL:
            continue
        if not order.trailing:
            stop, on_fall = order.stop, (order.kind in STOP_KINDS) == (order.side == Side.SELL)
        else:
            order.best = next_best(order, order.best, last)
            stop, on_fall = trails_at(order, order.best), order.side == Side.SELL
        if not fires(order, order.best, last):
            continue
        if on_fall:
            falls.append((-stop, order.accepted_seq, order))
        else:
            rises.append((stop, order.accepted_seq, order))
    for stop, _, order in sorted(falls, key=lambda f: f[:2]) + sorted(rises, key=lambda r: r[:2]):
        if order.order_id in world.orders:
            trigger(world, order, abs(stop), last)


def trigger(world: World, order: Order, stop: int, last: int) -> None:
    order.waiting = Waiting.TRIGGERED
    order.market.triggered.append(order)
    world.emit(
        OrderTriggered,
        market_id=order.market.market_id,
        account_id=order.account.account_id,
        order_id=order.order_id,
        price_ticks=order.price,
        stop_price_ticks=stop,
        last_price_ticks=last,
        side=order.side,
        order_kind=order.kind,
        client_id=order.client_id,
    )
    end_other_leg(world, order)
