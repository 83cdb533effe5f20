"""Rows of a snapshot that no state can have: each by itself, whatever the other tables say.

Both engines refuse the same ones (restore.c has them beside what it reads). What the tables say together is checked
where they are restored.
"""

from typing import Any, Final

from apps.common.amounts import AMOUNT_MAX, BASIS_POINTS
from apps.matching.engine.client_ids import NO_CLIENT_ID, fingerprint_of, key_of, list_key_of
from apps.matching.engine.framing import is_text
from apps.matching.engine.snapshot_tables import Rows
from apps.matching.engine.state import State
from apps.matching.engine.terms import AMENDS_MAX
from apps.streams.kinds import HaltCause, MarketState, OrderKind, StpMode, TimeInForce
from apps.streams.messages import MAX_FEE_TIERS

_SIDES: Final = frozenset({0, 1})
_KINDS: Final = frozenset(map(int, OrderKind))
_TIMES: Final = frozenset(map(int, TimeInForce))
_STP_MODES: Final = frozenset(map(int, StpMode))
_STATES: Final = frozenset(map(int, MarketState))
_CAUSES: Final = frozenset(map(int, HaltCause))


def check_rows(tables: Rows) -> None:
    """ValueError names what is wrong. O(rows)."""
    for _, _, external_units, fee_units in tables["assets"]:
        _require(_is_amount(external_units, fee_units), "an asset's fees or units")
    for _, asset_class in tables["asset_classes"]:
        _require(asset_class[0] != 0 and is_text(asset_class), "an asset's class")
    for _, symbol, *_, state, cause, last_price_ticks, _, _, _ in tables["markets"]:
        _require(is_text(symbol), "a market's name")
        _require(state in _STATES and cause in _CAUSES and _is_amount(last_price_ticks), "a market's state or price")
    for _, _, fee_tier in tables["accounts"]:
        _require(fee_tier < MAX_FEE_TIERS, "an account's fee tier")
    for _, _, available_units, held_units in tables["balances"]:
        _require(_is_amount(available_units) and _is_amount(held_units), "a balance below 0 or from 2^62 on")
    for key, _, _, amount_units in tables["holds"]:
        _require(amount_units > 0 and is_text(key), "a hold's amount or key")
    _check_orders(tables)
    _check_terms(tables)
    for _, account_id, *_, client_id, id_key, _, _, _, _ in tables["order_lists"]:
        _require(is_text(client_id), "a list's client id")
        _require(client_id == NO_CLIENT_ID or id_key == list_key_of(account_id, client_id), "a list's key")


def check_restored(state: State) -> None:
    """What the rows say together; ValueError names what is wrong. O(orders)."""
    for held in state.holds.values():
        _require(held.account_id in state.accounts and held.asset_id in state.assets, "whose hold it is")
    for order in state.open_orders():
        market, terms = order.market, order.terms
        _require(0 < order.order_id <= state.last_order_id, "an order's id")
        _require(order.quantity_lots * market.lot_size <= AMOUNT_MAX, "an order's worth")
        _require(order.price_ticks * order.quantity_lots <= AMOUNT_MAX // market.unit_factor, "an order's worth")
        is_remembered = order.client_id != NO_CLIENT_ID or (terms is not None and terms.order_list is not None)
        _require(order.fingerprint == (fingerprint_of(order) if is_remembered else 0), "an order's fingerprint")


def _check_orders(tables: Rows) -> None:
    waiting = {row[0] for name in ("parked", "waiting") for row in tables[name]}
    reserves = {order_id: reserve for order_id, _, reserve in tables["icebergs"]}
    prevented: dict[int, int] = dict(tables["prevented"])
    placed: dict[int, int] = dict(tables["amended"])
    amends: dict[int, int] = dict(tables["amends"])
    for row in tables["orders"]:
        order_id, account_id, _, side, kind, time_in_force, stp_mode, price_ticks, quantity_lots, left_lots, *rest = row
        filled_lots, _, _, client_id, id_key, _ = rest
        known = side in _SIDES and kind in _KINDS and time_in_force in _TIMES and stp_mode in _STP_MODES
        _require(known, "an order's kind")
        _require(_is_positive(price_ticks) or (price_ticks == 0 and order_id in waiting), "an order's price")
        _require(_is_positive(quantity_lots, left_lots), "an order's lots")
        open_lots = left_lots + reserves.get(order_id, 0)
        wanted = quantity_lots - open_lots - prevented.get(order_id, 0)
        _require(filled_lots == wanted >= 0, "an order's filled lots")
        less = placed.get(order_id, quantity_lots) - quantity_lots
        _require(amends.get(order_id, 0) <= max(less, 0), "how often an order was amended")
        _require(is_text(client_id), "an order's client id")
        _require(client_id == NO_CLIENT_ID or id_key == key_of(account_id, client_id), "an order's key")


def _check_terms(tables: Rows) -> None:
    for _, expires_ms, _ in tables["expiries"]:
        _require(expires_ms > 0, "an order's end")
    for _, display_lots, reserve_lots in tables["icebergs"]:
        _require(_is_positive(display_lots) and _is_amount(reserve_lots), "an iceberg's lots")
    for name in ("prevented", "amended"):
        for _, lots in tables[name]:
            _require(_is_positive(lots), f"an order's {name} lots")
    for _, amends in tables["amends"]:
        _require(0 < amends <= AMENDS_MAX, "how often an order was amended")
    for _, due_ms, seq in tables["parked"]:
        _require(0 < due_ms < 2**63 and seq > 0, "a parked order's end")
    for _, stop_price_ticks, trailing_bips in tables["triggers"]:
        _require(_is_amount(stop_price_ticks) and (stop_price_ticks > 0 or trailing_bips > 0), "a trigger")
        _require(trailing_bips < BASIS_POINTS, "a trigger")
    for _, _, accepted_seq, _, best_ticks, hold_units in tables["waiting"]:
        _require(_is_amount(best_ticks) and _is_amount(hold_units) and accepted_seq > 0, "a waiting order")
    for _, _, final_lots, allocated_lots in tables["shares"]:
        _require(_is_positive(final_lots) and 0 <= allocated_lots <= final_lots, "a share's lots")


def _is_amount(*values: Any) -> bool:
    return all(0 <= value <= AMOUNT_MAX for value in values)


def _is_positive(*values: Any) -> bool:
    return all(0 < value <= AMOUNT_MAX for value in values)


def _require(holds: bool, what: str) -> None:
    if not holds:
        raise ValueError(what)
