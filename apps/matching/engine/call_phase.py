"""What an order does that enters a market in AUCTION: it rests, crossing or not (matching-rules.md 7).

A family never faces itself when pairing: an order whose limit meets an unexpired opposite order of its own family
expires at entry, whatever its self-trade mode, and a prevented match tells of it. Found among the family's own orders,
which are few, and not in the book.
"""

from apps.matching.engine.book import BUY, Order
from apps.matching.engine.expiry import has_expired
from apps.matching.engine.state import State


def meets_family(state: State, order: Order) -> Order | None:
    """The order of its own family that it would meet first, by price and time; None where there is none."""
    market, family_id, now_ms = order.market, order.account.family_id, state.journal.now_ms
    best: Order | None = None
    for account_id in (family_id, *state.families.get(family_id, ())):
        seat = market.seats.get(account_id)
        if seat is None or seat.account.family_id != family_id:
            continue
        for other in seat.open_orders.values():
            if (
                other.level is not None
                and other.side != order.side
                and not has_expired(other, now_ms)
                and _crosses(order, other)
                and (best is None or _place(other) < _place(best))
            ):
                best = other
    return best


def _crosses(order: Order, other: Order) -> bool:
    buy, sell = (order, other) if order.side == BUY else (other, order)
    return buy.price_ticks >= sell.price_ticks


def _place(order: Order) -> tuple[int, int]:
    """Best price first, then first come."""
    return (-order.price_ticks if order.side == BUY else order.price_ticks), order.priority
