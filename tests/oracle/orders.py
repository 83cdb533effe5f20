"""New orders, cancels, amendments, cancel-replace and what runs by time."""

from typing import Any

from apps.streams.commands import (
    AmendOrder,
    CancelAll,
    CancelOrder,
    PlaceBlock,
    PlaceOrder,
    ReplaceOrder,
    SetCancelTimer,
    Strategy,
)
from apps.streams.events import (
    AllCanceled,
    AmendRejected,
    CancelRejected,
    CancelTimerSet,
    OrderAccepted,
    OrderAmended,
    OrderDuplicate,
    OrderRejected,
    OrderRested,
)
from apps.streams.kinds import (
    AcceptedFlag,
    CancelFlag,
    MarketState,
    OrderKind,
    OrderStatus,
    Reason,
    ReplaceMode,
    Side,
    TimeInForce,
    TimerFlag,
    Waiting,
)
from tests.oracle import auction, blocks, checks, parking, shares, stops, turns
from tests.oracle.ending import close, close_all, has_expired, in_reach, would_match
from tests.oracle.matching import Rehearsal, rehearse, sweep
from tests.oracle.world import Order, World

DAY_MS = 86_400_000
TIMERS_A_COMMAND = 1_000


Block = tuple[PlaceBlock, list[int]]  # head of a block order and the lots requested


def place_order(world: World, command: PlaceOrder, *, readable: bool) -> None:
    order = first_checks(world, command, readable=readable)
    if order is not None:
        last_checks_and_sweep(world, command, order)


# A new order behind a head, and whether all of it can be read; None where the frames hold something else.
Behind = list[tuple[PlaceOrder, bool]] | None


def place_block(world: World, head: PlaceBlock, behind: Behind, lots: list[int] | None) -> None:
    """`lots` are those requested, None where the run has other frames."""
    command, readable = behind[0] if behind else (None, False)
    same = command is not None and (command.market_id, command.account_id) == (head.market_id, head.account_id)
    if command is None or not same or lots is None:
        unread = PlaceOrder(market_id=head.market_id, account_id=head.account_id, side=0, order_kind=0)
        reject(world, unread, Reason.MALFORMED)
        return
    order = first_checks(world, command, readable=readable, block=(head, lots))
    if order is not None:
        last_checks_and_sweep(world, command, order, block=(head, lots))


def first_checks(world: World, command: PlaceOrder, *, readable: bool, block: Block | None = None) -> Order | None:
    """Format, client order id, market state, filters, price band; the order where it may go on."""
    reason = checks.format_of(world, command, readable=readable, is_block=block is not None)
    if reason:
        reject(world, command, reason)
        return None
    known = world.ids.get((command.account_id, command.client_id))
    if known is not None and known.fingerprint == fingerprint(command, block):
        world.emit(
            OrderDuplicate,
            market_id=command.market_id,
            account_id=command.account_id,
            order_id=known.order_id,
            client_id=command.client_id,
        )
        return None
    if known is not None and known.open:
        reject(world, command, Reason.DUPLICATE_CLIENT_ID)
        return None
    order = as_order(world, command)
    if order.is_conditional:
        stops.set_up(order)
    reason = checks.state_of(world, order) or checks.filters_of(world, order) or checks.band_of(order)
    if reason == Reason.PERCENT_PRICE and parking.parks(order):
        order.waiting, reason = Waiting.PARKED, Reason.NONE
    if not reason and block is not None:
        reason = blocks.shares_of(world, order, *block)
    if reason:
        reject(world, command, reason)
        return None
    return order


def last_checks_and_sweep(world: World, command: PlaceOrder, order: Order, block: Block | None = None) -> None:
    """Limits of the account, funds, would match; then the sweep and what becomes of the rest."""
    rehearsal: Rehearsal | None = None
    if order.kind == OrderKind.MARKET:
        rehearsal = rehearse(world, order)
    if order.budget and order.side == Side.SELL:
        assert rehearsal is not None
        order.sell_lots = rehearsal.lots
    reason = checks.limits_of(order) or checks.funds_of(world, order, rehearsal)
    if not reason and order.kind == OrderKind.LIMIT_MAKER and would_match(world, order):
        reason = Reason.WOULD_MATCH
    if not reason and order.is_conditional and stops.would_trigger(order):
        reason = Reason.WOULD_TRIGGER
    if reason:
        reject(world, command, reason)
        return

    accept(world, order, fingerprint(command, block))
    if order.waiting == Waiting.PARKED:
        parking.park(world, order)
    elif not order.resting and not order.waiting:
        run(world, order)


