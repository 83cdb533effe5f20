"""Backups of the test database, as copies made by PostgreSQL itself, and what has to be equal in two databases."""

from typing import Any

import psycopg
from django.conf import settings
from django.db import connections
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

# Columns that say when this database did something, or in which order, are left out.
TABLES = {
    "ledger_entry": "*",
    "ledger_balance": "shard, account_id, asset_id, available_units, held_units, posted_units, seq",
    "ledger_housetotal": "shard, kind, asset_id, posted_units, seq",
    "orders_order": "*",
    "orders_trade": "*",
    "orders_parkedorder": "*",
    "orders_preventedmatch": "*",
    "orders_amendment": "*",
    "orders_orderlist": "*",
    "orders_ordershare": "*",
    "orders_allocatedfill": "*",
    "orders_orderreview": "order_id, decision, reason, requested_by, outbox_key",
    "orders_marketunits": "*",
    "accounts_accountsettings": "shard, account_id, family_id, fee_tier, seq",
    "accounts_allocationrule": "shard, account_id, rule_id, method, accounts, weights_bp, seq",
    "matching_watermark": "shard, reader, seq, chain, epoch",
    "outbox_outboxrow": "shard, source, relay_seq, kind, frames, state, reason, event_seq",
    "outbox_relaycounter": "shard, source, last_relay_seq",
    "markets_asset": "id, code, asset_class",
    "markets_market": (
        "id, symbol, settings_version, tick_size, lot_size, max_lots, fees, state, state_cause, state_until_ms,"
        " state_reopens_ms, state_rule_id, state_seq"
    ),
    "markets_marketsettingschange": "market_id, settings_version, settings, applied_at IS NULL",
    "markets_marketstatechange": "market_id, state",
}


def contents() -> dict[str, list[Any]]:
    with psycopg.connect(settings.DATABASE_DSN) as connection:
        return {
            table: sorted(map(repr, connection.execute(f"SELECT {columns} FROM {table}").fetchall()))
            for table, columns in TABLES.items()
        }


class Backup:
    """A copy of the test database as it is now; `restore` puts it in the place of whatever is there by then."""

    def __init__(self, name: str = "nebannpet_backup") -> None:
        self._backup = name
        self._live = str(conninfo_to_dict(settings.DATABASE_DSN)["dbname"])
        self._copy(self._live, self._backup)

    def restore(self) -> None:
        self._copy(self._backup, self._live)

    def remove(self) -> None:
        with self._server() as server:
            server.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(self._backup)))

    def _copy(self, source: str, target: str) -> None:
        connections.close_all()
        with self._server() as server:
            server.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(target)))
            server.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [source]
            ).fetchall()
            server.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(target), sql.Identifier(source))
            )

    @staticmethod
    def _server() -> psycopg.Connection[Any]:
        return psycopg.connect(make_conninfo(settings.DATABASE_DSN, dbname="postgres"), autocommit=True)
