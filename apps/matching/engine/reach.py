"""What an incoming order would meet: read-only runs of the sweep's rules, which change nothing (matching-rules.md 2).

FOK asks how much would print, a market buy what that costs, a sell by quote budget how much it must hold; LIMIT_MAKER
and POST_ONLY markets ask whether anything would match at all. An order that has expired by time counts as gone, and a
print that a breaker forbids ends the run.

A print may trigger one leg of an OCO, and its other leg, which rests further on, leaves the book at once. Only the
first print of a sweep can do that (FirstPrint), so the runs see exactly what the sweep will meet.
"""

from collections import deque
from collections.abc import Iterator
from typing import Final, NamedTuple

from apps.matching.engine.book import BUY, Level, Order
from apps.matching.engine.breaker import UNKNOWN, Trial
from apps.matching.engine.conditional import triggers_at
from apps.matching.engine.expiry import has_expired
from apps.matching.engine.market import Market
from apps.matching.engine.order_list import order_list_of
from apps.matching.engine.selftrade import DECREMENT, ENDS_TAKER
from apps.matching.engine.state import State

NO_LIMIT: Final = -(2**63)


class Prints(NamedTuple):
    """What a sweep would print: lots and their cost in quote units."""

    lots: int
    quote_units: int


class FirstPrint:
    """The first print of a run: what it would trigger ends the other legs, which rest, before the sweep meets them.

    No later print can. A leg that rests is a LIMIT_MAKER and beside it waits a stop-loss of the same side. That of a
    sell triggers on a fall, while the prints of a sweep that buys only rise; that of a buy the other way round. So what
    the first print leaves waiting waits until the sweep is over; a trailing stop too, which later prints can but move
    away.
    """

    __slots__ = ("price_ticks",)

    def __init__(self) -> None:
        self.price_ticks = 0  # before it, and where it would trigger nothing

    def happens(self, market: Market, price_ticks: int) -> None:
        watched = market.conditional
        if watched is not None and not watched.low < price_ticks < watched.high:
            self.price_ticks = price_ticks

    def has_ended(self, order: Order) -> bool:
        """Of an order that the run had not met before that print."""
        order_list = order_list_of(order)
        sibling = None if order_list is None else order_list.sibling_of(order)
        return sibling is not None and triggers_at(sibling, self.price_ticks)


def limit_key(order: Order) -> int:
    """Key of the worst opposite level that a limit order may trade with (book.py says what a key is)."""
    return -order.price_ticks if order.side == BUY else order.price_ticks


def meets_book(order: Order) -> bool:
    """A limit order's price meets the best opposite price, whoever stands there."""
    if order.side == BUY:
        keys = order.market.asks.keys
        return bool(keys) and keys[-1] >= -order.price_ticks
    keys = order.market.bids.keys
    return bool(keys) and keys[-1] >= order.price_ticks


def would_match(state: State, order: Order) -> bool:
    """A limit order meets an opposite order that has not expired, its own family's included."""
    if not meets_book(order):
        return False
    now_ms = state.journal.now_ms
    if state.timers.due_ms > now_ms:
        return True
    side, worst_key = order.market.opposite(order.side), limit_key(order)
    for key in reversed(side.keys):
        if key < worst_key:
            return False
        maker = side.levels[key].head
        while maker is not None:
            if not has_expired(maker, now_ms):
                return True
            maker = maker.next
    return False


def would_print(state: State, taker: Order, worst_key: int, *, budget_units: int = 0) -> Prints:
    """What the sweep would print down to `worst_key`, by the taker's lots or by `budget_units`."""
    side, now_ms = taker.market.opposite(taker.side), state.journal.now_ms
    family_id, mode, by_budget = taker.account.family_id, taker.stp_mode, budget_units > 0
    wanted, total_lots, total_units = taker.left_lots, 0, 0
    overdue = state.timers.due_ms <= now_ms
    breaker, last_ticks = taker.market.breaker, taker.market.last_price_ticks
    trial = None if breaker is None else Trial(breaker, taker.side == BUY)
    limit_key, first = UNKNOWN, FirstPrint()
    for key in reversed(side.keys):
        if key < worst_key:
            break
        level = side.levels[key]
        lot_cost = level.price_ticks * taker.market.unit_factor
        for maker, tip in tips_in_turn(level, first):
            if by_budget:
                wanted = budget_units // lot_cost
            if not wanted:
                return Prints(total_lots, total_units)
            if overdue and has_expired(maker, now_ms):
                continue
            lots = wanted if wanted < tip else tip
            if maker.account.family_id != family_id:
                if key < limit_key:
                    limit_key = NO_LIMIT
                    if trial is not None:
                        limit_key = trial.limit_key(now_ms, level.price_ticks, last_ticks, total_lots, total_units)
                    if key < limit_key:
                        return Prints(total_lots, total_units)
                    if not total_lots:
                        first.happens(taker.market, level.price_ticks)
                total_lots += lots
                total_units += lots * lot_cost
            elif mode in ENDS_TAKER:
                return Prints(total_lots, total_units)
            elif mode != DECREMENT:
                continue
            wanted -= lots
            budget_units -= lots * lot_cost
            if lots < tip:
                return Prints(total_lots, total_units)
    return Prints(total_lots, total_units)


def tips_in_turn(level: Level, first: FirstPrint) -> Iterator[tuple[Order, int]]:
    """(order, lots) of the level in the order in which takers get them; the tips that refills bring come after all.

    Without what the first print ends: it is asked when an order would be met, so that one met before is not.
    """
    refills: deque[tuple[Order, int]] = deque()
    order = level.head
    while order is not None:
        terms = order.terms
        if terms is not None:
            if first.price_ticks and first.has_ended(order):
                order = order.next
                continue
            if terms.reserve_lots:
                refills.append((order, terms.reserve_lots))
        yield order, order.left_lots
        order = order.next
    while refills:
        order, reserve = refills.popleft()
        assert order.terms is not None
        tip = min(order.terms.display_lots, reserve)
        if reserve > tip:
            refills.append((order, reserve - tip))
        yield order, tip
