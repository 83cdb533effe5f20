"""Block orders, divided among sub-accounts (matching-rules 8)."""

import struct
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from apps.streams.kinds import AllocationMethod, AllocationStep, OrderKind, Reason, Side
from apps.streams.messages import AllocationSettings, SettingsError
from apps.streams.records import FRAME_SIZE, Allocated, PlaceBlock, PlaceOrder, SetAllocation, SettingsApplied
from tests.oracle.money import refuse
from tests.oracle.world import LIMIT_KINDS, Account, Order, Share, World

# Rules


def set_allocation(world: World, command: SetAllocation, body: bytes | None) -> None:
    """A rule of its owner; one without accounts is no rule any more."""
    try:
        settings = msgspec.msgpack.decode(body or b"", type=AllocationSettings)
        settings.check()
    except (msgspec.MsgspecError, UnicodeDecodeError, SettingsError):
        refuse(world, command, Reason.INVALID_SETTINGS, object_id=command.account_id)
        return
    reason = Reason.NONE
    if settings.account_id != command.account_id:
        reason = Reason.INVALID_SETTINGS
    elif settings.account_id not in world.accounts:
        reason = Reason.UNKNOWN_ACCOUNT
    elif not in_family(world, settings):
        reason = Reason.ALLOCATION_FAMILY
    if reason:
        refuse(world, command, reason, object_id=command.account_id)
        return
    key = (settings.account_id, settings.rule_id)
    if settings.accounts:
        world.allocation_rules[key] = settings
    else:
        world.allocation_rules.pop(key, None)
    world.emit(
        SettingsApplied,
        market_id=command.market_id,
        account_id=command.account_id,
        relay_seq=command.relay_seq,
        source=command.source,
        op=command.KIND,
        object_id=settings.rule_id,
        settings_version=0,
        family_id=0,
        fee_tier=0,
    )


def in_family(world: World, rule: AllocationSettings) -> bool:
    family = world.accounts[rule.account_id].family
    accounts = [world.accounts.get(account_id) for account_id in rule.accounts]
    return all(account is not None and account.family == family for account in accounts)


# Dividing


def largest_remainder(total: int, weights: Sequence[int]) -> list[int]:
    """`total` in whole parts by weight: rounded down, what is left by the largest remainders, ties by place."""
    whole = sum(weights)
    parts = [total * weight // whole for weight in weights]
    places = sorted(range(len(weights)), key=lambda place: (-(total * weights[place] % whole), place))
    for place in places[: total - sum(parts)]:
        parts[place] += 1
    return parts


def allocate(order: Order, lots: int) -> list[int]:
    """Who gets the next `lots`: the largest of all d, d - 1, d - 2 ... above 0, one lot each (in 1/Q, exactly).

    d = final x cum / Q - allocated, cum with these lots.
    """
    quantity, cum = order.quantity, order.filled + order.prevented
    wishes: list[tuple[int, int]] = []  # (-deficit x Q, place)
    for place, share in enumerate(order.shares):
        deficit = share.final * cum - share.allocated * quantity
        while deficit > 0:
            wishes.append((-deficit, place))
            deficit -= quantity
    got = [0] * len(order.shares)
    for _, place in sorted(wishes)[:lots]:
        got[place] += 1
    assert sum(got) == lots, (got, lots)
    return got


# The order


def requested(run: bytes, head: PlaceBlock) -> list[int] | None:
    """The lots behind the two frames; None where the frames do not hold just these."""
    size = 8 * head.requested_count
    if len(run) != FRAME_SIZE * (2 - (-size // FRAME_SIZE)):
        return None
    return list(struct.unpack_from(f"<{head.requested_count}q", run, 2 * FRAME_SIZE))


def may_be_block(command: PlaceOrder) -> bool:
    """Limit, or market sell by quantity; never an iceberg."""
    if command.display_lots:
        return False
    if command.order_kind in LIMIT_KINDS:
        return True
    return command.order_kind == OrderKind.MARKET and command.side == Side.SELL and not command.budget_units


def shares_of(world: World, order: Order, head: PlaceBlock, lots: list[int]) -> Reason:
    """Give the order its shares, or say why it has none."""
    rule = world.allocation_rules.get((head.account_id, head.rule_id))
    if rule is None:
        return Reason.UNKNOWN_ALLOCATION
    if not in_family(world, rule):
        return Reason.ALLOCATION_FAMILY
    weights = {
        AllocationMethod.FIXED: rule.weights_bp,
        AllocationMethod.EQUAL: [1] * len(rule.accounts),
        AllocationMethod.PRO_RATA: lots,
    }[AllocationMethod(rule.method)]
    pro_rata = rule.method == AllocationMethod.PRO_RATA
    if len(lots) != (len(rule.accounts) if pro_rata else 0) or min(weights) < 0 or sum(weights) == 0:
        return Reason.ALLOCATION_WEIGHTS
    finals = largest_remainder(order.quantity, weights)
    order.shares = [Share(world.accounts[a], final) for a, final in zip(rule.accounts, finals, strict=True)]
    return Reason.NONE


def one_is_short(world: World, order: Order) -> bool:
    return any(order.share_need(share) > world.available(share.account, order.pays_with) for share in order.shares)


# Events


def tell(world: World, order: Order, share: Share, step: AllocationStep, lots: int, **trade: Any) -> None:
    base, quote = order.market.base, order.market.quote
    base_available, base_held = world.balance(share.account, base)
    quote_available, quote_held = world.balance(share.account, quote)
    fields = {"flags": 0, "trade_id": 0, "price_ticks": 0, "fee_units": 0} | trade
    world.emit(
        Allocated,
        market_id=order.market.market_id,
        account_id=share.account.account_id,
        order_id=order.order_id,
        owner_account_id=order.account.account_id,
        quantity_lots=lots,
        final_lots=share.final,
        allocated_lots=share.allocated,
        base_available=base_available,
        base_held=base_held,
        quote_available=quote_available,
        quote_held=quote_held,
        step=step,
        side=order.side,
        **fields,
    )


def tell_held(world: World, order: Order) -> None:
    for share in order.shares:
        if share.final:
            tell(world, order, share, AllocationStep.HELD, share.final)


def tell_released(world: World, order: Order) -> None:
    for share in order.shares:
        if share.final > share.allocated:
            tell(world, order, share, AllocationStep.RELEASED, share.final - share.allocated)


def take_off(world: World, order: Order, lots: int) -> Callable[[], None]:
    """A prevented match took lots, which count as allocated without money; the events come when asked for."""
    got = allocate(order, lots) if order.shares else []
    for share, count in zip(order.shares, got, strict=True):
        share.allocated += count

    def events() -> None:
        for share, count in zip(order.shares, got, strict=True):
            if count:
                tell(world, order, share, AllocationStep.PREVENTED, count)

    return events


def owners(order: Order, lots: int) -> list[tuple[Share | None, Account, int]]:
    """Whose lots these are: (share or None, account, lots)."""
    if not order.shares:
        return [(None, order.account, lots)]
    return [
        (share, share.account, count) for share, count in zip(order.shares, allocate(order, lots), strict=True) if count
    ]
