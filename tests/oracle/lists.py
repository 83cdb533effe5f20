"""Placing order lists, and the turn of their pending orders (docs: Order lists)."""

from collections.abc import Callable
from typing import Any

from apps.streams.commands import PlaceList, PlaceOrder
from apps.streams.events import ListDuplicate, ListRejected, PendingEntered
from apps.streams.kinds import (
    CONDITIONAL_KINDS,
    EnteredFlag,
    ListKind,
    ListStatus,
    MarketState,
    OrderKind,
    OrderStatus,
    Reason,
    Side,
    Waiting,
)
from tests.oracle import checks, orders, stops
from tests.oracle.ending import close, has_expired, tell_list, would_match
from tests.oracle.matching import rehearse
from tests.oracle.world import Order, OrderList, RememberedId, World

STOPS = (OrderKind.STOP_LOSS, OrderKind.STOP_LOSS_LIMIT)
TARGETS = (OrderKind.LIMIT_MAKER, OrderKind.TAKE_PROFIT, OrderKind.TAKE_PROFIT_LIMIT)
LEGS = {ListKind.OCO: 2, ListKind.OTO: 2, ListKind.OTOCO: 3}
Step = Callable[[int], Reason]


def makes_a_list(kind: int, legs: list[PlaceOrder]) -> bool:
    if kind == ListKind.OCO:
        return is_oco(legs)
    working, *pending = legs
    if working.order_kind not in (OrderKind.LIMIT, OrderKind.LIMIT_MAKER):
        return False
    return is_oco(pending) if kind == ListKind.OTOCO else not pending[0].budget_units


def is_oco(legs: list[PlaceOrder]) -> bool:
    """One side, one quantity, a target and a stop, and the one above has the higher price."""
    above, below = legs
    if above.side != below.side or above.quantity_lots != below.quantity_lots:
        return False
    target, stop = (above, below) if above.side == Side.SELL else (below, above)
    if target.order_kind not in TARGETS or stop.order_kind not in STOPS:
        return False
    from_now_on = any(leg.trailing_bips and not leg.stop_price_ticks for leg in legs)
    return from_now_on or leg_price(above) > leg_price(below)


def leg_price(leg: PlaceOrder) -> int:
    return leg.stop_price_ticks if leg.order_kind in CONDITIONAL_KINDS else leg.price_ticks


def place_list(
    world: World, head: PlaceList, frames: list[tuple[PlaceOrder, bool]] | None, *, readable: bool
) -> None:  # fmt: skip
    """`frames` are the orders, and whether each can be read; None where they are not those that the list must have."""
    legs = [order for order, _ in frames or ()]
    same = all((o.market_id, o.account_id) == (head.market_id, head.account_id) for o in legs)
    if not readable or frames is None or not same:
        reject(world, head, Reason.MALFORMED, 0)
        return
    clean = [order_readable for _, order_readable in frames]
    count = range(len(legs))
    if head.market_id not in world.markets:
        reject(world, head, Reason.UNKNOWN_MARKET, 0)
        return
    if head.account_id not in world.accounts:
        reject(world, head, Reason.UNKNOWN_ACCOUNT, 0)
        return
    if refused(world, head, count, lambda i: checks.format_of(world, legs[i], readable=clean[i], is_block=False)):
        return
    if not makes_a_list(head.list_kind, legs):
        reject(world, head, Reason.LIST_LEGS, 0)
        return
    key, remembered = (head.account_id, head.list_client_id), list_fingerprint(head, legs)
    known = world.list_ids.get(key)
    if known is not None and known.fingerprint == remembered:
        world.emit(
            ListDuplicate,
            market_id=head.market_id,
            account_id=head.account_id,
            list_id=known.order_id,
            list_client_id=head.list_client_id,
        )
        return
    if known is not None and known.open:
        reject(world, head, Reason.DUPLICATE_CLIENT_ID, 0)
        return
    made = [orders.as_order(world, leg) for leg in legs]
    the_list = OrderList(head.list_kind, head.list_client_id, made)
    for position, order in enumerate(made):
        order.list = the_list
        if head.list_kind != ListKind.OCO and position:
            order.waiting = Waiting.PENDING
        elif order.is_conditional:
            stops.set_up(order)
    market = made[0].market
    ids = [leg.client_id for leg in legs if leg.client_id]
    if len(set(ids)) < len(ids):
        reject(world, head, Reason.DUPLICATE_CLIENT_ID, 0)
        return
    if refused(world, head, count, lambda i: client_id_reason(world, legs, i)):
        return
    if market.state != MarketState.OPEN:
        reject(world, head, state_reason(market.state), 0)
        return
    if refused(world, head, count, lambda i: filters_and_band(world, made[i])):
        return
    reason = limits(world, the_list)
    if reason:
        reject(world, head, reason, 0)
        return
    if any(short(world, order) for order in made):
        reject(world, head, Reason.INSUFFICIENT_BALANCE, 0 if head.list_kind == ListKind.OCO else 1)
        return
    if refused(world, head, count, lambda i: would_at_once(world, made[i])):
        return
    start(world, the_list, legs, remembered)


