"""PostgreSQL's side: the facts at its watermark, and whether the record agrees with itself.

The own checks add up the whole history, or what came after an event at which the engine's state is known (recent.py);
then ledger transactions and trades are looked at one by one only after the last run that found them equal. Everything
is read in one REPEATABLE READ transaction, so it is the state after exactly one event.
"""

from dataclasses import dataclass
from typing import Any, Final

import psycopg

from apps.ledger.models import OwnerKind
from apps.ledger.policy import entry_id, record_id
from apps.orders.models import OPEN_STATUSES
from apps.orders.reconciliation import recent
from apps.orders.reconciliation.states import (
    AccountFacts,
    BalanceFacts,
    ClassFacts,
    Facts,
    HouseFacts,
    ListFacts,
    OrderFacts,
    RuleFacts,
    ShareFacts,
)
from apps.orders.settlement.entries import Position
from apps.orders.settlement.transaction import READER
from apps.outbox import session
from apps.streams.kinds import ListKind, ListStatus, OrderStatus
from apps.streams.shards import DEFAULT_SHARD

# Whole tables are read; the session's usual limits are for transactions that others wait for.
_LIMITS: Final = (
    "-c statement_timeout=900s -c idle_in_transaction_session_timeout=300s "
    "-c default_transaction_isolation=repeatable\\ read -c work_mem=64MB"
)

_WATERMARK: Final = "SELECT seq, chain, epoch FROM matching_watermark WHERE shard = %s AND reader = %s"
_BALANCES: Final = """
SELECT account_id, asset_id, available_units, held_units FROM ledger_balance
 WHERE shard = %s AND (available_units <> 0 OR held_units <> 0)
"""
_ORDERS: Final = """
SELECT id, account_id, market_id, side, price_ticks, greatest(quantity_lots - filled_lots - prevented_lots, 0),
       filled_lots, filled_quote_units, client_order_id,
       status = %s AND EXISTS (SELECT FROM orders_parkedorder AS p WHERE p.id = orders_order.id), is_waiting,
       status = %s AND NOT EXISTS (SELECT FROM orders_parkedorder AS p WHERE p.id = orders_order.id), order_list_id
  FROM orders_order WHERE status = ANY(%s) AND market_id IN (SELECT market_id FROM orders_marketunits WHERE shard = %s)
"""
_SHARES: Final = """
SELECT s.order_id, s.account_id, s.final_lots, s.allocated_lots
  FROM orders_ordershare AS s JOIN orders_order AS o ON o.id = s.order_id
 WHERE o.status = ANY(%s) AND s.market_id IN (SELECT market_id FROM orders_marketunits WHERE shard = %s)
"""
_LISTS: Final = """
SELECT id, account_id, market_id, kind, client_order_id, array_remove(ARRAY[order_id_1, order_id_2, order_id_3], 0),
       kind = %s OR status > %s
  FROM orders_orderlist
 WHERE status < %s AND market_id IN (SELECT market_id FROM orders_marketunits WHERE shard = %s)
"""
_HOUSE: Final = """
SELECT asset_id, coalesce(sum(posted_units) FILTER (WHERE kind = ANY(%s)), 0),
       coalesce(-sum(posted_units) FILTER (WHERE kind = %s), 0)
  FROM ledger_housetotal WHERE shard = %s GROUP BY asset_id
"""
_LAST_TRADES: Final = """
SELECT u.market_id, t.trade_id
  FROM orders_marketunits AS u
 CROSS JOIN LATERAL
       (SELECT trade_id FROM orders_trade WHERE market_id = u.market_id ORDER BY trade_id DESC LIMIT 1) AS t
 WHERE u.shard = %s
"""
_ACCOUNTS: Final = """
SELECT account_id, family_id, fee_tier FROM accounts_accountsettings
 WHERE shard = %s AND (family_id <> account_id OR fee_tier <> 0)
"""
_RULES: Final = "SELECT account_id, rule_id, method, accounts, weights_bp FROM accounts_allocationrule WHERE shard = %s"
# An engine knows an asset from its announcement on.
_CLASSES: Final = """
SELECT a.id, a.asset_class
  FROM markets_asset AS a JOIN outbox_outboxrow AS o ON o.key = 'asset:' || a.id || ':settings:1' || %s
 WHERE a.asset_class <> '' AND o.shard = %s AND o.state = 'done'
"""