def run(world: World, order: Order) -> None:
    """The sweep, and what becomes of the rest. In a call phase nothing is swept."""
    if order.market.state == MarketState.AUCTION:
        other = auction.facing_own_family(world, order)
        if other is None:
            rest(world, order)
        else:
            auction.expire_at_entry(world, order, other)
        return
    if order.time_in_force == TimeInForce.FOK and rehearse(world, order).lots < order.quantity:
        close(world, order, OrderStatus.EXPIRED, Reason.NO_LIQUIDITY)
        return
    sweep(world, order)
    if order.order_id not in world.orders:
        return
    if order.time_in_force in (TimeInForce.GTC, TimeInForce.GTD):
        rest(world, order)
    else:
        close(world, order, OrderStatus.EXPIRED, Reason.NO_LIQUIDITY)


def reject(world: World, command: PlaceOrder, reason: Reason) -> None:
    world.emit(
        OrderRejected,
        reason=reason,
        market_id=command.market_id,
        account_id=command.account_id,
        side=command.side,
        order_kind=command.order_kind,
        client_id=command.client_id,
    )


def fingerprint(command: PlaceOrder, block: Block | None) -> tuple[Any, ...]:
    """All parameters but settings version and time."""
    c = command
    return (
        c.market_id, c.price_ticks, c.quantity_lots, c.budget_units, c.display_lots, c.stop_price_ticks, c.expires_ms,
        c.trailing_bips, c.side, c.order_kind, c.time_in_force, c.stp_mode,
        (block[0].rule_id, *block[1]) if block else None,
    )  # fmt: skip


def as_order(world: World, command: PlaceOrder) -> Order:
    return Order(
        order_id=0,
        account=world.accounts[command.account_id],
        market=world.markets[command.market_id],
        side=command.side,
        kind=command.order_kind,
        time_in_force=command.time_in_force,
        stp_mode=command.stp_mode,
        price=command.price_ticks,
        quantity=command.quantity_lots,
        budget=command.budget_units,
        budget_left=command.budget_units,
        display=command.display_lots,
        expires_ms=command.expires_ms,
        client_id=command.client_id,
        strategy=command.strategy,
        stop=command.stop_price_ticks,
        trailing=command.trailing_bips,
    )


def stand_in_book(world: World, order: Order) -> None:
    order.tip = min(order.display, order.left) if order.display else order.left
    order.priority = world.seq + 1
    order.resting = True


def open_order(world: World, order: Order) -> None:
    """It has an id, and what it needs counts as held from now on."""
    world.last_order_id += 1
    order.order_id = world.last_order_id
    world.orders[order.order_id] = order
    order.account.orders.append(order)
    if order.shares:
        world.blocks.append(order)


def accept(world: World, order: Order, remembered: tuple[Any, ...]) -> None:
    """The order has an id and holds its money; it stands in the book at once where nothing is in its reach."""
    if order.list is None:
        open_order(world, order)
    order.accepted_seq = world.seq + 1
    opposite = Side.SELL if order.side == Side.BUY else Side.BUY
    can_rest = order.time_in_force in (TimeInForce.GTC, TimeInForce.GTD) and not order.waiting
    rests = (
        can_rest
        and order.list is None
        and not any(in_reach(order, maker.price) for maker in world.book(order.market, opposite))
    )
    world.remember(order, remembered)
    if rests:
        stand_in_book(world, order)
    available, held = world.balance(order.account, order.pays_with)
    label = order.strategy or Strategy(given=0)
    world.emit(
        OrderAccepted,
        flags=(AcceptedFlag.RESTED if rests else accepted_as(order)) + label.given,
        market_id=order.market.market_id,
        account_id=order.account.account_id,
        order_id=order.order_id,
        price_ticks=order.price,
        quantity_lots=order.quantity,
        budget_units=order.budget,
        display_lots=order.display,
        stop_price_ticks=order.stop,
        expires_ms=order.expires_ms,
        available_units=available,
        held_units=held,
        level_lots=world.level(order.market, order.side, order.price) if rests else 0,
        trailing_bips=order.trailing,
        side=order.side,
        order_kind=order.kind,
        time_in_force=order.time_in_force,
        stp_mode=order.stp_mode,
        client_id=order.client_id,
        strategy_id=label.strategy_id,
        strategy_type=label.strategy_type,
    )
    shares.tell_held(world, order)


def accepted_as(order: Order) -> int:
    if order.waiting == Waiting.PENDING:
        return AcceptedFlag.PENDING
    return AcceptedFlag.WAITING if order.is_conditional else 0


