"""Order rows of a batch, netted: each order is inserted or updated once, in its last state."""

from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
import psycopg

from apps.ledger import pgbinary
from apps.ledger.columns import Column, column
from apps.ledger.pgbinary import BIGINT, BOOLEAN, INTEGER, SMALLINT
from apps.orders.errors import SettlementStopped
from apps.orders.settlement.columns import Batch, Events
from apps.streams.kinds import AcceptedFlag, EnteredFlag, EventKind, ListStatus, OrderStatus, Review, StpMode, TradeFlag

_COLUMNS: Final = (
    "id", "market_id", "account_id", "side", "kind", "time_in_force", "stp_mode", "price_ticks", "quantity_lots",
    "budget_units", "display_lots", "stop_price_ticks", "expires_ms", "filled_lots", "filled_quote_units",
    "prevented_lots", "status", "reason", "created_ms", "updated_ms", "seq", "trailing_bips", "is_waiting",
    "working_ms", "order_list_id", "client_order_id",
)  # fmt: skip

# What the last event says an order filled (-1: it says nothing) must be what its trades add up to. Status 0: a
# prevented match or an amendment made the order smaller, which otherwise stays as it was.
_UPDATE: Final = """
UPDATE orders_order AS o
   SET filled_lots = o.filled_lots + v.lots, filled_quote_units = o.filled_quote_units + v.quote,
       prevented_lots = o.prevented_lots + v.prevented,
       quantity_lots = CASE v.amended_lots WHEN 0 THEN o.quantity_lots ELSE v.amended_lots END,
       status = CASE v.status WHEN 0 THEN o.status ELSE v.status END, reason = v.reason,
       is_waiting = (o.is_waiting OR v.waits = 1) AND v.working_ms = 0,
       working_ms = CASE v.working_ms WHEN 0 THEN o.working_ms ELSE v.working_ms END,
       updated_ms = v.ms, seq = v.seq
  FROM unnest(%(id)s, %(lots)s, %(quote)s, %(prevented)s, %(amended_lots)s, %(status)s, %(reason)s, %(ms)s, %(seq)s,
              %(closed_lots)s, %(closed_quote)s, %(working_ms)s, %(waits)s)
       AS v(id, lots, quote, prevented, amended_lots, status, reason, ms, seq, closed_lots, closed_quote, working_ms,
            waits)
 WHERE o.id = v.id AND o.seq < v.seq
   AND (v.closed_lots < 0
        OR (o.filled_lots + v.lots = v.closed_lots AND o.filled_quote_units + v.quote = v.closed_quote))
"""

_LABEL: Final = """
UPDATE orders_order AS o
   SET strategy_id = CASE v.has_id WHEN 1 THEN v.strategy_id END,
       strategy_type = CASE v.has_type WHEN 1 THEN v.strategy_type END
  FROM unnest(%(id)s, %(strategy_id)s, %(strategy_type)s, %(has_id)s, %(has_type)s)
       AS v(id, strategy_id, strategy_type, has_id, has_type)
 WHERE o.id = v.id
"""


@dataclass(frozen=True, slots=True)
class OrderStates:
    """What a batch did to each order it touched, ascending by id. `lots` and `quote` are this batch's fills.

    `prevented` is what prevented matches took off it, 0 for an order by quote budget, which has no lots to lose.
    `amended_lots` is the last new quantity, 0 without one. status 0: accepted or made smaller, nothing more. closed_*
    are the totals that ORDER_CLOSED states, -1 without one. working_ms is when a waiting or pending order began to
    work, else 0; waits is 1 where a pending order began to wait for its trigger.
    """

    id: Column
    lots: Column
    quote: Column
    prevented: Column
    amended_lots: Column
    status: Column
    reason: Column
    ms: Column
    seq: Column
    closed_lots: Column
    closed_quote: Column
    working_ms: Column
    waits: Column

    def only(self, chosen: np.ndarray[Any, Any]) -> "OrderStates":
        return OrderStates(*(getattr(self, field.name)[chosen] for field in fields(self)))


