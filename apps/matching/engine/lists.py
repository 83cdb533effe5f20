"""PLACE_LIST: OCO, OTO and OTOCO, accepted whole or not at all (T4, matching-rules.md 5).

Order of work, as for one order: format and settings versions -> the list's client id -> the orders' client ids ->
market state (OPEN only) -> filters and bands -> limits of the account -> funds -> would match, would trigger -> in. A
pending order is checked by its filters now, and by everything when its turn comes (pending.py).
"""

from collections.abc import Sequence
from struct import Struct
from typing import Final
from zlib import crc32

from apps.matching.engine.accounts import Seat
from apps.matching.engine.book import Order
from apps.matching.engine.client_ids import NO_CLIENT_ID, RECORD, fingerprint_of, key_of, list_key_of
from apps.matching.engine.filters import list_limits_fault
from apps.matching.engine.framing import fields_of, is_text
from apps.matching.engine.funds import hold, hold_for, pays_with, release, release_for
from apps.matching.engine.list_entry import at_once_fault, enter
from apps.matching.engine.list_legs import LEGS, client_ids_of, legs_fault, read_leg
from apps.matching.engine.open_orders import start_terms, wait_order
from apps.matching.engine.order_kinds import KINDS
from apps.matching.engine.order_list import OrderList, shared_units
from apps.matching.engine.state import State
from apps.matching.engine.states import PASSES
from apps.matching.engine.stop_order import set_hold
from apps.matching.engine.strategy import order_offsets
from apps.matching.engine.terms import PENDING, Terms
from apps.matching.engine.triggered import run_triggered
from apps.streams.kinds import CONDITIONAL_KINDS, CommandKind, ListKind, ListStatus, MarketState, Reason

_unpack = fields_of(CommandKind.PLACE_LIST).unpack_from
_pack_fingerprint = Struct("<I").pack
_OCO: Final = int(ListKind.OCO)
_MALFORMED: Final = Reason.MALFORMED

# (leg, reason): the leg that is at fault, counted from 1, or 0 where it is the list.
Fault = tuple[int, Reason]


def place_list(state: State, frames: bytes, offset: int) -> None:
    parts, flags, market_id, account_id, kind, client_id = _unpack(frames, offset)
    market, account = state.markets.get(market_id), state.accounts.get(account_id)
    fault: Fault | None
    if not is_text(client_id):
        client_id, fault = NO_CLIENT_ID, (0, _MALFORMED)
    elif flags or kind not in LEGS or (places := order_offsets(frames, offset, parts, LEGS[kind])) is None:
        fault = (0, _MALFORMED)
    elif market is None:
        fault = (0, Reason.UNKNOWN_MARKET)
    elif account is None:
        fault = (0, Reason.UNKNOWN_ACCOUNT)
    else:
        seat = market.seats.get(account_id) or account.take_seat(market)
        fault = _place(state, seat, kind, client_id, frames, places)
    if fault is not None:
        leg, reason = fault
        state.journal.list_rejected(market_id, account_id, kind, leg, client_id, reason)


def _place(
    state: State, seat: Seat, kind: int, client_id: bytes, frames: bytes, places: Sequence[int]
) -> Fault | None:  # fmt: skip
    """`places` are where the orders start."""
    orders: list[Order] = []
    for leg, place in enumerate(places, 1):
        found = read_leg(seat, frames, place)
        if found is None:
            return leg, _MALFORMED
        order, settings_version = found
        if settings_version < seat.market.settings_version:
            return leg, Reason.STALE_SETTINGS
        orders.append(order)
    reason = legs_fault(kind, orders)
    if reason is not None:
        return 0, reason
    fingerprint = crc32(bytes([kind]))
    for order in orders:
        order.fingerprint = fingerprint_of(order)
        fingerprint = crc32(_pack_fingerprint(order.fingerprint), fingerprint)
    id_key = b"" if client_id == NO_CLIENT_ID else list_key_of(seat.account.account_id, client_id)
    order_list = OrderList(seat, kind, client_id, id_key, fingerprint)
    if id_key:
        reason = _answer_repeat(state, order_list)
        if reason is not None:
            return (0, reason) if reason else None
    return _legs_fault(state, order_list, orders) or _accept(state, order_list, orders)


