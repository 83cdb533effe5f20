"""What is in reach of an order, when it has expired, and how it ends."""

from apps.streams.events import ListChanged, OrderClosed
from apps.streams.kinds import ListKind, ListStatus, OrderStatus, Reason, Side
from tests.oracle import shares
from tests.oracle.world import Order, OrderList, World


def in_reach(order: Order, maker_price: int) -> bool:
    """Price limit of a limit order; a market order by quantity takes any price."""
    if order.is_market:
        return True
    return maker_price <= order.price if order.side == Side.BUY else maker_price >= order.price


def has_expired(order: Order, now: int) -> bool:
    return 0 < order.expires_ms <= now


def would_match(world: World, order: Order) -> bool:
    """Any order on the other side that it would meet and that has not expired, own family included."""
    opposite = Side.SELL if order.side == Side.BUY else Side.BUY
    return any(in_reach(order, m.price) and not has_expired(m, world.now) for m in world.book(order.market, opposite))


def close(world: World, order: Order, status: OrderStatus, reason: Reason, *, cancel_client_id: str = "") -> None:
    """The order ends other than by its last print."""
    was_resting = order.resting
    world.forget_order(order)
    available, held = world.balance(order.account, order.pays_with)
    world.emit(
        OrderClosed,
        flags=1 if was_resting else 0,
        reason=reason,
        market_id=order.market.market_id,
        account_id=order.account.account_id,
        order_id=order.order_id,
        price_ticks=order.price,
        quantity_lots=order.quantity,
        filled_lots=order.filled,
        filled_quote_units=order.filled_quote,
        available_units=available,
        held_units=held,
        level_lots=world.level(order.market, order.side, order.price) if was_resting else 0,
        status=status,
        side=order.side,
        order_kind=order.kind,
        time_in_force=order.time_in_force,
        client_id=order.client_id,
        cancel_client_id=cancel_client_id,
        stp_mode=order.stp_mode,
    )
    shares.tell_released(world, order)
    after_end(world, order, status, reason)


def close_all(world: World, orders: list[Order], reason: Reason) -> None:
    """Cancel by ascending order id, a list whole at its first member."""
    for order in sorted(orders, key=lambda o: o.order_id):
        if order.order_id in world.orders:
            close(world, order, OrderStatus.CANCELED, reason)


# Order lists


def tell_list(world: World, orders: OrderList, status: ListStatus) -> None:
    first = orders.orders[0]
    ids = [order.order_id for order in orders.orders] + [0]
    world.emit(
        ListChanged,
        market_id=first.market.market_id,
        account_id=first.account.account_id,
        list_id=orders.list_id,
        order_id_1=ids[0],
        order_id_2=ids[1],
        order_id_3=ids[2],
        list_kind=orders.kind,
        status=status,
        list_client_id=orders.client_id,
    )


def other_leg(order: Order) -> list[Order]:
    """The order of the same OCO, if it is in one."""
    return [] if order.list is None or order not in order.list.oco else [o for o in order.list.oco if o is not order]


def end_other_leg(world: World, order: Order) -> None:
    """An order of an OCO was filled, in part too, lost lots to a prevented match, or was triggered."""
    others = other_leg(order)
    if order.list is None or not others:
        return
    order.list.ending = True  # the one that was met goes on
    for other in others:
        if other.order_id in world.orders:
            close(world, other, OrderStatus.EXPIRED, Reason.LIST_ENDED)
    order.list.ending = False


def after_end(world: World, order: Order, status: OrderStatus, reason: Reason) -> None:
    """An order of a list has ended: what goes with it, and whether the list is done."""
    orders = order.list
    if orders is None or orders.ending:
        return
    if orders.kind != ListKind.OCO and order is orders.orders[0] and status == OrderStatus.FILLED:
        orders.filled = True
        tell_list(world, orders, ListStatus.UPDATED)
        order.market.triggered += [other for other in orders.orders[1:] if other.order_id in world.orders]
        return
    orders.ending = True
    cancelled = status == OrderStatus.CANCELED
    for other in orders.orders:
        if other.order_id in world.orders:
            if cancelled:
                close(world, other, OrderStatus.CANCELED, reason)
            else:
                close(world, other, OrderStatus.EXPIRED, Reason.LIST_ENDED)
    orders.done = True
    world.lists.remove(orders)
    tell_list(world, orders, ListStatus.ALL_DONE)
    world.forget_list(orders)
