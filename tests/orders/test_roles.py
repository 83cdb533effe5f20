"""Grants: each process can do its work in PostgreSQL and nothing else with the record (architecture.md 6)."""

from collections.abc import Iterator

import psycopg
import pytest
from django.conf import settings
from django.core.management import call_command
from psycopg import sql

from nebannpet import roles
from nebannpet.roles import ROLES

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def applied() -> Iterator[psycopg.Connection]:
    with psycopg.connect(settings.DATABASE_DSN, autocommit=True) as connection:
        roles.apply(connection)
        yield connection


@pytest.fixture(params=[role.process for role in ROLES])
def process(request: pytest.FixtureRequest, applied: psycopg.Connection) -> tuple[str, psycopg.Connection]:
    name: str = request.param
    applied.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(f"nebannpet_{name}")))
    return name, applied


# Statements on the record and who may run them; what is allowed touches no row here.
ALLOWED = {
    "INSERT INTO ledger_entry SELECT * FROM ledger_entry WHERE false": {"settlement"},
    "UPDATE ledger_entry SET n = n WHERE false": set(),
    "DELETE FROM ledger_entry WHERE false": set(),
    "TRUNCATE ledger_entry": set(),
    "UPDATE ledger_balance SET seq = seq WHERE false": {"settlement"},
    "DELETE FROM ledger_balance WHERE false": set(),
    "UPDATE ledger_housetotal SET seq = seq WHERE false": {"settlement"},
    "INSERT INTO orders_trade SELECT * FROM orders_trade WHERE false": {"settlement"},
    "UPDATE orders_trade SET seq = seq WHERE false": set(),
    "DELETE FROM orders_trade WHERE false": set(),
    "UPDATE orders_order SET seq = seq WHERE false": {"settlement"},
    "DELETE FROM orders_order WHERE false": set(),
    "INSERT INTO orders_parkedorder SELECT * FROM orders_parkedorder WHERE false": {"settlement"},
    "UPDATE orders_parkedorder SET seq = seq WHERE false": set(),
    "INSERT INTO orders_preventedmatch SELECT * FROM orders_preventedmatch WHERE false": {"settlement"},
    "DELETE FROM orders_preventedmatch WHERE false": set(),
    "INSERT INTO orders_amendment SELECT * FROM orders_amendment WHERE false": {"settlement"},
    "UPDATE orders_amendment SET seq = seq WHERE false": set(),
    "INSERT INTO orders_allocatedfill SELECT * FROM orders_allocatedfill WHERE false": {"settlement"},
    "UPDATE orders_allocatedfill SET seq = seq WHERE false": set(),
    "UPDATE orders_orderlist SET seq = seq WHERE false": {"settlement"},
    "DELETE FROM orders_orderlist WHERE false": set(),
    "UPDATE orders_ordershare SET seq = seq WHERE false": {"settlement"},
    "DELETE FROM orders_ordershare WHERE false": set(),
    "INSERT INTO orders_orderreview SELECT * FROM orders_orderreview WHERE false": {"site"},
    "INSERT INTO orders_feetierchange SELECT * FROM orders_feetierchange WHERE false": {"site", "daily"},
    "UPDATE orders_feetierchange SET tier = tier WHERE false": set(),
    "DELETE FROM orders_tradedvolume WHERE false": {"site", "daily"},
    "INSERT INTO wallets_internaltransfer SELECT * FROM wallets_internaltransfer WHERE false": {"site"},
    "UPDATE wallets_internaltransfer SET asset_id = asset_id WHERE false": set(),
    "DELETE FROM wallets_internaltransfer WHERE false": set(),
    "UPDATE orders_orderreview SET reason = reason WHERE false": set(),
    "UPDATE matching_watermark SET seq = seq WHERE false": {"settlement"},
    "DELETE FROM matching_watermark WHERE false": set(),
    "UPDATE matching_engineepoch SET epoch = epoch WHERE false": {"matching"},
    "INSERT INTO outbox_outboxrow SELECT * FROM outbox_outboxrow WHERE false": {"site", "daily"},
    "UPDATE outbox_outboxrow SET state = state WHERE false": {"settlement"},
    "UPDATE outbox_outboxrow SET relay_seq = relay_seq WHERE false": {"outbox"},
    "UPDATE outbox_outboxrow SET frames = frames WHERE false": set(),
    "DELETE FROM outbox_outboxrow WHERE false": set(),
    "INSERT INTO orders_reconciliation SELECT * FROM orders_reconciliation WHERE false": {"reconcile"},
    "UPDATE orders_reconciliation SET equal = equal WHERE false": set(),
    "UPDATE markets_candle SET trades = trades WHERE false": {"marketdata", "site"},
    "UPDATE markets_market SET state = state WHERE false": {"settlement", "site"},
    "UPDATE markets_asset SET asset_class = asset_class WHERE false": {"settlement", "site"},
    "UPDATE markets_asset SET code = code WHERE false": {"site"},
    "UPDATE markets_classstatechange SET moved = moved WHERE false": {"settlement", "site"},
    "UPDATE markets_classstatechange SET reason = reason WHERE false": {"site"},
    "DELETE FROM django_session WHERE false": {"site", "daily"},
    "DELETE FROM accounts_allocationrule WHERE false": {"settlement", "site"},
    "UPDATE accounts_accountsettings SET fee_tier = 0 WHERE false": {"settlement", "site"},
    "DELETE FROM accounts_accountsettings WHERE false": {"site"},
    "SELECT count(*) FROM ledger_balance": {"settlement", "marketdata", "gateway", "site", "reconcile", "daily"},
    "SELECT secret_box FROM accounts_apikey WHERE false": {"gateway", "site", "daily"},
    "SELECT id, is_active FROM accounts_user WHERE false": {"gateway", "site", "daily"},
    "SELECT password FROM accounts_user WHERE false": {"site", "daily"},
    "SELECT email FROM accounts_user WHERE false": {"site", "daily"},
}


