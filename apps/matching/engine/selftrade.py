"""Self-trade prevention over an account's whole family; never off (T8, matching-rules.md 4).

EXPIRE_TAKER: the taker's rest expires, what it filled before stands.
"""

from apps.matching.engine.book import Order
from apps.matching.engine.state import State


def prevent_match(state: State, taker: Order, maker: Order, wanted_lots: int) -> None:
    """Record that `taker` met an order of its own family: the lots that would have printed, under an own id."""
    market = taker.market
    market.last_prevented_id += 1
    state.journal.prevented(market.last_prevented_id, taker, maker, min(wanted_lots, maker.left_lots))
