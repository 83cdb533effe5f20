"""Self-trade prevention over an account's whole family; never off (T8, matching-rules.md 4). The taker's mode decides.

EXPIRE_TAKER: the taker's rest expires, what it filled before stands. EXPIRE_MAKER: the maker expires, the sweep goes
on. EXPIRE_BOTH: both. DECREMENT: both lose min(taker's rest, maker's tip) as if filled, without a print and without
money; whichever has nothing left ends EXPIRED_IN_MATCH.
"""

from typing import Final

from apps.matching.engine.book import BUY, Order
from apps.matching.engine.budget import Budget
from apps.matching.engine.ending import end_resting, end_sibling
from apps.matching.engine.funds import pays_with, release, release_lots
from apps.matching.engine.iceberg import refill
from apps.matching.engine.shares import block_of, take_off, tell_taken_off
from apps.matching.engine.state import State
from apps.matching.engine.terms import Terms
from apps.streams.kinds import OrderStatus, Reason, StpMode

MODES: Final = frozenset(int(mode) for mode in StpMode)
DECREMENT: Final = int(StpMode.DECREMENT)
ENDS_TAKER: Final = frozenset({int(StpMode.EXPIRE_TAKER), int(StpMode.EXPIRE_BOTH)})
_ENDS_MAKER: Final = frozenset({int(StpMode.EXPIRE_MAKER), int(StpMode.EXPIRE_BOTH)})


def prevent_match(state: State, taker: Order, maker: Order, wanted_lots: int, budget: Budget | None) -> None:
    """`taker` met an order of its own family: record it under an own id, with the lots that would have printed.

    Does to the maker what the mode says, and takes off the taker what DECREMENT takes; the caller ends the taker.
    """
    taker.market.last_prevented_id += 1
    lots = min(wanted_lots, maker.left_lots)
    if taker.stp_mode == DECREMENT:
        _decrement(state, taker, maker, lots, budget)
        return
    state.journal.prevented(taker.market.last_prevented_id, taker, maker, lots)
    if taker.stp_mode in _ENDS_MAKER:
        end_resting(state, maker, OrderStatus.EXPIRED_IN_MATCH, Reason.SELF_TRADE)


def _decrement(state: State, taker: Order, maker: Order, lots: int, budget: Budget | None) -> None:
    takers_block, makers_block = block_of(taker), block_of(maker)
    takers_portions = makers_portions = None
    if budget is not None:
        units = maker.price_ticks * lots * taker.market.unit_factor
        budget.take_off(units)
        if taker.side == BUY:  # a sell holds only the lots that will print
            release(pays_with(taker), units)
    elif takers_block is None:
        release_lots(taker, lots)
    else:
        takers_portions = take_off(taker, takers_block, lots)
    if budget is None or budget.capped:
        taker.left_lots -= lots
        _count(taker, lots)
    level = maker.level
    assert level is not None
    if makers_block is None:
        release_lots(maker, lots)
    else:
        makers_portions = take_off(maker, makers_block, lots)
    maker.left_lots -= lots
    level.lots -= lots
    terms = _count(maker, lots)
    state.journal.decremented(
        taker.market.last_prevented_id,
        taker,
        maker,
        lots,
        level_lots=level.lots,
        taker_pays=pays_with(taker),
        maker_pays=pays_with(maker),
    )
    if takers_portions is not None:
        tell_taken_off(state.journal, taker, takers_portions)
    if makers_portions is not None:
        tell_taken_off(state.journal, maker, makers_portions)
    end_sibling(state, maker)
    if maker.left_lots:
        return
    if terms.reserve_lots:
        refill(state, maker, terms)
    else:
        end_resting(state, maker, OrderStatus.EXPIRED_IN_MATCH, Reason.SELF_TRADE)


def _count(order: Order, lots: int) -> Terms:
    if order.terms is None:
        order.terms = Terms()
    order.terms.prevented_lots += lots
    return order.terms