def test_each_process_may_do_what_its_work_needs_and_no_more(process: tuple[str, psycopg.Connection]) -> None:
    name, connection = process
    wrong = []
    for statement, who in ALLOWED.items():
        try:
            connection.execute(statement)
            allowed = True
        except psycopg.errors.InsufficientPrivilege:
            allowed = False
        if allowed != (name in who):
            wrong.append(f"{name} {'may' if allowed else 'may not'}: {statement}")
    assert wrong == []


# Besides the site, who has anything to do with what lets somebody in: it lets in by keys, sends, tells owners or
# deletes what is old.
SECRETS_OF = {
    "accounts_apikey": {"gateway", "daily"},
    "accounts_device": {"daily"},
    "accounts_locklink": {"daily"},
    "accounts_login": {"daily"},
    "accounts_lostfactorcase": set(),
    "accounts_mailedlink": {"daily"},
    "accounts_opensession": {"daily"},
    "accounts_passkeychallenge": {"daily"},
    "accounts_passwordattempt": {"daily"},
    "accounts_recoverycode": set(),
    "accounts_totpfactor": set(),
    "accounts_user": {"gateway", "daily"},
    "django_otp_webauthn_webauthnattestation": set(),
    "django_otp_webauthn_webauthncredential": set(),
    "django_otp_webauthn_webauthnuserhandle": set(),
    "django_session": {"daily"},
    "notifications_outgoingemail": {"celery", "daily"},
}


def test_what_lets_somebody_in_is_read_by_the_site_and_by_who_deletes_or_sends_it(
    process: tuple[str, psycopg.Connection],
) -> None:
    name, connection = process
    readable = {
        table
        for table in SECRETS_OF
        if connection.execute("SELECT has_any_column_privilege(current_user, %s, 'SELECT')", [table]).fetchone()
        == (True,)
    }
    assert readable == {table for table, others in SECRETS_OF.items() if name in {"site"} | others}


def test_a_new_table_of_secrets_is_named(applied: psycopg.Connection) -> None:
    """A table with columns that are named like one is secret, or the gateway lets clients in by it."""
    found = applied.execute(
        "SELECT DISTINCT table_name::text FROM information_schema.columns WHERE table_schema = 'public' "
        "AND column_name ~ '(secret|password|token|_hash|session_(key|id)|content$|^address$)'"
    ).fetchall()
    by_the_gateway = {"accounts_listenkey", "accounts_tradingticket"}
    assert {name for (name,) in found} - set(roles.SECRET_TABLES) == by_the_gateway


def test_no_process_can_turn_the_triggers_off(process: tuple[str, psycopg.Connection]) -> None:
    _, connection = process
    for statement in (
        "ALTER TABLE ledger_entry DISABLE TRIGGER ALL",
        "DROP TRIGGER ledger_refuse_change ON ledger_entry",
        "SET session_replication_role = replica",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(statement)


def test_applying_again_repairs_what_was_changed_by_hand(applied: psycopg.Connection) -> None:
    applied.execute("GRANT DELETE ON ledger_entry TO nebannpet_site")
    applied.execute("REVOKE INSERT ON outbox_outboxrow FROM nebannpet_site")
    call_command("apply_roles", verbosity=0)
    applied.execute("SET ROLE nebannpet_site")
    applied.execute("INSERT INTO outbox_outboxrow SELECT * FROM outbox_outboxrow WHERE false")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        applied.execute("DELETE FROM ledger_entry WHERE false")


def test_it_says_that_migrations_come_first(applied: psycopg.Connection) -> None:
    with applied.transaction(force_rollback=True):
        applied.execute("ALTER TABLE ledger_entry RENAME TO somewhere_else")
        with pytest.raises(roles.MissingTables, match="runs after migrate; these tables are missing: ledger_entry"):
            roles.apply(applied)
