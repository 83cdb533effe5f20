"""Money of block orders: each sub-account holds its own share, pays and receives for the lots it gets, and is told.

The order itself is its owner's; the shares of `order.terms.block` are the money behind it (T12, matching-rules.md 8).
A fee or rebate is reckoned once for the fill and divided over it by largest remainder, weighted by the lots that each
account got of it.

Invariants, checked on each print as in funds.py: nothing falls below zero, what one side gives the other side and the
fees get.
"""

from typing import Final, NamedTuple

from apps.matching.engine.accounts import Balance, Seat
from apps.matching.engine.allocation import Block, Portion, Share, largest_remainder
from apps.matching.engine.book import BUY, SELL, Order
from apps.matching.engine.errors import InvariantBroken
from apps.matching.engine.journal import Journal
from apps.matching.engine.market import Market
from apps.streams.kinds import AllocationStep, OrderKind


class Payment(NamedTuple):
    """One account's part of a print: its lots, and the fee it pays or the rebate it gets, both >= 0.

    `share` is None for a party that is no block order.
    """

    seat: Seat
    share: Share | None
    lots: int
    fee_units: int
    rebate_units: int


class Print(NamedTuple):
    """What each party's accounts pay for."""

    taker: list[Payment]
    maker: list[Payment]


_LIMITS: Final = frozenset({int(OrderKind.LIMIT), int(OrderKind.LIMIT_MAKER)})


def is_well_formed_block(order: Order) -> bool:
    """Of these kinds it is known at acceptance what each lot holds: limits that hide nothing, sells by quantity."""
    if order.kind in _LIMITS:
        return order.terms is None or not order.terms.display_lots
    return order.kind == OrderKind.MARKET and order.side == SELL and not order.budget_units


def block_of(order: Order) -> Block | None:
    return None if order.terms is None else order.terms.block


def hold_per_lot(order: Order) -> int:
    """Units that the order holds for each open lot, of what it pays with."""
    market = order.market
    return order.price_ticks * market.unit_factor if order.side == BUY else market.lot_size


def paid_by(order: Order, seat: Seat) -> Balance:
    return seat.quote if order.side == BUY else seat.base


def hold_shares(order: Order, block: Block) -> bool:
    """Hold each share at its own account; False, and nothing changed, where one of them is short."""
    per_lot = hold_per_lot(order)
    for share in block.shares:
        if paid_by(order, share.seat).available_units < share.open_lots * per_lot:
            return False
    for share in block.shares:
        _move(paid_by(order, share.seat), share.open_lots * per_lot)
    return True


def release_shares(order: Order, block: Block) -> None:
    """The order ends: give back what its shares still hold."""
    per_lot = hold_per_lot(order)
    for share in block.shares:
        _move(paid_by(order, share.seat), -share.open_lots * per_lot)


def take_off(order: Order, block: Block, lots: int) -> list[Portion]:
    """Lots that a prevented match took: allocated like a fill, their hold released, without money."""
    per_lot = hold_per_lot(order)
    portions = block.allocate(lots)
    for share, part in portions:
        _move(paid_by(order, share.seat), -part * per_lot)
    return portions


def exchange_shares(
    market: Market,
    taker: Order,
    maker: Order,
    lots: int,
    lot_cost: int,
    held_per_lot: int,
    taker_fee: int,
    maker_fee: int,
    rebate: int,
) -> Print:
    """One print in which a party is a block order. Fees and rebate >= 0, as funds.exchange takes them.

    `held_per_lot` is what the buyer's hold falls by for each lot, in quote units.
    """
    parts = Print(_payments(taker, lots, taker_fee, 0), _payments(maker, lots, maker_fee, rebate))
    buyers, sellers = parts if taker.side == BUY else (parts.maker, parts.taker)
    seats = [each.seat for each in buyers + sellers]
    base_before, quote_before = _totals(seats)
    base_income = quote_income = 0
    for seat, _, part, fee, paid_rebate in buyers:
        seat.quote.held_units -= part * held_per_lot
        seat.quote.available_units += part * (held_per_lot - lot_cost) + paid_rebate
        seat.base.available_units += part * market.lot_size - fee
        base_income += fee
        quote_income -= paid_rebate
    for seat, _, part, fee, paid_rebate in sellers:
        seat.base.held_units -= part * market.lot_size
        seat.base.available_units += paid_rebate
        seat.quote.available_units += part * lot_cost - fee
        quote_income += fee
        base_income -= paid_rebate
    market.base_asset.fee_units += base_income
    market.quote_asset.fee_units += quote_income
    if _totals(seats) != (base_before - base_income, quote_before - quote_income):
        raise InvariantBroken("a print of a block order made or lost money")
    if min(base_income, quote_income) < 0 or any(_is_negative(seat.base) or _is_negative(seat.quote) for seat in seats):
        raise InvariantBroken("a print of a block order left a negative balance or fee")
    return parts


def _payments(order: Order, lots: int, fee: int, rebate: int) -> list[Payment]:
    """What each account behind the order pays for; the order's own one where it is no block order."""
    block = block_of(order)
    if block is None:
        return [Payment(order.seat, None, lots, fee, rebate)]
    portions = block.allocate(lots)
    weights = [portion.lots for portion in portions]
    fees, rebates = largest_remainder(fee, weights), largest_remainder(rebate, weights)
    return [
        Payment(share.seat, share, part, fees[position], rebates[position])
        for position, (share, part) in enumerate(portions)
    ]


def _totals(seats: list[Seat]) -> tuple[int, int]:
    """(base, quote) units of all of them."""
    return (
        sum(seat.base.available_units + seat.base.held_units for seat in seats),
        sum(seat.quote.available_units + seat.quote.held_units for seat in seats),
    )


def _is_negative(balance: Balance) -> bool:
    return balance.available_units < 0 or balance.held_units < 0


def _move(balance: Balance, units: int) -> None:
    """available -> held; back where negative."""
    balance.available_units -= units
    balance.held_units += units
    if balance.available_units < 0 or balance.held_units < 0:
        raise InvariantBroken("a share of a block order is held by nothing")


# -- what the sub-accounts are told -----------------------------------------------------------------------------------
def tell_print(journal: Journal, taker: Order, maker: Order, parts: Print, trade_id: int, price_ticks: int) -> None:
    """Behind the TRADE event: the taker's sub-accounts, then the maker's."""
    for order, payments in ((taker, parts.taker), (maker, parts.maker)):
        for _, share, lots, fee, rebate in payments:
            if share is not None:
                journal.allocated(
                    order, share, AllocationStep.FILLED, lots,
                    trade_id=trade_id, price_ticks=price_ticks, fee_units=fee - rebate, is_taker=order is taker,
                )  # fmt: skip


def tell_taken_off(journal: Journal, order: Order, portions: list[Portion]) -> None:
    """Behind the PREVENTED_MATCH event."""
    for share, lots in portions:
        journal.allocated(order, share, AllocationStep.PREVENTED, lots)


def tell_held(journal: Journal, order: Order) -> None:
    """Behind the ORDER_ACCEPTED event of a block order; nothing for any other."""
    block = block_of(order)
    if block is not None:
        for share in block.shares:
            journal.allocated(order, share, AllocationStep.HELD, share.final_lots)
