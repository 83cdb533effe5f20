"""Database roles: what each process may do in PostgreSQL (architecture.md section 6, reliability.md 2.7).

One role a process, without login; the process works as it (`SET ROLE`, or `assume_role` for Django's connections).
Migrations run as the owner, who is a member of all of them. `manage.py apply_roles` creates the roles and makes the
grants of the schema exactly those of this table; it may run again at any time.

The record is written by settlement alone: entries and trades can only be added (the owner's triggers refuse the rest
to everyone), balances, orders and the watermark are settlement's to update, and nobody deletes. The site adds outbox
rows but cannot change one; the relay numbers them; settlement says how they ended. What was done is recorded for the
audit log by who does it, who can only insert; the sequencer in `outbox` adds entries, and nobody changes one. What lets
somebody in, or tells where from, is the site's alone, but for what others delete by name.
"""

from dataclasses import dataclass
from typing import Any, Final

import psycopg
from psycopg import sql

PREFIX: Final = "nebannpet_"
READ: Final = "SELECT"
APPEND: Final = "SELECT, INSERT"
KEEP: Final = "SELECT, INSERT, UPDATE"
EDIT: Final = "SELECT, INSERT, UPDATE, DELETE"

# Tables that hold the record of money, or decide who writes it. Beyond reading, only named grants apply to them.
RECORD_PREFIXES: Final = ("ledger_", "orders_", "outbox_", "matching_", "wallets_")
# Only named grants apply to the audit log, for reading too: entries say who did what.
AUDIT_PREFIX: Final = "audit_"
# Users with the hashes of their passwords, keys, log-ins, what second factors rest on, what staff decide about users,
# and mail with links that let somebody in: for reading, too, named grants alone.
SECRET_TABLES: Final = (
    "accounts_apikey",
    "accounts_device",
    "accounts_locklink",
    "accounts_login",
    "accounts_lostfactorcase",
    "accounts_mailedlink",
    "accounts_opensession",
    "accounts_passkeychallenge",
    "accounts_passwordattempt",
    "accounts_recoverycode",
    "accounts_totpfactor",
    "accounts_user",
    "controls_approval",
    "controls_approvalrequest",
    "django_otp_webauthn_webauthnattestation",
    "django_otp_webauthn_webauthncredential",
    "django_otp_webauthn_webauthnuserhandle",
    "django_session",
    "notifications_outgoingemail",
)
# Functions that work with the owner's rights, so that nobody calls them but who is granted it by name.
OWNERS_FUNCTIONS: Final = ("audit_count(text, text)",)


@dataclass(frozen=True, slots=True)
class Grant:
    """Privileges on one table; `columns` narrows UPDATE to these."""

    table: str
    privileges: str
    update_columns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Role:
    """Rights of one process: `everywhere` on all tables that are neither of the record nor secret, and `grants` on top;
    `calls` are of OWNERS_FUNCTIONS."""

    process: str
    grants: tuple[Grant, ...]
    everywhere: str = ""
    reads_record: bool = False
    calls: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return PREFIX + self.process


ROLES: Final = (
    Role(
        "settlement",
        (
            Grant("ledger_entry", APPEND),
            Grant("ledger_balance", KEEP),
            Grant("ledger_housetotal", KEEP),
            Grant("orders_trade", APPEND),
            Grant("orders_order", KEEP),
            Grant("orders_parkedorder", APPEND),
            Grant("orders_preventedmatch", APPEND),
            Grant("orders_amendment", APPEND),
            Grant("orders_orderlist", KEEP),
            Grant("orders_ordershare", KEEP),
            Grant("orders_allocatedfill", APPEND),
            Grant("orders_marketunits", KEEP),
            Grant("matching_watermark", KEEP),
            Grant("outbox_outboxrow", READ, ("state", "reason", "event_seq", "settled_at")),
            Grant("markets_market", "SELECT, UPDATE"),
            Grant("markets_marketsettingschange", READ, ("applied_at",)),
            Grant("markets_asset", READ, ("asset_class",)),
            Grant("accounts_accountsettings", KEEP),
            Grant("accounts_allocationrule", EDIT),
            Grant("markets_classstatechange", READ, ("moved",)),
            # What the matching worker skipped, which itself writes nothing here.
            Grant("audit_record", "INSERT"),
        ),
    ),
    Role(
        "outbox",
        (
            Grant("outbox_outboxrow", READ, ("relay_seq", "numbered_at")),
            Grant("outbox_relaycounter", KEEP),
            Grant("matching_watermark", READ),
            # The sequencer of the audit log is a thread of this process.
            Grant("audit_record", APPEND),
            Grant("audit_entry", APPEND),
            Grant("audit_node", APPEND),
            Grant("audit_checkpoint", APPEND),
            Grant("audit_progress", KEEP),
            Grant("audit_writer", READ),
            Grant("audit_tally", "SELECT, DELETE"),
        ),
    ),
    # The archive reads the log on redis-core and writes files; PostgreSQL is nothing it needs.
    Role("archive", ()),
    Role("matching", (Grant("matching_engineepoch", KEEP), Grant("matching_watermark", APPEND)), everywhere=READ),
    Role(
        "marketdata",
        (Grant("markets_candle", EDIT), Grant("markets_candlewatermark", KEEP)),
        everywhere=READ,
        reads_record=True,
    ),
    Role(
        "gateway",
        (
            Grant("accounts_tradingticket", READ, ("used_at",)),
            Grant("accounts_listenkey", EDIT),
            Grant("accounts_apikey", READ, ("last_used_at", "last_used_address")),
            Grant("accounts_user", "SELECT (id, is_active)"),
        ),
        everywhere=READ,
        reads_record=True,
    ),
    Role(
        "site",
        (
            Grant("outbox_outboxrow", APPEND),
            Grant("wallets_internaltransfer", APPEND),
            Grant("orders_orderreview", APPEND),
            Grant("orders_feetierchange", APPEND),
            Grant("orders_tradedvolume", "SELECT, INSERT, DELETE"),
            Grant("audit_record", APPEND),
            *(Grant(f"audit_{name}", READ) for name in ("entry", "node", "checkpoint")),
            *(Grant(name, EDIT) for name in SECRET_TABLES),
        ),
        everywhere=EDIT,
        reads_record=True,
        # Log-ins that fail are counted.
        calls=OWNERS_FUNCTIONS,
    ),
    Role("reconcile", (Grant("orders_reconciliation", APPEND),), everywhere=READ, reads_record=True),
    # It sends what others queued; rendered messages lie in their rows.
    Role(
        "celery",
        (
            Grant(
                "notifications_outgoingemail",
                READ,
                ("state", "attempts", "next_attempt_at", "last_error", "ended_at", "content"),
            ),
        ),
    ),
    # A thread of the process `reconcile` (apps/orders/daily.py). A session that goes takes its trading tickets with it.
    Role(
        "daily",
        (
            Grant("outbox_outboxrow", APPEND),
            Grant("orders_feetierchange", APPEND),
            Grant("orders_tradedvolume", "SELECT, INSERT, DELETE"),
            Grant("django_session", "SELECT, DELETE"),
            Grant("accounts_tradingticket", READ, ("revoked_at",)),
            Grant("accounts_mailedlink", "SELECT, DELETE", ("password",)),
            Grant("accounts_passwordattempt", "SELECT, DELETE"),
            Grant("accounts_passkeychallenge", "SELECT, DELETE"),
            Grant("accounts_device", "SELECT, DELETE"),
            Grant("accounts_opensession", READ, ("device_id",)),
            Grant("accounts_login", "SELECT, DELETE"),
            # Owners of API keys that expire are told: one e-mail with a link that locks, one notice.
            Grant("accounts_apikey", READ, ("expiry_told_days",)),
            Grant("accounts_user", READ),
            Grant("accounts_locklink", "SELECT, INSERT, DELETE"),
            Grant("notifications_outgoingemail", "SELECT, INSERT, DELETE", ("again_of_id",)),
            Grant("notifications_notice", "SELECT, INSERT, DELETE"),
            Grant("markets_candle", "SELECT, DELETE"),
            Grant("audit_record", "INSERT"),
        ),
        everywhere=READ,
        reads_record=True,
    ),
)
ROLE_OF_PROCESS: Final = {role.process: role.name for role in ROLES}