# -- The record against itself: each query gives one row for each difference -------------------------------------------
_TRADES_GAPLESS: Final = """
SELECT format('trades of market %%s', market_id),
       format('%%s rows with ids from %%s to %%s, not gapless from 1', count(*), min(trade_id), max(trade_id))
  FROM orders_trade WHERE market_id IN (SELECT market_id FROM orders_marketunits WHERE shard = %(shard)s)
 GROUP BY market_id HAVING min(trade_id) <> 1 OR max(trade_id) <> count(*)
"""
_ENTRIES_SUM: Final = """
SELECT format('entries of %%s', asset_id), 'asset sums to ' || sum(amount_units)
  FROM ledger_entry WHERE shard = %(shard)s GROUP BY asset_id HAVING sum(amount_units) <> 0
"""
_TRANSACTIONS_SUM: Final = """
SELECT format('ledger transaction %%s, asset %%s', seq, asset_id), 'sums to ' || sum(amount_units)
  FROM ledger_entry WHERE id >= %(first_entry)s AND id < %(end_entry)s
 GROUP BY seq, asset_id HAVING sum(amount_units) <> 0
"""
_BALANCES_OF_ENTRIES: Final = """
SELECT format('account %%s, asset %%s', coalesce(b.account_id, e.owner_id), coalesce(b.asset_id, e.asset_id)),
       format('entries add up to %%s, the balance says %%s posted', coalesce(e.total, 0), coalesce(b.posted_units, 0))
  FROM (SELECT owner_id, asset_id, sum(amount_units) AS total FROM ledger_entry
         WHERE shard = %(shard)s AND kind = %(user)s GROUP BY owner_id, asset_id) AS e
  FULL JOIN (SELECT * FROM ledger_balance WHERE shard = %(shard)s) AS b
    ON b.account_id = e.owner_id AND b.asset_id = e.asset_id
 WHERE coalesce(e.total, 0) <> coalesce(b.posted_units, 0)
"""
_TOTALS_OF_ENTRIES: Final = """
SELECT format('house account %%s, asset %%s', coalesce(t.kind, e.kind), coalesce(t.asset_id, e.asset_id)),
       format('entries add up to %%s, the total says %%s', coalesce(e.total, 0), coalesce(t.posted_units, 0))
  FROM (SELECT kind, asset_id, sum(amount_units) AS total FROM ledger_entry
         WHERE shard = %(shard)s AND kind <> %(user)s GROUP BY kind, asset_id) AS e
  FULL JOIN (SELECT * FROM ledger_housetotal WHERE shard = %(shard)s) AS t
    ON t.kind = e.kind AND t.asset_id = e.asset_id
 WHERE coalesce(e.total, 0) <> coalesce(t.posted_units, 0)
"""
# ledger/rules.py: line 0 is the buyer's quote, 1 the seller's quote, 2 the buyer's base, 3 the seller's base.
_ENTRIES_OF_TRADES: Final = """
SELECT format('trade %%s/%%s (event %%s)', t.market_id, t.trade_id, t.seq), 'its ledger entries say something else'
  FROM orders_trade AS t
  JOIN orders_marketunits AS u ON u.market_id = t.market_id AND u.shard = %(shard)s
  LEFT JOIN ledger_entry AS b ON b.id = t.id * 8
  LEFT JOIN ledger_entry AS s ON s.id = t.id * 8 + 1
  LEFT JOIN ledger_entry AS d ON d.id = t.id * 8 + 3
 WHERE t.id > %(checked_record)s AND t.id <= %(last_record)s AND (
       b.amount_units IS DISTINCT FROM
         -t.quote_units + CASE WHEN t.taker_is_buyer THEN 0 ELSE greatest(-t.maker_fee_units, 0) END
    OR s.amount_units IS DISTINCT FROM
         t.quote_units - CASE WHEN t.taker_is_buyer THEN greatest(t.maker_fee_units, 0) ELSE t.taker_fee_units END
    OR b.owner_id IS DISTINCT FROM CASE WHEN t.taker_is_buyer THEN t.taker_account_id ELSE t.maker_account_id END
    OR s.owner_id IS DISTINCT FROM CASE WHEN t.taker_is_buyer THEN t.maker_account_id ELSE t.taker_account_id END
    OR (t.seq > u.seq AND d.amount_units IS DISTINCT FROM
         -t.quantity_lots * u.lot_size + CASE WHEN t.taker_is_buyer THEN greatest(-t.maker_fee_units, 0) ELSE 0 END)
    OR (t.seq > u.seq AND t.quote_units::numeric <>
         t.price_ticks::numeric * t.quantity_lots * (u.tick_size::numeric * u.lot_size / 100000000)))
"""
_FILLS_OF_ORDERS: Final = """
SELECT format('order %%s', coalesce(o.id, f.order_id)),
       format('trades fill %%s lots for %%s, its row says %%s for %%s', coalesce(f.lots, 0), coalesce(f.quote, 0),
              o.filled_lots, o.filled_quote_units)
  FROM (SELECT order_id, sum(quantity_lots) AS lots, sum(quote_units) AS quote
          FROM (SELECT maker_order_id AS order_id, market_id, quantity_lots, quote_units FROM orders_trade
                UNION ALL
                SELECT taker_order_id, market_id, quantity_lots, quote_units FROM orders_trade) AS sides
         WHERE market_id IN (SELECT market_id FROM orders_marketunits WHERE shard = %(shard)s)
         GROUP BY order_id) AS f
  FULL JOIN (SELECT id, filled_lots, filled_quote_units FROM orders_order
              WHERE market_id IN (SELECT market_id FROM orders_marketunits WHERE shard = %(shard)s)) AS o
    ON o.id = f.order_id
 WHERE (o.filled_lots, o.filled_quote_units) IS DISTINCT FROM (coalesce(f.lots, 0), coalesce(f.quote, 0))
"""
_ALLOCATED_TRADES: Final = """
SELECT format('trade %%s/%%s of block order %%s', f.market_id, f.trade_id, f.order_id),
       'what its sub-accounts got does not add up to it'
  FROM (SELECT market_id, trade_id, order_id, is_taker, sum(quantity_lots) AS lots, sum(quote_units) AS quote,
               sum(fee_units) AS fee
          FROM orders_allocatedfill WHERE id > %(checked_record)s AND id <= %(last_record)s
         GROUP BY market_id, trade_id, order_id, is_taker) AS f
  LEFT JOIN orders_trade AS t ON t.market_id = f.market_id AND t.trade_id = f.trade_id
 WHERE (f.order_id, f.lots, f.quote, f.fee) IS DISTINCT FROM
       (CASE WHEN f.is_taker THEN t.taker_order_id ELSE t.maker_order_id END, t.quantity_lots::numeric,
        t.quote_units::numeric, CASE WHEN f.is_taker THEN t.taker_fee_units ELSE t.maker_fee_units END::numeric)
"""
# ledger/rules.py: line 1 is the sub-account's quote, 3 its base.
_ENTRIES_OF_FILLS: Final = """
SELECT format('trade %%s/%%s for account %%s', f.market_id, f.trade_id, f.account_id),
       'its ledger entries say something else'
  FROM orders_allocatedfill AS f
  JOIN orders_marketunits AS u ON u.market_id = f.market_id AND u.shard = %(shard)s
  LEFT JOIN ledger_entry AS q ON q.id = f.id * 8 + 1
  LEFT JOIN ledger_entry AS b ON b.id = f.id * 8 + 3
 WHERE f.id > %(checked_record)s AND f.id <= %(last_record)s AND f.account_id <> f.owner_account_id AND (
       q.amount_units IS DISTINCT FROM CASE WHEN f.is_buyer THEN greatest(-f.fee_units, 0) - f.quote_units
                                            ELSE f.quote_units - greatest(f.fee_units, 0) END
    OR q.owner_id IS DISTINCT FROM f.account_id OR b.owner_id IS DISTINCT FROM f.account_id
    OR (f.seq > u.seq AND b.amount_units IS DISTINCT FROM
        CASE WHEN f.is_buyer THEN f.quantity_lots * u.lot_size - greatest(f.fee_units, 0)
             ELSE greatest(-f.fee_units, 0) - f.quantity_lots * u.lot_size END))
"""
_SHARES_OF_ORDERS: Final = """
SELECT format('shares of block order %%s', s.order_id),
       format('%%s of %%s lots allocated, its row says %%s of %%s', s.allocated, s.final,
              o.filled_lots + o.prevented_lots, o.quantity_lots)
  FROM (SELECT order_id, sum(final_lots) AS final, sum(allocated_lots) AS allocated FROM orders_ordershare
         WHERE market_id IN (SELECT market_id FROM orders_marketunits WHERE shard = %(shard)s)
         GROUP BY order_id) AS s
  LEFT JOIN orders_order AS o ON o.id = s.order_id
 WHERE (s.final, s.allocated) IS DISTINCT FROM
       (o.quantity_lots::numeric, (o.filled_lots + o.prevented_lots)::numeric)
"""
_EACH: Final = (_TRANSACTIONS_SUM, _ENTRIES_OF_TRADES, _ALLOCATED_TRADES, _ENTRIES_OF_FILLS)
_SUMS: Final = (
    _TRADES_GAPLESS, _ENTRIES_SUM, _BALANCES_OF_ENTRIES, _TOTALS_OF_ENTRIES, _FILLS_OF_ORDERS, _SHARES_OF_ORDERS,
)  # fmt: skip
_COUNT_ENTRIES: Final = "SELECT count(*) FROM ledger_entry WHERE id >= %(first_entry)s AND id < %(end_entry)s"


