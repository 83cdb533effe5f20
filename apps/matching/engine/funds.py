"""Holding money for orders and moving it between the two parties of a print.

Invariants, checked on each move: no balance falls below zero, and what one side gives is what the other side and the
fees get, in both assets.
"""

from collections.abc import Iterator

from apps.matching.engine.accounts import Balance, Seat
from apps.matching.engine.book import BUY, Order
from apps.matching.engine.errors import InvariantBroken
from apps.matching.engine.market import Market
from apps.matching.engine.order_list import order_list_of, shared_units
from apps.matching.engine.shares import hold_per_lot, hold_shares, release_shares


def pays_with(order: Order) -> Balance:
    """The balance that the order is paid from: quote for a buy, base for a sell."""
    return order.seat.quote if order.side == BUY else order.seat.base


def need_units(order: Order) -> int:
    """What an open order holds in all. No hold includes a fee."""
    if order.side == BUY:
        if order.terms is not None and order.terms.hold_units:
            return order.terms.hold_units
        return order.price_ticks * order.open_lots * order.market.unit_factor
    return order.open_lots * order.market.lot_size


def needs(order: Order) -> Iterator[tuple[int, int]]:
    """(account_id, units) of all that an open order holds; of a block order by share, in the order of the rule."""
    order_list = order_list_of(order)
    if order_list is not None:
        sibling = order_list.sibling_of(order)
        if sibling is None:
            units = 0 if order_list.holds_nothing(order) else need_units(order)
        else:  # once for both
            units = shared_units(order, sibling) if order.order_id < sibling.order_id else 0
        yield order.account.account_id, units
        return
    if order.terms is None or order.terms.block is None:
        yield order.account.account_id, need_units(order)
        return
    for share in order.terms.block.shares:
        yield share.seat.account.account_id, share.open_lots * hold_per_lot(order)


def hold_for(order: Order) -> bool:
    """Hold what an order by quantity needs; False, and nothing changed, where it is not available."""
    if order.terms is not None and order.terms.block is not None:
        return hold_shares(order, order.terms.block)
    if order.side == BUY:
        pays = order.seat.quote
        need = order.price_ticks * order.left_lots * order.market.unit_factor
    else:
        pays = order.seat.base
        need = order.left_lots * order.market.lot_size
    left = pays.available_units - need
    if left < 0:
        return False
    pays.available_units = left
    pays.held_units += need
    return True


def hold_waiting(order: Order) -> bool:
    """Hold what an order that waits needs; False, and nothing changed, where it is not available."""
    pays, need = pays_with(order), need_units(order)
    if pays.available_units < need:
        return False
    hold(pays, need)
    return True


def release_for(order: Order) -> None:
    """Give back what an order by quantity that ends still holds."""
    lots = order.left_lots
    if order.terms is not None:
        if order.terms.block is not None:
            release_shares(order, order.terms.block)
            return
        if order.terms.order_list is not None and order.terms.order_list.shares_hold(order):
            release(pays_with(order), order.terms.order_list.units_held_by(order))
            order.terms.hold_units = 0
            return
        lots = order.open_lots
    if order.side == BUY:
        pays = order.seat.quote
        if order.terms is not None and order.terms.hold_units:
            units, order.terms.hold_units = order.terms.hold_units, 0
        else:
            units = order.price_ticks * lots * order.market.unit_factor
    else:
        pays = order.seat.base
        units = lots * order.market.lot_size
    pays.held_units = held = pays.held_units - units
    pays.available_units += units
    if held < 0:
        raise InvariantBroken("an order released more than was held")


def release_lots(order: Order, lots: int) -> None:
    """Give back what an order, no block order, holds for `lots` of it.

    A market buy by quantity has no price and holds nothing.
    """
    if order.side == BUY:
        release(order.seat.quote, order.price_ticks * lots * order.market.unit_factor)
    else:
        release(order.seat.base, lots * order.market.lot_size)


def hold(balance: Balance, units: int) -> None:
    """available -> held; the caller has checked that it is there."""
    balance.available_units -= units
    balance.held_units += units
    if balance.available_units < 0:
        raise InvariantBroken("a hold took more than was available")


def release(balance: Balance, units: int) -> None:
    """held -> available."""
    balance.held_units -= units
    balance.available_units += units
    if balance.held_units < 0:
        raise InvariantBroken("a release gave more than was held")


def exchange(
    market: Market,
    buyer: Seat,
    seller: Seat,
    base_units: int,
    quote_units: int,
    released_units: int,
    buyer_fee: int,
    seller_fee: int,
    base_rebate: int,
    quote_rebate: int,
) -> None:
    """One print. The buyer's hold falls by `released_units`, of which it pays quote_units and keeps the rest.

    Fees >= 0 are in what the party receives. A rebate goes to the maker out of the taker's fee, so in the asset the
    taker receives: base_rebate to a selling maker, quote_rebate to a buying one.
    """
    buyer_base, buyer_quote, seller_base, seller_quote = buyer.base, buyer.quote, seller.base, seller.quote
    base_before = buyer_base.available_units + seller_base.available_units + seller_base.held_units
    quote_before = buyer_quote.available_units + buyer_quote.held_units + seller_quote.available_units
    base_income = buyer_fee - base_rebate
    quote_income = seller_fee - quote_rebate

    buyer_quote.held_units = buyer_held = buyer_quote.held_units - released_units
    buyer_quote.available_units = buyer_left = buyer_quote.available_units + released_units - quote_units + quote_rebate
    seller_base.held_units = seller_held = seller_base.held_units - base_units
    seller_base.available_units += base_rebate
    buyer_base.available_units += base_units - buyer_fee
    seller_quote.available_units += quote_units - seller_fee
    market.base_asset.fee_units += base_income
    market.quote_asset.fee_units += quote_income

    # Read again, so that two parties sharing a balance would be found out too.
    if (
        buyer_base.available_units + seller_base.available_units + seller_base.held_units + base_income != base_before
        or buyer_quote.available_units + buyer_quote.held_units + seller_quote.available_units + quote_income
        != quote_before
    ):
        raise InvariantBroken("a print made or lost money")
    # The union's sign bit is set where any of them is negative.
    if buyer_held | buyer_left | seller_held | base_income | quote_income < 0:
        raise InvariantBroken("a print left a negative balance or fee")