def start(world: World, the_list: OrderList, legs: list[PlaceOrder], remembered: tuple[Any, ...]) -> None:
    made = the_list.orders
    for order in made:
        orders.open_order(world, order)
    world.lists.append(the_list)
    if the_list.client_id:
        world.list_ids[made[0].account.account_id, the_list.client_id] = RememberedId(made[0].order_id, remembered)
    tell_list(world, the_list, ListStatus.EXEC_STARTED)
    for order, leg in zip(made, legs, strict=True):
        orders.accept(world, order, orders.fingerprint(leg, None))
    for order in made:
        if order.order_id in world.orders and not order.waiting:
            orders.run(world, order)


def refused(world: World, head: PlaceList, count: range, step: Step) -> bool:
    """Whether the step refuses one of the orders; the first one is named."""
    for position in count:
        reason = step(position)
        if reason:
            reject(world, head, reason, position + 1)
            return True
    return False


def reject(world: World, head: PlaceList, reason: Reason, leg: int) -> None:
    world.emit(
        ListRejected,
        reason=reason,
        market_id=head.market_id,
        account_id=head.account_id,
        list_kind=head.list_kind,
        leg=leg,
        list_client_id=head.list_client_id,
    )


def list_fingerprint(head: PlaceList, legs: list[PlaceOrder]) -> tuple[Any, ...]:
    """Its kind and the parameters of its orders, without their client ids."""
    return (head.list_kind, *(orders.fingerprint(leg, None) for leg in legs))


def client_id_reason(world: World, legs: list[PlaceOrder], position: int) -> Reason:
    """Free, or last used by an order that has ended and was another one."""
    leg = legs[position]
    if not leg.client_id:
        return Reason.NONE
    known = world.ids.get((leg.account_id, leg.client_id))
    taken = known is not None and (known.open or known.fingerprint == orders.fingerprint(leg, None))
    return Reason.DUPLICATE_CLIENT_ID if taken else Reason.NONE


def state_reason(state: int) -> Reason:
    if state == MarketState.POST_ONLY:
        return Reason.MARKET_POST_ONLY
    return checks.REFUSING_STATES[MarketState(state)]


def filters_and_band(world: World, order: Order) -> Reason:
    if order.waiting != Waiting.PENDING:
        return checks.filters_of(world, order) or checks.band_of(order)
    if not order.is_conditional:
        return checks.filters_of(world, order)
    stops.set_up(order)  # reckoned as if it began to wait now
    reason = checks.filters_of(world, order)
    order.waiting, order.best, order.hold_left = Waiting.PENDING, 0, 0
    return reason


