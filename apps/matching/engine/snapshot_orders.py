"""Rows of a snapshot about open orders: each by itself, then what only some have, then those that wait."""

from collections.abc import Iterator
from typing import Any

from apps.matching.engine.allocation_tables import restored_blocks
from apps.matching.engine.book import Order
from apps.matching.engine.client_ids import NO_CLIENT_ID
from apps.matching.engine.open_orders import await_trigger, join_triggered, rest_order, start_terms, wait_order
from apps.matching.engine.snapshot_tables import TABLES, Row, Rows
from apps.matching.engine.state import State
from apps.matching.engine.terms import CONDITIONAL, PENDING, TRIGGERED, Terms
from apps.streams.kinds import Waiting


def order_rows(state: State) -> dict[str, Iterator[Row]]:
    """By table."""
    return {"orders": (_order_row(order) for order in state.open_orders()), **_terms_rows(state)}


def restore_orders(state: State, tables: Rows) -> None:
    """Their markets and accounts are there already."""
    # Levels are FIFO by priority, so orders enter the book in that order.
    priority = [name for name, _ in TABLES[8].columns].index("priority")
    parked = {order_id for order_id, *_ in tables["parked"]}
    waiting = {order_id: row for order_id, *row in tables["waiting"]}
    for row in sorted(tables["orders"], key=lambda row: row[priority]):
        order = _restore_order(state, row)
        if order.order_id in parked or order.order_id in waiting:
            wait_order(state, order)
        else:
            rest_order(state, order)
    _restore_terms(state, tables)
    _restore_waiting(state, waiting)


def _order_row(order: Order) -> Row:
    return (
        order.order_id,
        order.account.account_id,
        order.market.market_id,
        order.side,
        order.kind,
        order.time_in_force,
        order.stp_mode,
        order.price_ticks,
        order.quantity_lots,
        order.left_lots,
        order.filled_lots,
        order.filled_quote_units,
        order.priority,
        order.client_id,
        order.id_key,
        order.fingerprint,
    )


def _restore_order(state: State, row: Row) -> Order:
    """The order by itself, in no book and no index yet."""
    (
        order_id, account_id, market_id, side, kind, time_in_force, stp_mode, price_ticks, quantity_lots, left_lots,
        filled_lots, filled_quote_units, priority, client_id, id_key, fingerprint,
    ) = row  # fmt: skip
    market = state.markets[market_id]
    seat = market.seats.get(account_id) or state.accounts[account_id].take_seat(market)
    order = Order(
        seat, side, kind, time_in_force, stp_mode, price_ticks,
        quantity_lots, 0, client_id,
    )  # fmt: skip
    order.order_id = order_id
    order.left_lots = left_lots
    order.filled_lots = filled_lots
    order.filled_quote_units = filled_quote_units
    order.priority = priority
    order.id_key = id_key if client_id != NO_CLIENT_ID else b""
    order.fingerprint = fingerprint
    return order


def _terms_rows(state: State) -> dict[str, Iterator[Row]]:
    """Of open orders with terms, by table."""
    found = [(order.order_id, order.terms) for order in state.open_orders() if order.terms is not None]
    return {
        "expiries": ((order_id, each.expires_ms, each.accepted_seq) for order_id, each in found if each.expires_ms),
        "icebergs": ((order_id, each.display_lots, each.reserve_lots) for order_id, each in found if each.display_lots),
        "prevented": ((order_id, each.prevented_lots) for order_id, each in found if each.prevented_lots),
        "amended": ((order_id, each.placed_lots) for order_id, each in found if each.placed_lots),
        "amends": ((order_id, each.amends) for order_id, each in found if each.amends),
        "parked": (
            (order_id, each.park_due_ms, each.parked_seq) for order_id, each in found if each.waiting == Waiting.PARKED
        ),
        "triggers": (
            (order_id, each.stop_price_ticks, each.trailing_bips)
            for order_id, each in found
            if each.stop_price_ticks or each.trailing_bips
        ),
        "waiting": (
            (order_id, each.waiting, each.accepted_seq, each.queued_seq, each.best_ticks, each.hold_units)
            for order_id, each in found
            if each.waiting and each.waiting != Waiting.PARKED
        ),
    }


def _restore_terms(state: State, tables: Rows) -> None:
    if not any(
        tables[name] for name in ("expiries", "icebergs", "prevented", "amended", "parked", "blocks", "triggers")
    ):
        return
    orders = {order.order_id: order for order in state.open_orders()}
    for order_id, expires_ms, accepted_seq in tables["expiries"]:
        terms = _terms_of(orders[order_id])
        terms.expires_ms, terms.accepted_seq = expires_ms, accepted_seq
    for order_id, display_lots, reserve_lots in tables["icebergs"]:
        terms = _terms_of(orders[order_id])
        terms.display_lots, terms.reserve_lots = display_lots, reserve_lots
        if (level := orders[order_id].level) is not None:
            level.hidden_lots += reserve_lots
    for order_id, lots in tables["prevented"]:
        _terms_of(orders[order_id]).prevented_lots = lots
    for order_id, placed_lots in tables["amended"]:
        _terms_of(orders[order_id]).placed_lots = placed_lots
    for order_id, amends in tables["amends"]:
        _terms_of(orders[order_id]).amends = amends
    for order_id, due_ms, seq in tables["parked"]:
        terms = _terms_of(orders[order_id])
        terms.waiting, terms.park_due_ms, terms.parked_seq = int(Waiting.PARKED), due_ms, seq
    for order_id, block in restored_blocks(state, tables, orders):
        _terms_of(orders[order_id]).block = block
    for order_id, stop_price_ticks, trailing_bips in tables["triggers"]:
        terms = _terms_of(orders[order_id])
        terms.stop_price_ticks, terms.trailing_bips = stop_price_ticks, trailing_bips
    for order in orders.values():
        if order.terms is not None:
            start_terms(state, order, order.terms)


def _terms_of(order: Order) -> Terms:
    if order.terms is None:
        order.terms = Terms()
    return order.terms


def _restore_waiting(state: State, waiting: dict[int, list[Any]]) -> None:
    """The FIFO's order is that of queued_seq."""
    if not waiting:
        return
    orders = {order.order_id: order for order in state.open_orders()}
    for order_id, row in sorted(waiting.items(), key=lambda each: each[1][2]):
        order = orders[order_id]
        terms = _terms_of(order)
        kind, terms.accepted_seq, queued_seq, best_ticks, terms.hold_units = row
        if kind == CONDITIONAL:
            await_trigger(order, best_ticks)
        elif kind == TRIGGERED:
            join_triggered(order, queued_seq)
        elif kind == PENDING:
            terms.waiting = PENDING
        else:
            raise ValueError(f"order {order_id} waits for nothing known: {kind}")
