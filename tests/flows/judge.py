"""The history checker: compares what traders were told with what PostgreSQL keeps, without any code under test."""

from decimal import Decimal

import psycopg

from tests.flows.load import History

CANCELED = 4
TICK, LOT = Decimal("0.01"), Decimal("0.001")


def faults(dsn: str, histories: list[History]) -> list[str]:
    """Every broken promise in one sentence each; empty when all were kept."""
    found: list[str] = []
    with psycopg.connect(dsn) as connection:
        for history in histories:
            found += _order_faults(connection, history)
        found += _trade_faults(connection)
    return found


def _order_faults(connection: psycopg.Connection, history: History) -> list[str]:
    rows = connection.execute(
        "SELECT client_order_id, id, filled_lots, quantity_lots, status FROM orders_order WHERE account_id = %s",
        [history.account.account_id],
    ).fetchall()
    by_client_id: dict[str, list[tuple[int, int, int, int]]] = {}
    for client_id, *row in rows:
        by_client_id.setdefault(client_id, []).append((row[0], row[1], row[2], row[3]))
    found = [f"{name} stands for {len(orders)} orders" for name, orders in by_client_id.items() if len(orders) > 1]
    known = history.acknowledged.keys() | history.unknown
    found += [f"nobody sent {name}" for name in by_client_id.keys() - known]
    for name, answer in history.acknowledged.items():
        orders = by_client_id.get(name, [])
        if len(orders) != 1:
            found.append(f"{name} was acknowledged and exists {len(orders)} times")
            continue
        order_id, filled, quantity, status = orders[0]
        if order_id != answer["orderId"]:
            found.append(f"{name} was acknowledged as {answer['orderId']} and is {order_id}")
        if filled * LOT < Decimal(answer["executedQty"]):
            found.append(f"{name}: {answer['executedQty']} were acknowledged as filled, {filled * LOT} are")
        if filled > quantity:
            found.append(f"{name} filled {filled} of {quantity} lots")
    for name in history.canceled:
        status = by_client_id[name][0][3]
        if status != CANCELED:
            found.append(f"{name} was acknowledged as canceled and has status {status}")
    return found


def _trade_faults(connection: psycopg.Connection) -> list[str]:
    found = []
    for market_id, count, first, last, distinct in connection.execute(
        """
        SELECT market_id, count(*), min(trade_id), max(trade_id), count(DISTINCT trade_id)
        FROM orders_trade GROUP BY market_id
        """
    ):
        if not (first == 1 and count == distinct == last):
            found.append(f"market {market_id}: {count} trades, ids {first} to {last}, {distinct} different")
    mismatched = connection.execute(
        """
        SELECT o.id, o.filled_lots, COALESCE(sum(t.quantity_lots), 0)
        FROM orders_order o LEFT JOIN orders_trade t ON o.id IN (t.maker_order_id, t.taker_order_id)
        GROUP BY o.id HAVING o.filled_lots <> COALESCE(sum(t.quantity_lots), 0)
        """
    ).fetchall()
    return found + [f"order {order} has {filled} lots filled, its trades {lots}" for order, filled, lots in mismatched]
