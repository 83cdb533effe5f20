"""A decision and a change of a switch never cross; where switches cannot be read, nothing is open (threat-T28)."""

import contextlib
from collections.abc import Iterator

import psycopg
import pytest
from django.conf import settings
from django.db import InterfaceError, OperationalError, connection, transaction

from apps.accounts.errors import NoTradingAccount
from apps.accounts.facts import Factor, Facts, Withdrawal
from apps.accounts.models import User
from apps.accounts.rules import Action, Verdict
from apps.accounts.services.decisions import decide_now
from apps.accounts.services.holds import HoldReason, hold_withdrawals
from apps.controls.gates import OPEN_GATES, UNKNOWN_GATES
from apps.controls.kinds import Kind, Scope
from apps.controls.policy import SWITCHES_LOCK
from apps.controls.selectors import read_gates
from apps.controls.services import set_switch
from tests.accounts.factors import with_app
from tests.controls.conftest import STAFF

pytestmark = pytest.mark.django_db(transaction=True)
SUSPEND = "UPDATE controls_switch SET is_on = TRUE WHERE kind = 'withdrawal-suspension' AND scope = 'platform'"
APP = frozenset({Factor.AUTHENTICATOR})


@contextlib.contextmanager
def another(**options: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(settings.DATABASE_DSN, autocommit=True, **options) as opened:  # type: ignore[arg-type]
        yield opened


def facts(user: User) -> Facts:
    small = Withdrawal(asset_24h_units=1, total_24h_value_units=1, high_from_units=10, review_above_units=10)
    return Facts(user_id=user.pk, factors=APP, fresh_by=APP, withdrawal=small)


def test_who_decides_sees_what_was_committed_before() -> None:
    with another() as staff:
        staff.execute(SUSPEND)
        with transaction.atomic():
            assert read_gates(user_id=1).withdrawals is not None


def test_a_change_waits_for_the_decision_under_way() -> None:
    with another(options="-c lock_timeout=100") as staff:
        with transaction.atomic():
            assert read_gates(user_id=1) == OPEN_GATES
            with pytest.raises(psycopg.errors.LockNotAvailable):
                staff.execute(SUSPEND)
            assert read_gates(user_id=1) == OPEN_GATES
        staff.execute(SUSPEND)
    with transaction.atomic():
        assert read_gates(user_id=1).withdrawals is not None


def test_without_the_lock_it_changes_under_the_decision(monkeypatch: pytest.MonkeyPatch) -> None:
    """Proves that it is the lock: a decision that takes another one is crossed by the change."""
    monkeypatch.setattr("apps.controls.selectors.SWITCHES_LOCK", SWITCHES_LOCK + 1)
    with another() as staff, transaction.atomic():
        assert read_gates(user_id=1) == OPEN_GATES
        staff.execute(SUSPEND)
        assert read_gates(user_id=1).withdrawals is not None


def test_decisions_do_not_wait_for_one_another() -> None:
    with another(options="-c lock_timeout=100") as other, transaction.atomic():
        read_gates(user_id=1)
        other.execute("SELECT pg_advisory_xact_lock_shared(%s)", [SWITCHES_LOCK])


def test_a_later_version_waits_for_the_earlier_to_commit() -> None:
    """So that `version > last` skips nothing (following.py)."""
    with another() as first, another(options="-c lock_timeout=100") as second, first.transaction():
        first.execute(SUSPEND)
        with pytest.raises(psycopg.errors.LockNotAvailable):
            second.execute("UPDATE controls_switch SET is_on = TRUE WHERE kind = 'whitelist-freeze'")


def test_outside_of_a_transaction_nobody_decides() -> None:
    with pytest.raises(transaction.TransactionManagementError):
        read_gates(user_id=1)


def test_a_lost_connection_closes_everything_that_a_switch_could() -> None:
    with another() as other, transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            [pid] = cursor.fetchone()
        other.execute("SELECT pg_terminate_backend(%s, 10000)", [pid])
        assert read_gates(user_id=1) == UNKNOWN_GATES
        assert connection.needs_rollback
    with transaction.atomic():
        assert read_gates(user_id=1) == OPEN_GATES


@pytest.mark.parametrize("broken", ["gone", "no right", "locked"])
def test_a_table_that_cannot_be_read_closes_it_too(broken: str) -> None:
    """It is not there, the role may not read it, or a lock is held for longer than a request may wait."""
    with contextlib.ExitStack() as stack:
        if broken == "locked":
            other = stack.enter_context(another())
            stack.enter_context(other.transaction())
            other.execute("SELECT pg_advisory_xact_lock(%s)", [SWITCHES_LOCK])
        stack.enter_context(transaction.atomic())
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL lock_timeout = '50ms'")
            if broken == "gone":
                cursor.execute("ALTER TABLE controls_switch RENAME TO gone")
            elif broken == "no right":
                cursor.execute("CREATE ROLE reads_no_switches NOLOGIN")
                cursor.execute("SET LOCAL ROLE reads_no_switches")
        assert read_gates(user_id=1) == UNKNOWN_GATES
        assert connection.needs_rollback


def test_a_withdrawal_is_decided_by_the_rows(user: User) -> None:
    def decided() -> Verdict:
        with transaction.atomic():
            return decide_now(action=Action.WITHDRAW, facts=facts(user), account_id=account.pk, asset="BTC").verdict

    account = user.trading_accounts.get()
    with_app(user)
    assert decided() is Verdict.ALLOWED
    set_switch(
        kind=Kind.WITHDRAWALS, scope=Scope.USER, subject=str(user.pk), on=True, actor=STAFF, reason="a stolen laptop"
    )
    assert decided() is Verdict.REFUSED
    set_switch(kind=Kind.WITHDRAWALS, scope=Scope.USER, subject=str(user.pk), on=False, actor=STAFF, reason="found")
    assert decided() is Verdict.ALLOWED
    type(account).objects.update(frozen_at="2026-11-22T00:00:00Z")
    assert decided() is Verdict.REFUSED
    type(account).objects.update(frozen_at=None)
    hold_withdrawals(user=user, reason=HoldReason.PASSWORD_CHANGED)
    assert decided() is Verdict.HELD
    User.objects.update(is_active=False)
    assert decided() is Verdict.REFUSED


def test_an_account_of_somebody_else_is_none(user: User) -> None:
    other = User.objects.create_user("bob@example.org").trading_accounts.get()
    with pytest.raises(NoTradingAccount), transaction.atomic():
        decide_now(action=Action.TRANSFER, facts=Facts(user_id=user.pk), account_id=other.pk)


def test_a_hold_waits_for_the_decision_under_way(user: User) -> None:
    with_app(user)
    with another(options="-c lock_timeout=100") as thief, transaction.atomic():
        assert decide_now(action=Action.WITHDRAW, facts=facts(user)).is_allowed
        with pytest.raises(psycopg.errors.LockNotAvailable):
            thief.execute("UPDATE accounts_user SET password = 'x' WHERE id = %s", [user.pk])


def test_a_withdrawal_is_refused_when_the_connection_breaks_in_between(
    user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    for error in (OperationalError("server closed the connection"), InterfaceError("connection already closed")):

        def broken(*_: object, error: Exception = error, **__: object) -> None:
            raise error

        monkeypatch.setattr("apps.controls.selectors.Switch.objects.filter", broken)
        with transaction.atomic():
            decision = decide_now(action=Action.WITHDRAW, facts=facts(user))
        assert (decision.verdict, decision.code) == (Verdict.REFUSED, "SWITCHES_UNKNOWN")