def rest(world: World, order: Order) -> None:
    stand_in_book(world, order)
    world.emit(
        OrderRested,
        market_id=order.market.market_id,
        account_id=order.account.account_id,
        order_id=order.order_id,
        price_ticks=order.price,
        left_lots=order.left,
        level_lots=world.level(order.market, order.side, order.price),
        side=order.side,
    )


# Cancels

# By the flags of the cancel; it has one at most.
REQUIRED_STATUS = {
    0: None, CancelFlag.ONLY_NEW: OrderStatus.NEW, CancelFlag.ONLY_PARTIALLY_FILLED: OrderStatus.PARTIALLY_FILLED,
}  # fmt: skip


def status_of(order: Order) -> OrderStatus:
    """What the API says of an open order."""
    if order.waiting in (Waiting.PARKED, Waiting.PENDING):
        return OrderStatus.PENDING_NEW
    return OrderStatus.PARTIALLY_FILLED if order.filled else OrderStatus.NEW


def names_an_order(command: CancelOrder | AmendOrder | ReplaceOrder) -> bool:
    return command.order_id > 0 or command.client_id != ""


def find(world: World, command: CancelOrder | AmendOrder | ReplaceOrder) -> Order | None:
    """The account's open order by id, by client id or by both, which must name the same one; a market must fit."""
    account = world.accounts.get(command.account_id)
    if account is None:
        return None
    for order in account.orders:
        if (
            command.order_id in (0, order.order_id)
            and command.client_id in ("", order.client_id)
            and command.market_id in (0, order.market.market_id)
        ):
            return order
    return None


def reject_cancel(
    world: World, command: CancelOrder | ReplaceOrder | CancelAll | SetCancelTimer, reason: Reason
) -> None:
    world.emit(
        CancelRejected,
        reason=reason,
        market_id=command.market_id,
        account_id=command.account_id,
        order_id=getattr(command, "order_id", 0),
        client_id=getattr(command, "client_id", ""),
        cancel_client_id=getattr(command, "cancel_client_id", ""),
    )


def cancel_order(world: World, command: CancelOrder | ReplaceOrder, *, readable: bool) -> bool:
    """Whether an order was cancelled."""
    if not readable or not names_an_order(command) or command.flags not in REQUIRED_STATUS:
        reject_cancel(world, command, Reason.MALFORMED)
        return False
    order = find(world, command)
    if order is None:
        reject_cancel(world, command, Reason.UNKNOWN_ORDER)
        return False
    if order.shares and isinstance(command, ReplaceOrder):
        reject_cancel(world, command, Reason.BLOCK_UNCHANGEABLE)
        return False
    if REQUIRED_STATUS[command.flags] not in (None, status_of(order)):
        reject_cancel(world, command, Reason.CANCEL_RESTRICTED)
        return False
    by_user = Reason.CANCELED_BY_USER
    close(world, order, OrderStatus.CANCELED, by_user, cancel_client_id=command.cancel_client_id)
    return True


def cancel_all(world: World, command: CancelAll, *, readable: bool) -> None:
    if not readable:
        reject_cancel(world, command, Reason.MALFORMED)
        return
    if command.market_id and command.market_id not in world.markets:
        reject_cancel(world, command, Reason.UNKNOWN_MARKET)
        return
    account = world.accounts.get(command.account_id)
    open_orders = account.orders if account is not None else []
    orders = [o for o in open_orders if command.market_id in (0, o.market.market_id)]
    close_all(world, orders, Reason.CANCELED_BY_USER)
    world.emit(AllCanceled, market_id=command.market_id, account_id=command.account_id, count=len(orders))


def replace_order(world: World, head: ReplaceOrder, behind: Behind, *, readable: bool) -> None:
    """The new order's account and market must be those of the head. `readable` is the head."""
    command, order_readable = behind[0] if behind else (None, False)
    if (
        not readable
        or head.flags not in REQUIRED_STATUS
        or command is None
        or not names_an_order(head)
        or head.mode not in list(ReplaceMode)
        or (command.market_id, command.account_id) != (head.market_id, head.account_id)
    ):
        reject_cancel(world, head, Reason.MALFORMED)
        return
    order = first_checks(world, command, readable=order_readable)
    if order is None:
        return
    if not cancel_order(world, head, readable=True) and head.mode == ReplaceMode.STOP_ON_FAILURE:
        return
    last_checks_and_sweep(world, command, order)


# Amend down


