"""How a block order is divided, and what its sub-accounts are told (matching-rules 8)."""

from collections.abc import Callable, Sequence
from typing import Any

from apps.streams.events import Allocated
from apps.streams.kinds import AllocationStep
from tests.oracle.world import Account, Order, Share, World


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