@dataclass(frozen=True, slots=True)
class Known:
    """What makes a look at the whole history needless: it was equal up to `checked_seq`, and `start` is the engine's
    state at an earlier or later event, from which sums are taken."""

    checked_seq: int
    start: Facts


def connect() -> psycopg.Connection[Any]:
    return session.connect(planner=_LIMITS)


def watermark(connection: psycopg.Connection[Any], shard: str) -> Position:
    """Where PostgreSQL stands; (0, '', 0) where nothing was ever settled."""
    row = connection.execute(_WATERMARK, [shard, READER]).fetchone()
    return Position(*row) if row else Position(0, "", 0)


def read(
    connection: psycopg.Connection[Any], shard: str, known: Known | None = None
) -> tuple[Position, Facts, dict[str, int], list[str]]:
    """(watermark, facts there, counts, differences within the record), all from one snapshot of the database.

    The whole history is added up where nothing is `known`, or where the watermark is not after it.
    """
    with connection.transaction():
        position = watermark(connection, shard)
        if known is not None and position.seq < max(known.checked_seq, known.start.seq):
            known = None
        facts = _facts(connection, shard, position.seq)
        checked_seq = min(known.checked_seq, known.start.seq) if known else 0
        values = {
            "shard": shard,
            "user": int(OwnerKind.USER),
            "first_entry": entry_id(shard, checked_seq + 1, 0),
            "end_entry": entry_id(shard, position.seq + 1, 0),
            "checked_record": record_id(shard, checked_seq),
            "last_record": record_id(shard, position.seq),
        }
        found = []
        for query in _EACH if known else _EACH + _SUMS:
            found += [f"{what}: {problem}" for what, problem in connection.execute(query, values)]
        if known is not None:
            found += recent.differences(connection, shard, known.start, facts)
        row = connection.execute(_COUNT_ENTRIES, values).fetchone()
    return position, facts, {"checked after event": checked_seq, "ledger entries": row[0] if row else 0}, found


