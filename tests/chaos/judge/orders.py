"""Orders: what clients were told against the log and PostgreSQL (T13, T15)."""

from collections import Counter
from decimal import Decimal
from typing import Any

from tests.chaos.history import Histories, Kind, Operation, Outcome
from tests.chaos.judge.log import (
    ACCEPTED,
    AMEND,
    AMENDED,
    CANCEL,
    CLOSED,
    LIST_REJECTED,
    REJECTED,
    REPLACE,
    STALE_SETTINGS,
    TRADE,
    CommandId,
    Log,
    is_canceled_by,
)
from tests.chaos.judge.record import CANCELED, OPEN, SCALE, Record

UNKNOWN_ORDER, NO_SUCH_ORDER = -2011, -2013


def faults(histories: Histories, log: Log, record: Record) -> list[str]:
    accounts = {history.account.account_id for history in histories.accounts}
    accepted = {(event.account_id, event.client_id): event for event in log.of(ACCEPTED)}
    sent = {(op.account_id, name): op for op in histories.placing() for name in op.new_orders()}
    quantities = _amended_quantities(histories)
    found = _command_faults(log, sent) + _amend_faults(histories, log)
    for (account, client_id), rows in record.orders.items():
        if account not in accounts:
            continue
        if len(rows) > 1:
            found.append(f"{client_id} stands for {len(rows)} orders")
        if (account, client_id) not in sent:
            found.append(f"nobody sent {client_id}")
    for key, operation in sent.items():
        rows = record.orders.get(key, [])
        if (key in accepted) != bool(rows):
            found.append(f"{key[1]}: in the log {key in accepted}, in PostgreSQL {bool(rows)}")
        if operation.outcome is Outcome.REFUSED and (rows or key in accepted):
            found.append(f"{key[1]} was refused ({operation.status} {operation.body}) and yet executed")
        if operation.outcome is Outcome.OK:
            fills = _fills_at_once(log, accepted[key]) if key in accepted else []
            found += _acknowledged_faults(operation, key[1], rows, record, quantities.get(key, []), fills)
        if operation.outcome is Outcome.OPEN:
            found.append(f"{key[1]} has no end in its history")
    return found + _cancel_faults(histories, log, record) + _query_faults(histories, record) + _order_faults(histories)


def _command_faults(log: Log, sent: dict[tuple[int, str], Operation]) -> list[str]:
    """Nothing was sent twice on the way: one command for each request, unless its first one was STALE_SETTINGS."""
    counts: Counter[tuple[int, str]] = Counter()
    for command_id, orders in log.placing.items():
        stale = any(
            kind in (REJECTED, LIST_REJECTED) and event.reason == STALE_SETTINGS
            for kind, event in log.answers(command_id)
        )
        for order in orders:
            if (order.account_id, order.client_id) in sent:
                counts[order.account_id, order.client_id] += not stale
    return [
        f"{key[1]} was sent {1 + sent[key].repeated} times and stands {count} times in the log"
        for key, count in counts.items()
        if count > 1 + sent[key].repeated
    ]


def _amended_quantities(histories: Histories) -> dict[tuple[int, str], list[Operation]]:
    """Amendments that were or may have been done, by order."""
    found: dict[tuple[int, str], list[Operation]] = {}
    for operation in histories.operations(Kind.AMEND, Outcome.OK, Outcome.UNKNOWN):
        found.setdefault((operation.account_id, operation.client_id), []).append(operation)
    return found


def _amend_faults(histories: Histories, log: Log) -> list[str]:
    done = {
        (command.account_id, command.client_id)
        for command_id, command in log.commands.items()
        if int(command.KIND) == AMEND and any(kind == AMENDED for kind, _ in log.answers(command_id))
    }
    found = []
    for operation in histories.operations(Kind.AMEND, Outcome.OK, Outcome.REFUSED):
        executed = (operation.account_id, operation.client_id) in done
        if executed != (operation.outcome is Outcome.OK):
            found.append(f"the amendment of {operation.client_id} was {operation.outcome}, in the log: {executed}")
        if operation.outcome is Outcome.OK:
            asked, told = operation.params["newQty"], operation.body["amendedOrder"]["qty"]
            if units(told) != units(asked):
                found.append(f"{operation.client_id} was amended to {asked}, told {told}")
    return found