def _answer_repeat(state: State, order_list: OrderList) -> Reason | None:
    """None for a new list; NONE where it was answered with the first one."""
    owner = state.client_ids.owners.get(order_list.id_key)
    if owner is None:
        return None
    if isinstance(owner, bytes):
        _, fingerprint, list_id = RECORD.unpack(owner)
        if fingerprint != order_list.fingerprint:
            return None
    else:
        assert isinstance(owner, OrderList)
        fingerprint, list_id = owner.fingerprint, owner.list_id
        if fingerprint != order_list.fingerprint:
            return Reason.DUPLICATE_CLIENT_ID
    state.journal.list_duplicate(order_list, list_id)
    return Reason.NONE


def _legs_fault(state: State, order_list: OrderList, orders: list[Order]) -> Fault | None:
    """Client ids, market state, filters and bands, limits of the account."""
    seat, market = order_list.seat, order_list.seat.market
    if len(set(client_ids_of(orders))) != len(client_ids_of(orders)):
        return 0, Reason.DUPLICATE_CLIENT_ID
    for leg, order in enumerate(orders, 1):
        if order.client_id == NO_CLIENT_ID:
            continue
        order.id_key = key_of(seat.account.account_id, order.client_id)
        owner = state.client_ids.owners.get(order.id_key)
        if owner is not None and (not isinstance(owner, bytes) or RECORD.unpack(owner)[1] == order.fingerprint):
            return leg, Reason.DUPLICATE_CLIENT_ID
    if market.state != MarketState.OPEN:
        return 0, PASSES[MarketState(market.state)].refusal
    for leg, order in enumerate(orders, 1):
        reason = KINDS[order.kind].fault(state, order)
        is_pending = order_list.kind != _OCO and leg > 1
        if reason is not None and not (is_pending and reason is Reason.PERCENT_PRICE):
            return leg, reason
    reason = list_limits_fault(seat, orders)
    return None if reason is None else (0, reason)


def _accept(state: State, order_list: OrderList, orders: list[Order]) -> Fault | None:
    """Funds, would match and would trigger; then the list is in."""
    entering = orders if order_list.kind == _OCO else orders[:1]
    for order in entering:
        set_hold(order)
    if len(entering) == 1:
        if not hold_for(orders[0]):
            return 1, Reason.INSUFFICIENT_BALANCE
    else:
        pays, units = pays_with(orders[0]), shared_units(*entering)
        if pays.available_units < units:
            return 0, Reason.INSUFFICIENT_BALANCE
        hold(pays, units)
    for leg, order in enumerate(entering, 1):
        reason = at_once_fault(state, order)
        if reason is not None:
            if len(entering) == 1:
                release_for(order)
            else:
                release(pays_with(order), shared_units(*entering))
            return leg, reason
    _number(state, order_list, orders)
    for order in orders:
        assert order.terms is not None
        if order not in entering:
            state.journal.waits(order, is_pending=True)
            order.terms.waiting = PENDING
            wait_order(state, order)
        elif order.kind in CONDITIONAL_KINDS:
            state.journal.waits(order)
            wait_order(state, order)
        else:
            state.journal.accepted(order, 0)
        order.terms.accepted_seq = state.journal.seq
    for order in orders:
        assert order.terms is not None
        if order.terms.waiting == PENDING:
            start_terms(state, order, order.terms)
    enter(state, entering)
    if order_list.seat.market.triggered:
        run_triggered(state, order_list.seat.market)
    return None


def _number(state: State, order_list: OrderList, orders: list[Order]) -> None:
    """The orders get their ids, and the list stands at its seat."""
    for order in orders:
        state.last_order_id += 1
        order.order_id = state.last_order_id
        order.terms = order.terms or Terms()
        order.terms.order_list = order_list
        order_list.legs[order.order_id] = order
    order_list.order_ids = tuple(order_list.legs)
    order_list.seat.order_lists += 1
    if order_list.id_key:
        state.client_ids.owners[order_list.id_key] = order_list
    state.journal.list_changed(order_list, ListStatus.EXEC_STARTED)