def limits(world: World, the_list: OrderList) -> Reason:
    """Those of the account in the market, all orders of the list counted."""
    made = the_list.orders
    market, account = made[0].market, made[0].account
    both = [o for o in account.orders if o.market is market] + made
    settings = market.settings
    lists = [o for o in world.lists if o.orders[0].account is account and o.orders[0].market is market]
    if 0 < settings.max_order_lists <= len(lists):
        return Reason.MAX_NUM_ORDER_LISTS
    if 0 < settings.max_open_orders < len(both):
        return Reason.MAX_NUM_ORDERS
    if any(o.display for o in made) and 0 < settings.max_iceberg_orders < sum(o.display > 0 for o in both):
        return Reason.MAX_NUM_ICEBERG_ORDERS
    new = sum(o.is_conditional for o in made)
    waiting = sum(o.waiting == Waiting.CONDITIONAL for o in account.orders if o.market is market)
    if new and 0 < settings.max_conditional_orders < waiting + new:
        return Reason.MAX_NUM_ALGO_ORDERS
    return Reason.NONE


def short(world: World, order: Order) -> Reason:
    """Each order by itself: two of an OCO hold once, what is pending needs nothing."""
    lacking = order.need() > world.available(order.account, order.pays_with)
    return Reason.INSUFFICIENT_BALANCE if lacking else Reason.NONE


def would_at_once(world: World, order: Order) -> Reason:
    if order.waiting == Waiting.PENDING:
        return Reason.NONE
    if order.kind == OrderKind.LIMIT_MAKER and would_match(world, order):
        return Reason.WOULD_MATCH
    if order.is_conditional and stops.would_trigger(order):
        return Reason.WOULD_TRIGGER
    return Reason.NONE


# The turn of what was pending


def take_turn(world: World, order: Order) -> None:
    """Like a new order, from the filters on; the two of an OTOCO together, with the turn of the first."""
    the_list = order.list
    assert the_list is not None
    group = [o for o in the_list.orders[1:] if o.order_id in world.orders]
    for each in group:
        if each is not order and each in order.market.triggered:
            order.market.triggered.remove(each)
    for each in group:
        each.waiting = 0
        if each.is_conditional:
            stops.set_up(each)
    for step in (turn_filters, turn_limits, turn_funds, turn_at_once):
        for each in group:
            reason = step(world, each)
            if reason:
                for pending in group:
                    pending.waiting = Waiting.PENDING
                refuse_turn(world, the_list, group, reason)
                return
    for each in group:
        enter(world, each)
    for each in group:
        if each.order_id in world.orders and not each.waiting:
            orders.run(world, each)


def turn_filters(world: World, order: Order) -> Reason:
    if has_expired(order, world.now):
        return Reason.EXPIRED_BY_TIME
    return checks.filters_of(world, order) or checks.band_of(order)


def turn_limits(world: World, order: Order) -> Reason:
    if order.waiting != Waiting.CONDITIONAL:
        return Reason.NONE
    others = [o for o in order.account.orders if o.market is order.market and o is not order]
    most = order.market.settings.max_conditional_orders
    waiting = sum(o.waiting == Waiting.CONDITIONAL for o in others)
    return Reason.MAX_NUM_ALGO_ORDERS if 0 < most <= waiting else Reason.NONE


def turn_funds(world: World, order: Order) -> Reason:
    """Its need is counted as held already."""
    needed = 0
    if order.kind == OrderKind.MARKET and order.side == Side.BUY:
        needed = rehearse(world, order).quote
    short_now = world.available(order.account, order.pays_with) < needed
    return Reason.INSUFFICIENT_BALANCE if short_now else Reason.NONE


def turn_at_once(world: World, order: Order) -> Reason:
    return would_at_once(world, order)


def refuse_turn(world: World, the_list: OrderList, group: list[Order], reason: Reason) -> None:
    """All that was pending ends with the reason."""
    for order in group:
        last = order is group[-1]
        the_list.ending = not last
        close(world, order, OrderStatus.EXPIRED, reason)


def enter(world: World, order: Order) -> None:
    available, held = world.balance(order.account, order.pays_with)
    assert order.list is not None
    world.emit(
        PendingEntered,
        flags=EnteredFlag.WAITING if order.waiting else 0,
        market_id=order.market.market_id,
        account_id=order.account.account_id,
        order_id=order.order_id,
        list_id=order.list.list_id,
        price_ticks=order.price,
        available_units=available,
        held_units=held,
        side=order.side,
        order_kind=order.kind,
        client_id=order.client_id,
    )