def _acknowledged_faults(
    operation: Operation,
    name: str,
    rows: list[Any],
    record: Record,
    amendments: list[Operation],
    fills: list[tuple[int, int, int, int]],
) -> list[str]:
    """`fills` are those of its own command: (trade id, price in ticks, lots, its fee in units)."""
    answer, sent = operation.told()[name], operation.new_orders()[name]
    if len(rows) != 1:
        return [f"{name} was acknowledged as {answer['orderId']} and exists {len(rows)} times"]
    row, found = rows[0], []
    market = record.markets[row.market_id]
    if row.id != answer["orderId"]:
        found.append(f"{name} was acknowledged as {answer['orderId']} and is {row.id}")
    # An amendment that was acknowledged is done, one whose outcome is unknown may be; each order has one at most.
    certain = [each for each in amendments if each.outcome is Outcome.OK]
    quantities = {each.params["newQty"] for each in amendments} | (set() if certain else {sent["quantity"]})
    quantity_is_right = row.quantity_lots in {units(each) // market.lot_size for each in quantities}
    price_ticks, side = units(sent["price"]) // market.tick_size, ("BUY", "SELL").index(sent["side"])
    if (row.price_ticks, row.side) != (price_ticks, side) or not quantity_is_right:
        found.append(f"{name} was sent as {sent} and stands as {row}")
    if row.filled_lots > row.quantity_lots:
        found.append(f"{name} filled {row.filled_lots} of {row.quantity_lots} lots")
    told = [
        (fill["tradeId"], units(fill["price"]), units(fill["qty"]), units(fill["commission"]))
        for fill in answer["fills"]
    ]
    kept = [(trade, price * market.tick_size, lots * market.lot_size, fee) for trade, price, lots, fee in fills]
    if operation.repeated:
        return found  # answered from the settled order: its fills as maker are among them
    if told != kept:
        found.append(f"{name} was told the fills {told}, its command made {kept}")
    if sum(quantity for _, _, quantity, _ in told) != units(answer["executedQty"]):
        found.append(f"{name}: executedQty {answer['executedQty']} is not the sum of its fills")
    return found


def _fills_at_once(log: Log, accepted: Any) -> list[tuple[int, int, int, int]]:
    """Of the command that brought the order: what it took, and what an order that this triggered took of it."""
    found = []
    for kind, event in log.answers(CommandId(accepted.cmd_ms, accepted.cmd_n, accepted.cmd_index)):
        if kind == TRADE and accepted.order_id in (event.taker_order_id, event.maker_order_id):
            took = event.taker_order_id == accepted.order_id
            fee = event.taker_fee_units if took else event.maker_fee_units
            found.append((event.trade_id, event.price_ticks, event.quantity_lots, fee))
    return found


def _cancel_faults(histories: Histories, log: Log, record: Record) -> list[str]:
    found = []
    closed_by: set[tuple[int, str]] = set()
    for command_id, command in log.commands.items():
        if int(command.KIND) == CANCEL and any(
            kind == CLOSED and is_canceled_by(command, event) for kind, event in log.answers(command_id)
        ):
            closed_by.add((command.account_id, command.client_id))
    for operation in histories.operations(Kind.CANCEL):
        rows = record.orders.get((operation.account_id, operation.client_id), [])
        if operation.outcome is Outcome.OK:
            found += _canceled_faults(operation.client_id, operation.body, rows, record)
        elif operation.outcome is Outcome.REFUSED:
            executed = (operation.account_id, operation.client_id) in closed_by
            if executed:
                found.append(f"the cancel of {operation.client_id} was refused and yet executed")
            if _code(operation) == UNKNOWN_ORDER and any(row.status in OPEN for row in rows):
                found.append(f"{operation.client_id} was said to be no open order, and is open")
    for kind in (Kind.CANCEL_ALL, Kind.CANCEL_LIST):
        for operation in histories.operations(kind, Outcome.OK):
            for answer in operation.body if kind is Kind.CANCEL_ALL else [operation.body]:
                for report in answer.get("orderReports", [answer]):
                    rows = record.orders.get((operation.account_id, report["origClientOrderId"]), [])
                    found += _canceled_faults(report["origClientOrderId"], report, rows, record)
    return found + _replace_faults(histories, log, record)


def _replace_faults(histories: Histories, log: Log, record: Record) -> list[str]:
    """The cancelled half; the new order is judged like any other."""
    closed_by = {
        (command.account_id, order.client_id)
        for command_id, command in log.commands.items()
        if int(command.KIND) == REPLACE
        for order in log.placing[command_id]
        for kind, event in log.answers(command_id)
        if kind == CLOSED and is_canceled_by(command, event)
    }
    found = []
    for operation in histories.operations(Kind.REPLACE, Outcome.OK, Outcome.REFUSED):
        old = operation.params["cancelOrigClientOrderId"]
        data = operation.body.get("data", operation.body) if isinstance(operation.body, dict) else {}
        done = data.get("cancelResult") == "SUCCESS"
        if done != ((operation.account_id, operation.client_id) in closed_by):
            found.append(f"the cancel of {old} in a replacement was told {data.get('cancelResult')}, the log differs")
        if done:
            rows = record.orders.get((operation.account_id, old), [])
            found += _canceled_faults(old, data["cancelResponse"], rows, record)
    return found


def _canceled_faults(name: str, answer: dict[str, Any], rows: list[Any], record: Record) -> list[str]:
    if len(rows) != 1:
        return [f"{name} was acknowledged as canceled and exists {len(rows)} times"]
    row = rows[0]
    lots = units(answer["executedQty"]) // record.markets[row.market_id].lot_size
    if (row.status, row.filled_lots, row.id) != (CANCELED, lots, answer["orderId"]):
        return [f"{name} was acknowledged as canceled with {lots} lots filled and stands as {row}"]
    return []


def _query_faults(histories: Histories, record: Record) -> list[str]:
    """Queries follow an acknowledgement of the same client, so the order exists and its fills are not behind it."""
    acknowledged = {
        (op.account_id, name): units(answer["executedQty"])
        for op in histories.placing(Outcome.OK)
        for name, answer in op.told().items()
    }
    found = []
    for operation in histories.operations(Kind.QUERY):
        name = operation.client_id
        if _code(operation) == NO_SUCH_ORDER:
            found.append(f"{name} was acknowledged and then said not to exist")
        if operation.outcome is Outcome.OK:
            filled = units(operation.body["executedQty"])
            rows = record.orders.get((operation.account_id, name), [])
            final = sum(row.filled_lots * record.markets[row.market_id].lot_size for row in rows)
            if not acknowledged[operation.account_id, name] <= filled <= final:
                found.append(
                    f"{name} was read with {filled} filled, which is less than before or more than it ever had"
                )
    return found


def _order_faults(histories: Histories) -> list[str]:
    """An order acknowledged before another was sent has the smaller id, whoever sent them (real-time order)."""
    told = sorted(histories.placing(Outcome.OK), key=lambda op: op.ended_s)
    started = sorted(told, key=lambda op: op.invoked_s)
    found, newest, ended = [], 0, 0
    for operation in started:
        while ended < len(told) and told[ended].ended_s < operation.invoked_s:
            newest = max(newest, *_ids(told[ended]))
            ended += 1
        oldest = min(_ids(operation))
        if oldest < newest:
            found.append(f"{operation.client_id} is {oldest}, yet {newest} was acknowledged before")
    return found


def _ids(operation: Operation) -> list[int]:
    return [answer["orderId"] for answer in operation.told().values()]


def _code(operation: Operation) -> int:
    return int(operation.body.get("code", 0)) if isinstance(operation.body, dict) else 0


def units(text: str) -> int:
    """10^-8 units of a decimal in an answer."""
    value = Decimal(text) * SCALE
    assert value == int(value), f"{text} has more than 8 decimals"
    return int(value)


def tally(histories: Histories, log: Log, record: Record) -> dict[str, int]:
    """Counts for the report: acknowledged orders and cancels, how many of them are lost, and doubled orders."""
    acknowledged = [(op.account_id, name) for op in histories.placing(Outcome.OK) for name in op.told()]
    canceled = list(histories.operations(Kind.CANCEL, Outcome.OK))
    rows = {key: record.orders.get(key, []) for key in acknowledged}
    still_open = sum(
        not any(row.status == CANCELED for row in record.orders.get((op.account_id, op.client_id), []))
        for op in canceled
    )
    accepted = Counter((event.account_id, event.client_id) for event in log.of(ACCEPTED))
    return {
        "acknowledged": len(acknowledged) + len(canceled),
        "lost": sum(not found for found in rows.values()) + still_open,
        "doubled": sum(accepted[op.account_id, name] > 1 for op in histories.placing() for name in op.new_orders()),
    }