def net(batch: Batch, quote_units: Column) -> OrderStates:
    """Last states of all orders in the batch; `quote_units` belongs to its trades, in order."""
    accepted, trades, closed = (
        batch.of(kind) for kind in (EventKind.ORDER_ACCEPTED, EventKind.TRADE, EventKind.ORDER_CLOSED)
    )
    decremented, amended = decrements(batch), batch.of(EventKind.ORDER_AMENDED)
    parked, reviewed = batch.of(EventKind.ORDER_PARKED), batch.of(EventKind.ORDER_REVIEWED)
    released, triggered = reviewed[reviewed["decision"] == Review.RELEASE], batch.of(EventKind.ORDER_TRIGGERED)
    entered = batch.of(EventKind.PENDING_ENTERED)
    enters_waiting = (entered["flags"] & EnteredFlag.WAITING) != 0
    touching = [
        (accepted, "order_id"), (trades, "maker_order_id"), (trades, "taker_order_id"),
        (decremented, "maker_order_id"), (decremented, "taker_order_id"), (amended, "order_id"),
        (parked, "order_id"), (released, "order_id"), (triggered, "order_id"), (entered, "order_id"),
        (closed, "order_id"),
    ]  # fmt: skip
    ids, places = np.unique(np.concatenate([column(events[name]) for events, name in touching]), return_inverse=True)
    ends = np.cumsum([len(events) for events, _ in touching[:-1]])
    (
        at_accepted, at_maker, at_taker, at_less_maker, at_less_taker, at_amended, at_parked, at_released,
        at_triggered, at_entered, at_closed,
    ) = np.split(places, ends)  # fmt: skip
    zero = np.zeros(len(ids), dtype=np.int64)
    lots, quote, prevented, amended_lots, status, reason, ms, seq, working_ms, waits = (zero.copy() for _ in range(10))
    for place in (at_less_maker, at_less_taker):
        np.add.at(prevented, place, decremented["prevented_lots"])
    prevented[at_accepted[accepted["budget_units"] > 0]] = 0
    amended_lots[at_amended] = amended["quantity_lots"]
    # In the order in which it happens to an order: pending or parked, entered or released, traded, closed.
    status[at_accepted[(accepted["flags"] & AcceptedFlag.PENDING) != 0]] = OrderStatus.PENDING_NEW
    status[at_entered], waits[at_entered] = OrderStatus.NEW, enters_waiting
    working_ms[at_entered[~enters_waiting]] = entered["cmd_ms"][~enters_waiting]
    status[at_parked] = OrderStatus.PENDING_NEW
    status[at_released] = OrderStatus.NEW
    working_ms[at_triggered] = triggered["cmd_ms"]
    for place in (at_maker, at_taker):
        np.add.at(lots, place, trades["quantity_lots"])
        np.add.at(quote, place, quote_units)
        status[place] = OrderStatus.PARTIALLY_FILLED
    status[at_maker[(trades["flags"] & TradeFlag.MAKER_DONE) != 0]] = OrderStatus.FILLED
    status[at_taker[(trades["flags"] & TradeFlag.TAKER_DONE) != 0]] = OrderStatus.FILLED
    status[at_closed], reason[at_closed] = closed["status"], closed["reason"]
    closed_lots, closed_quote = zero - 1, zero - 1
    closed_lots[at_closed], closed_quote[at_closed] = closed["filled_lots"], closed["filled_quote_units"]
    for place, events in (
        (at_accepted, accepted), (at_maker, trades), (at_taker, trades), (at_less_maker, decremented),
        (at_less_taker, decremented), (at_amended, amended), (at_parked, parked), (at_released, released),
        (at_triggered, triggered), (at_entered, entered),
        (at_closed, closed),
    ):  # fmt: skip
        np.maximum.at(seq, place, column(events["seq"]))
        np.maximum.at(ms, place, column(events["cmd_ms"]))
    return OrderStates(
        ids, lots, quote, prevented, amended_lots, status, reason, ms, seq, closed_lots, closed_quote, working_ms,
        waits,
    )  # fmt: skip


def decrements(batch: Batch) -> Events:
    """The prevented matches that took something off both orders."""
    prevented = batch.of(EventKind.PREVENTED_MATCH)
    chosen: Events = prevented[prevented["stp_mode"] == StpMode.DECREMENT]
    return chosen