def amend_order(world: World, command: AmendOrder, *, readable: bool) -> None:
    readable = readable and names_an_order(command) and command.quantity_lots > 0
    order = find(world, command) if readable else None
    reason = Reason.UNKNOWN_ORDER if order is None else amendable(world, order, command.quantity_lots)
    if not readable:
        reason = Reason.MALFORMED
    if reason or order is None:
        world.emit(
            AmendRejected,
            reason=reason,
            market_id=command.market_id,
            account_id=command.account_id,
            order_id=command.order_id,
            client_id=command.client_id,
            amend_client_id=command.amend_client_id,
        )
        return
    old = order.quantity
    order.quantity = command.quantity_lots
    order.tip = min(order.tip, order.left)
    order.amends += 1
    available, held = world.balance(order.account, order.pays_with)
    world.emit(
        OrderAmended,
        market_id=order.market.market_id,
        account_id=order.account.account_id,
        order_id=order.order_id,
        price_ticks=order.price,
        old_quantity_lots=old,
        quantity_lots=order.quantity,
        left_lots=order.left,
        available_units=available,
        held_units=held,
        level_lots=world.level(order.market, order.side, order.price),
        side=order.side,
        order_kind=order.kind,
        time_in_force=order.time_in_force,
        stp_mode=order.stp_mode,
        client_id=order.client_id,
        amend_client_id=command.amend_client_id,
    )


def amendable(world: World, order: Order, quantity: int) -> Reason:
    state = order.market.state
    if state not in (MarketState.OPEN, MarketState.POST_ONLY, MarketState.AUCTION):
        return checks.REFUSING_STATES[MarketState(state)]
    if order.shares:
        return Reason.BLOCK_UNCHANGEABLE
    if order.list is not None:
        return Reason.LIST_UNCHANGEABLE
    if order.waiting:
        return Reason.NOT_AMENDABLE
    if not order.filled + order.prevented < quantity < order.quantity:
        return Reason.AMEND_QUANTITY
    settings = order.market.settings
    if 0 < settings.max_order_amends <= order.amends:
        return Reason.MAX_NUM_ORDER_AMENDS
    if quantity < settings.min_lots:
        return Reason.LOT_SIZE
    if order.market.notional(order.price, quantity) < settings.min_notional_units:
        return Reason.NOTIONAL
    return Reason.NONE


# Time


def set_cancel_timer(world: World, command: SetCancelTimer, *, readable: bool) -> None:
    if not readable or command.market_id or command.timeout_ms > DAY_MS:
        reject_cancel(world, command, Reason.MALFORMED)
        return
    if command.account_id not in world.accounts:
        reject_cancel(world, command, Reason.UNKNOWN_ACCOUNT)
        return
    world.cancel_timers.pop(command.account_id, None)
    due_ms = world.now + command.timeout_ms if command.timeout_ms else 0
    if due_ms:
        world.cancel_timers[command.account_id] = (due_ms, world.seq + 1)
    world.emit(CancelTimerSet, account_id=command.account_id, due_ms=due_ms)


def due_timers(world: World) -> list[tuple[int, int, str, int]]:
    """(due time, seq of the event that made it, of what, its number), the first one first."""
    due: list[tuple[int, int, str, int]] = []
    for order in world.orders.values():
        if order.waiting == Waiting.PARKED:
            if order.parked_until <= world.now:
                due.append((order.parked_until, order.parked_seq, "order", order.order_id))
        elif has_expired(order, world.now):
            due.append((order.expires_ms, order.accepted_seq, "order", order.order_id))
    for account_id, (due_ms, seq) in world.cancel_timers.items():
        if due_ms <= world.now:
            due.append((due_ms, seq, "account", account_id))
    for market in world.markets.values():
        if 0 < market.due_ms <= world.now:
            due.append((market.due_ms, market.due_seq, "market", market.market_id))
    return sorted(due)


def run_timers(world: World) -> None:
    """What is due, at most 1,000, the rest next time. A market's timer may make others, so all are looked at again."""
    due, done = due_timers(world), 0
    while due and done < TIMERS_A_COMMAND:
        _, _, what, number = due.pop(0)
        if what == "account":
            fire_cancel_timer(world, number)
        elif what == "market":
            auction.timer(world, world.markets[number])
            turns.run_triggered(world, run)
            due = due_timers(world)
        elif number in world.orders:
            order = world.orders[number]
            by_time = order.waiting != Waiting.PARKED or order.parked_until == order.expires_ms
            reason = Reason.EXPIRED_BY_TIME if by_time else Reason.PARK_EXPIRED
            close(world, order, OrderStatus.EXPIRED, reason)
        else:
            continue  # a timer of its account has cancelled it just now
        done += 1


def fire_cancel_timer(world: World, account_id: int) -> None:
    del world.cancel_timers[account_id]
    close_all(world, world.accounts[account_id].orders, Reason.CANCELED_BY_TIMER)
    world.emit(CancelTimerSet, flags=TimerFlag.FIRED, account_id=account_id, due_ms=0)
