"""The order of work for one incoming order; the first failing step gives the reason (matching-rules.md 2).

format and settings version -> client order id -> market state -> filters -> price band -> limits per account ->
funds -> would match (LIMIT_MAKER), would trigger (conditional) -> park for review, or sweep -> rest or expire ->
triggered orders. The steps from the filters on belong to the order's kind (order_kinds.py). An order that fails at the
band alone may be parked (parking.py).
"""

from collections.abc import Callable
from typing import Final

from apps.matching.engine.accounts import Seat
from apps.matching.engine.allocation import Block
from apps.matching.engine.book import SELL, Order
from apps.matching.engine.client_ids import NO_CLIENT_ID, RECORD, fingerprint_of, key_of
from apps.matching.engine.framing import fields_of, is_text
from apps.matching.engine.market import Market
from apps.matching.engine.order_kinds import KINDS, KindRules
from apps.matching.engine.parking import mark_for_review, may_park
from apps.matching.engine.selftrade import MODES
from apps.matching.engine.shares import is_well_formed_block
from apps.matching.engine.state import State
from apps.matching.engine.states import entry_fault
from apps.matching.engine.strategy import NO_STRATEGY, read_strategy
from apps.matching.engine.terms import Terms
from apps.matching.engine.triggered import run_triggered
from apps.streams.kinds import CommandKind, MarketState, Reason

_unpack = fields_of(CommandKind.PLACE_ORDER).unpack_from
_MALFORMED: Final = Reason.MALFORMED
_PERCENT_PRICE: Final = Reason.PERCENT_PRICE
_OPEN: Final = int(MarketState.OPEN)


def place_order(
    state: State,
    frames: bytes,
    offset: int,
    proceed: Callable[[Order], Reason | None] | None = None,
    block: Block | None = None,
) -> None:
    """Between the order's own checks and what depends on the account stands `proceed`; it may refuse the order, or end
    it there without a word (NONE). `block` makes it a block order.
    """
    (
        parts, flags, market_id, account_id, price_ticks, quantity_lots, budget_units, display_lots,
        stop_price_ticks, expires_ms, settings_version, trailing_bips, side, kind, time_in_force, stp_mode, client_id,
    ) = _unpack(frames, offset)  # fmt: skip
    strategy = NO_STRATEGY if parts == 1 else read_strategy(frames, offset, parts)
    rules = KINDS.get(kind)
    market = state.markets.get(market_id)
    seat = market.seats.get(account_id) if market is not None else None
    if seat is None and market is not None:
        seat = _first_seat(state, market, account_id)
    reason: Reason | None
    if not is_text(client_id):
        client_id, reason = NO_CLIENT_ID, _MALFORMED
    elif rules is None or side > SELL or stp_mode not in MODES or strategy is None or flags:
        reason = _MALFORMED
    elif market is None:
        reason = Reason.UNKNOWN_MARKET
    elif seat is None:
        reason = Reason.UNKNOWN_ACCOUNT
    else:
        terms = None
        if display_lots | expires_ms | stop_price_ticks | trailing_bips:
            terms = Terms(display_lots, expires_ms, stop_price_ticks, trailing_bips)
        if parts != 1:
            terms = terms or Terms()
            terms.strategy = strategy
        order = Order(
            seat, side, kind, time_in_force, stp_mode, price_ticks, quantity_lots, budget_units, client_id, terms
        )
        if block is not None:
            order.terms = terms or Terms()
            order.terms.block = block
        if block is not None and not is_well_formed_block(order):
            reason = _MALFORMED
        else:
            reason = _admit(state, order, rules, settings_version)
        if reason is _PERCENT_PRICE and may_park(order):
            mark_for_review(order)
            reason = None
        if reason is None and proceed is not None:
            reason = proceed(order)
        if reason is None:
            reason = rules.place(state, order)
            if market.triggered:
                run_triggered(state, market)
    if reason:
        state.journal.rejected(market_id, account_id, side, kind, client_id, reason)


def _admit(state: State, order: Order, rules: KindRules, settings_version: int) -> Reason | None:
    """Why the order is refused, up to the price band; None when it is not, NONE when it was answered as a duplicate."""
    market = order.market
    if not rules.is_well_formed(order):
        return _MALFORMED
    if settings_version < market.settings_version:
        return Reason.STALE_SETTINGS
    if order.client_id != NO_CLIENT_ID:
        order.id_key = key_of(order.account.account_id, order.client_id)
        order.fingerprint = fingerprint_of(order)
        owner = state.client_ids.owners.get(order.id_key)
        if isinstance(owner, Order):
            if owner.fingerprint != order.fingerprint:
                return Reason.DUPLICATE_CLIENT_ID
            state.journal.duplicate(order, owner.order_id)
            return Reason.NONE
        if isinstance(owner, bytes):
            _, fingerprint, first_order_id = RECORD.unpack(owner)
            if fingerprint == order.fingerprint:
                state.journal.duplicate(order, first_order_id)
                return Reason.NONE
    if market.state != _OPEN:
        reason = entry_fault(state, market, order)
        if reason is not None:
            return reason
    return rules.fault(state, order)


def _first_seat(state: State, market: Market, account_id: int) -> Seat | None:
    """A seat for the account's first order in the market; None where there is no such account."""
    account = state.accounts.get(account_id)
    return account.take_seat(market) if account is not None else None
