"""The record against itself since an event at which the engine's state is known: no table is read from its beginning.

The replica stands at a snapshot and is replayed on to the watermark. What its balances, totals, fills and trade ids
changed by in between is what the entries and trades of that stretch must add up to. Both ends are laid against the
engine (states.py). Between the last run and this snapshot each transaction and trade is checked by itself only; the
sums over the whole history (record.py) are taken once a day.
"""

from collections.abc import Iterator
from typing import Any, Final

import psycopg

from apps.ledger.models import OwnerKind
from apps.ledger.policy import entry_id, record_id
from apps.orders.reconciliation.states import BalanceFacts, Facts, HouseFacts

_ENTRIES: Final = """
SELECT kind, owner_id, asset_id, sum(amount_units) FROM ledger_entry
 WHERE id >= %s AND id < %s GROUP BY kind, owner_id, asset_id
"""
_FILLS: Final = """
SELECT f.order_id, f.lots, f.quote, o.filled_lots, o.filled_quote_units
  FROM (SELECT order_id, sum(quantity_lots) AS lots, sum(quote_units) AS quote
          FROM (SELECT maker_order_id AS order_id, quantity_lots, quote_units FROM orders_trade
                 WHERE id > %(after)s AND id <= %(last)s
                UNION ALL
                SELECT taker_order_id, quantity_lots, quote_units FROM orders_trade
                 WHERE id > %(after)s AND id <= %(last)s) AS sides
         GROUP BY order_id) AS f
  LEFT JOIN orders_order AS o ON o.id = f.order_id
"""
_TRADE_COUNTS: Final = "SELECT market_id, count(*) FROM orders_trade WHERE id > %s AND id <= %s GROUP BY market_id"

_NO_BALANCE: Final = BalanceFacts(0, 0)
_NO_HOUSE: Final = HouseFacts(0, 0)


def differences(connection: psycopg.Connection[Any], shard: str, start: Facts, now: Facts) -> Iterator[str]:
    """A sentence for each thing that moved by something else than its entries and trades after `start.seq` say.

    `now` is PostgreSQL's own state at its watermark; `start` the engine's at an earlier event.
    """
    yield from _money(connection, shard, start, now)
    yield from _fills(connection, shard, start, now)
    yield from _trade_ids(connection, shard, start, now)


def _money(connection: psycopg.Connection[Any], shard: str, start: Facts, now: Facts) -> Iterator[str]:
    users: dict[tuple[int, int], int] = {}
    fees: dict[int, int] = {}
    external: dict[int, int] = {}
    span = [entry_id(shard, start.seq + 1, 0), entry_id(shard, now.seq + 1, 0)]
    for kind, owner, asset, units in connection.execute(_ENTRIES, span):
        if kind == OwnerKind.USER:
            users[owner, asset] = int(units)
        elif kind == OwnerKind.EXTERNAL:
            external[asset] = -int(units)
        else:
            fees[asset] = fees.get(asset, 0) + int(units)
    for key in sorted(start.balances.keys() | now.balances.keys() | users.keys()):
        moved = sum(now.balances.get(key, _NO_BALANCE)) - sum(start.balances.get(key, _NO_BALANCE))
        if moved != users.get(key, 0):
            yield _moved(f"account {key[0]}, asset {key[1]}", start.seq, users.get(key, 0), moved)
    for asset in sorted(start.house.keys() | now.house.keys() | fees.keys() | external.keys()):
        before, after = start.house.get(asset, _NO_HOUSE), now.house.get(asset, _NO_HOUSE)
        for what, units, moved in (
            ("fees", fees.get(asset, 0), after.fee_units - before.fee_units),
            ("external", external.get(asset, 0), after.external_units - before.external_units),
        ):
            if units != moved:
                yield _moved(f"{what} of asset {asset}", start.seq, units, moved)


def _moved(what: str, after_seq: int, entries: int, moved: int) -> str:
    return f"{what}: entries after event {after_seq} add up to {entries}, it moved by {moved}"


def _fills(connection: psycopg.Connection[Any], shard: str, start: Facts, now: Facts) -> Iterator[str]:
    span = {"after": record_id(shard, start.seq), "last": record_id(shard, now.seq)}
    for order_id, lots, quote, row_lots, row_quote in connection.execute(_FILLS, span):
        before = start.orders.get(order_id)
        filled = int(lots) + (before.filled_lots if before else 0)
        filled_quote = int(quote) + (before.filled_quote_units if before else 0)
        if (row_lots, row_quote) != (filled, filled_quote):
            yield (
                f"order {order_id}: trades fill {filled} lots for {filled_quote}, its row says {row_lots} for"
                f" {row_quote}"
            )


def _trade_ids(connection: psycopg.Connection[Any], shard: str, start: Facts, now: Facts) -> Iterator[str]:
    span = [record_id(shard, start.seq), record_id(shard, now.seq)]
    counts: dict[int, int] = dict(connection.execute(_TRADE_COUNTS, span).fetchall())
    for market in sorted(start.last_trade_ids.keys() | now.last_trade_ids.keys() | counts.keys()):
        first, last = start.last_trade_ids.get(market, 0), now.last_trade_ids.get(market, 0)
        if last - first != counts.get(market, 0):
            yield (
                f"trades of market {market}: {counts.get(market, 0)} rows after event {start.seq}, ids from {first + 1}"
                f" to {last}, not gapless"
            )