def _facts(connection: psycopg.Connection[Any], shard: str, seq: int) -> Facts:
    facts = Facts(seq)
    for account, asset, available, held in connection.execute(_BALANCES, [shard]):
        facts.balances[account, asset] = BalanceFacts(available, held)
    statuses = [int(status) for status in OPEN_STATUSES]
    pending = int(OrderStatus.PENDING_NEW)
    for order_id, *values in connection.execute(_ORDERS, [pending, pending, statuses, shard]):
        facts.orders[order_id] = OrderFacts(*values)
    for order_id, account, *lots in connection.execute(_SHARES, [statuses, shard]):
        facts.shares[order_id, account] = ShareFacts(*lots)
    ends = [int(ListKind.OCO), int(ListStatus.EXEC_STARTED), int(ListStatus.ALL_DONE), shard]
    for list_id, account, market, kind, client_id, order_ids, has_entered in connection.execute(_LISTS, ends):
        facts.lists[list_id] = ListFacts(account, market, kind, client_id, tuple(order_ids), has_entered)
    fees = [int(OwnerKind.FEES), int(OwnerKind.SAFU)]
    for asset, fee_units, external in connection.execute(_HOUSE, [fees, int(OwnerKind.EXTERNAL), shard]):
        if fee_units or external:
            facts.house[asset] = HouseFacts(int(fee_units), int(external))
    for account, family_id, fee_tier in connection.execute(_ACCOUNTS, [shard]):
        facts.accounts[account] = AccountFacts(family_id, fee_tier)
    for account, rule_id, method, accounts, weights_bp in connection.execute(_RULES, [shard]):
        facts.rules[account, rule_id] = RuleFacts(method, tuple(accounts), tuple(weights_bp))
    for asset, asset_class in connection.execute(_CLASSES, ["" if shard == DEFAULT_SHARD else f":{shard}", shard]):
        facts.classes[asset] = ClassFacts(asset_class)
    facts.last_trade_ids.update(connection.execute(_LAST_TRADES, [shard]).fetchall())
    return facts
