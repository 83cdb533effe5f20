"""Market states: which commands pass in which, as data, and the staff command that changes them (T10).

The table is that of matching-rules.md section 9. Triggered orders keep their place in every state but OPEN; closing
cancels them.
"""

from enum import Enum, auto
from typing import Final, NamedTuple

from apps.matching.engine.book import Order
from apps.matching.engine.ending import end_all
from apps.matching.engine.framing import fields_of
from apps.matching.engine.market import Market
from apps.matching.engine.moving import move_market
from apps.matching.engine.reach import would_match
from apps.matching.engine.state import State
from apps.matching.engine.triggered import run_triggered
from apps.streams.kinds import CommandKind, HaltCause, MarketState, OrderKind, OrderStatus, Reason, Source, TimeInForce

_unpack = fields_of(CommandKind.SET_MARKET_STATE).unpack_from


class Entry(Enum):
    """What a state lets in."""

    ALL = auto()
    NOTHING = auto()
    RESTING = auto()  # LIMIT, GTC and GTD: it rests, crossing or not
    NOT_MATCHING = auto()  # LIMIT_MAKER, which is refused later if it would match, and limits that would not match


class Passes(NamedTuple):
    """One row of the table. Cancels and money commands pass in every state."""

    new_order: Entry
    amend: bool
    refusal: Reason


PASSES: Final = {
    MarketState.PRE_LAUNCH: Passes(Entry.NOTHING, False, Reason.MARKET_NOT_OPEN),
    MarketState.OPEN: Passes(Entry.ALL, True, Reason.NONE),
    MarketState.POST_ONLY: Passes(Entry.NOT_MATCHING, True, Reason.MARKET_POST_ONLY),
    MarketState.HALTED: Passes(Entry.NOTHING, False, Reason.MARKET_HALTED),
    MarketState.AUCTION: Passes(Entry.RESTING, True, Reason.MARKET_AUCTION),
    MarketState.CANCEL_ONLY: Passes(Entry.NOTHING, False, Reason.MARKET_CANCEL_ONLY),
    MarketState.CLOSED: Passes(Entry.NOTHING, False, Reason.MARKET_CLOSED),
}

# Where a staff command may move a market. Nothing leads back to PRE_LAUNCH.
STAFF_MAY_SET: Final = frozenset(MarketState) - {MarketState.PRE_LAUNCH}
# States that trade or collect orders, or from which a market can come back to that. From the others only staff leads.
MAY_TRADE: Final = frozenset({MarketState.OPEN, MarketState.POST_ONLY, MarketState.HALTED, MarketState.AUCTION})
# What the worker itself asks for (apps/matching/market_stops.py), by cause.
WORKERS_STOPS: Final = {HaltCause.CLOCK: MarketState.HALTED, HaltCause.INVARIANT: MarketState.CANCEL_ONLY}
# What a command may give as the cause; the engine's own causes are not among them.
CAUSES_OF_COMMANDS: Final = frozenset({HaltCause.NONE, HaltCause.STAFF, HaltCause.INVARIANT, HaltCause.CLOCK})
_RESTING: Final = frozenset({int(TimeInForce.GTC), int(TimeInForce.GTD)})
UNCROSSED: Final = frozenset({MarketState.OPEN, MarketState.POST_ONLY})


def entry_fault(state: State, market: Market, order: Order) -> Reason | None:
    """Why the market's state refuses a new order, or None."""
    row = PASSES[MarketState(market.state)]
    if row.new_order is Entry.ALL:
        return None
    if row.new_order is Entry.NOT_MATCHING:
        if order.kind == OrderKind.LIMIT_MAKER:
            return None
        if order.kind == OrderKind.LIMIT and not would_match(state, order):
            return None
    if row.new_order is Entry.RESTING and order.kind == OrderKind.LIMIT and order.time_in_force in _RESTING:
        return None
    return row.refusal


def set_market_state(state: State, frames: bytes, offset: int) -> Reason | None:
    """Move a market. Closing it also cancels its orders, by ascending order_id, after the state event; opening it lets
    the triggered orders take their turns.

    Cause STAFF: somebody has looked, so the market's skipped commands count from nothing again. Causes CLOCK and
    INVARIANT are the worker's, which does not know the newest state of a market: it only stops what may trade.
    """
    parts, _, market_id, _, relay_seq, source, new_state, cause = _unpack(frames, offset)
    if parts != 1 or new_state not in set(MarketState) or cause not in CAUSES_OF_COMMANDS:
        return Reason.MALFORMED
    market = state.markets.get(market_id)
    if market is None:
        return Reason.UNKNOWN_MARKET
    reason = move_fault(market, new_state, cause)
    if reason is None:
        move_by_command(state, market, new_state, cause, relay_seq, source)
    return reason


def move_fault(market: Market, new_state: int, cause: int) -> Reason | None:
    """Why a command may not move the market to that state, or None."""
    if new_state not in STAFF_MAY_SET:
        return Reason.INVALID_STATE
    if cause in WORKERS_STOPS and (new_state != WORKERS_STOPS[HaltCause(cause)] or market.state not in MAY_TRADE):
        return Reason.INVALID_STATE
    if new_state == MarketState.AUCTION and not market.settings.call_s:
        return Reason.INVALID_STATE
    if new_state in UNCROSSED and market.is_crossed():
        return Reason.BOOK_CROSSED
    return None


def move_by_command(
    state: State, market: Market, new_state: int, cause: int, relay_seq: int = 0, source: int = Source.DIRECT
) -> None:
    """A move that move_fault lets pass, and what follows from it."""
    if cause == HaltCause.STAFF:
        market.skips = 0
    until_ms = 0
    if new_state == MarketState.AUCTION:
        market.extensions = 0
        until_ms = state.journal.now_ms + market.settings.call_s * 1_000
    move_market(
        state, market, new_state, cause,
        relay_seq=relay_seq, source=source, until_ms=until_ms, reopens_ms=until_ms,
    )  # fmt: skip
    if new_state == MarketState.CLOSED:
        orders = [order for order in state.open_orders() if order.market is market]
        end_all(state, orders, OrderStatus.CANCELED, Reason.CANCELED_BY_STAFF)
    if market.triggered:
        run_triggered(state, market)