def write(cursor: psycopg.Cursor[Any], batch: Batch, states: OrderStates) -> None:
    """Insert the batch's new orders, update the others; SettlementStopped where one is missing or does not add up."""
    accepted = batch.of(EventKind.ORDER_ACCEPTED)
    new_ids = column(accepted["order_id"])
    is_new = np.isin(states.id, new_ids)
    _insert(cursor, accepted, states.only(is_new), batch.of(EventKind.LIST_CHANGED))
    known = states.only(~is_new)
    if not len(known.id):
        return
    cursor.execute(_UPDATE, {field.name: getattr(known, field.name) for field in fields(known)})
    if cursor.rowcount != len(known.id):
        raise SettlementStopped(
            f"{len(known.id)} orders of events {batch.from_seq + 1}-{batch.to_seq} were to be updated, "
            f"{cursor.rowcount} have a row that their events add up with"
        )


def _insert(cursor: psycopg.Cursor[Any], accepted: Events, states: OrderStates, lists: Events) -> None:
    if not len(accepted):
        return
    order = np.argsort(accepted["order_id"], kind="stable")
    accepted = accepted[order]
    if not np.array_equal(column(accepted["order_id"]), states.id):
        raise SettlementStopped("an order id was accepted twice")
    unequal = (states.closed_lots >= 0) & ((states.lots != states.closed_lots) | (states.quote != states.closed_quote))
    if unequal.any():
        raise SettlementStopped(f"order {states.id[unequal][0]} closed with other fills than its trades add up to")
    status = np.where(states.status == 0, int(OrderStatus.NEW), states.status)
    quantity_lots = np.where(states.amended_lots == 0, accepted["quantity_lots"], states.amended_lots)
    is_waiting = ((accepted["flags"] & AcceptedFlag.WAITING) != 0) | (states.waits == 1)
    data = pgbinary.rows_with_text(
        [
            (BIGINT, states.id),
            (INTEGER, accepted["market_id"]),
            (BIGINT, accepted["account_id"]),
            (SMALLINT, accepted["side"]),
            (SMALLINT, accepted["order_kind"]),
            (SMALLINT, accepted["time_in_force"]),
            (SMALLINT, accepted["stp_mode"]),
            (BIGINT, accepted["price_ticks"]),
            (BIGINT, quantity_lots),
            (BIGINT, accepted["budget_units"]),
            (BIGINT, accepted["display_lots"]),
            (BIGINT, accepted["stop_price_ticks"]),
            (BIGINT, accepted["expires_ms"]),
            (BIGINT, states.lots),
            (BIGINT, states.quote),
            (BIGINT, states.prevented),
            (SMALLINT, status),
            (SMALLINT, states.reason),
            (BIGINT, accepted["cmd_ms"]),
            (BIGINT, states.ms),
            (BIGINT, states.seq),
            (INTEGER, accepted["trailing_bips"]),
            (BOOLEAN, is_waiting & (states.working_ms == 0)),
            (BIGINT, states.working_ms),
            (BIGINT, _lists_of(states.id, lists)),
        ],
        accepted["client_id"],
    )
    pgbinary.copy(cursor, "orders_order", _COLUMNS, data)
    _label(cursor, accepted)


def _label(cursor: psycopg.Cursor[Any], accepted: Events) -> None:
    """Write the strategies of new orders; those that have none, nearly all, pay nothing for it."""
    labelled = accepted[(accepted["flags"] & (AcceptedFlag.STRATEGY_ID | AcceptedFlag.STRATEGY_TYPE)) != 0]
    if not len(labelled):
        return
    values = {
        "id": labelled["order_id"], "strategy_id": labelled["strategy_id"], "strategy_type": labelled["strategy_type"],
        "has_id": (labelled["flags"] & AcceptedFlag.STRATEGY_ID) != 0,
        "has_type": (labelled["flags"] & AcceptedFlag.STRATEGY_TYPE) != 0,
    }  # fmt: skip
    cursor.execute(_LABEL, {name: column(each) for name, each in values.items()})


def _lists_of(ids: Column, lists: Events) -> Column:
    """The list that each of these new orders is a member of, or 0; it began in the same command."""
    begun = lists[lists["status"] == ListStatus.EXEC_STARTED]
    found = np.zeros(len(ids), dtype=np.int64)
    for name in ("order_id_1", "order_id_2", "order_id_3"):
        present = column(begun[name])
        known = np.isin(present, ids)
        found[np.searchsorted(ids, present[known])] = column(begun["list_id"])[known]
    return found