class MissingTables(RuntimeError):
    """The table above names tables that the database does not have: migrations come first."""


def apply(connection: psycopg.Connection[Any]) -> None:
    """Create missing roles and make the grants of schema `public` those of ROLES, in one transaction.

    The connected user must own the tables; where roles are missing it also needs CREATEROLE, and the error says so.
    """
    with connection.transaction(), connection.cursor() as cursor:
        tables = _tables(cursor)
        missing = sorted({grant.table for role in ROLES for grant in role.grants} - tables)
        if missing:
            raise MissingTables(f"apply_roles runs after migrate; these tables are missing: {', '.join(missing)}")
        # Two runs at once would meet on the same catalogue rows.
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('nebannpet roles'))")
        cursor.execute("SELECT rolname FROM pg_roles")
        existing = {name for (name,) in cursor.fetchall()}
        for function in OWNERS_FUNCTIONS:
            cursor.execute(sql.SQL("REVOKE EXECUTE ON FUNCTION {} FROM PUBLIC").format(sql.SQL(function)))
        for role in ROLES:
            _apply_one(cursor, role, tables, exists=role.name in existing)


def _apply_one(cursor: psycopg.Cursor[Any], role: Role, tables: set[str], *, exists: bool) -> None:
    name = sql.Identifier(role.name)
    if not exists:
        cursor.execute(sql.SQL("CREATE ROLE {} NOLOGIN").format(name))
        cursor.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(name))
    cursor.execute(sql.SQL("REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {}").format(name))
    cursor.execute(sql.SQL("GRANT USAGE ON SCHEMA public TO {}").format(name))
    cursor.execute(sql.SQL("GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {}").format(name))
    for table in sorted(tables):
        of_record = table.startswith(RECORD_PREFIXES)
        if table.startswith(AUDIT_PREFIX) or table in SECRET_TABLES:
            continue
        privileges = (READ if role.reads_record else "") if of_record else role.everywhere
        if privileges:
            _grant(cursor, name, Grant(table, privileges))
    for grant in role.grants:
        _grant(cursor, name, grant)
    for function in OWNERS_FUNCTIONS:
        change = "GRANT EXECUTE ON FUNCTION {} TO {}" if function in role.calls else "REVOKE ALL ON FUNCTION {} FROM {}"
        cursor.execute(sql.SQL(change).format(sql.SQL(function), name))


def _grant(cursor: psycopg.Cursor[Any], name: sql.Identifier, grant: Grant) -> None:
    privileges = sql.SQL(grant.privileges)  # a constant of this file
    if grant.update_columns:
        columns = sql.SQL(", ").join(map(sql.Identifier, grant.update_columns))
        privileges = sql.SQL("{}, UPDATE ({})").format(privileges, columns)  # type: ignore[assignment]
    cursor.execute(sql.SQL("GRANT {} ON {} TO {}").format(privileges, sql.Identifier(grant.table), name))


def _tables(cursor: psycopg.Cursor[Any]) -> set[str]:
    cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    return {name for (name,) in cursor.fetchall()}
