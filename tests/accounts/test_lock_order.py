"""Those who change the same credentials at one moment never wait in a ring (migrations/0002_credential_versions.py).

Another connection holds the lock of all credentials, as a change of tier does for a moment; somebody comes who changes
keys or tickets, and waits for it; then the other one goes on to the very rows that this somebody wants.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import psycopg
import pytest
from django.conf import settings
from django.db import connection, transaction
from django.test import Client
from django.urls import reverse

from apps.accounts.keyterms import KeyTerms
from apps.accounts.models import ApiKey, TradingAccount, TradingTicket, User
from apps.accounts.services.api_keys import revoke_api_key
from apps.accounts.services.closing import end_account, lock_to_close
from apps.accounts.services.demo import make_demo_account
from apps.accounts.services.keyissue import issue_hmac_key
from apps.accounts.services.locking import lock_account
from apps.accounts.services.phrases import change_phrase
from apps.accounts.services.tickets import issue_ticket
from tests.accounts.factors import enter_admin
from tests.accounts.mailbox import lock_link_to, token_of
from tests.matching.waiting import until
from tests.pages.world import logged_in

pytestmark = pytest.mark.django_db(transaction=True)

WAITS = "SELECT count(*) FROM pg_stat_activity WHERE %s = ANY (pg_blocking_pids(pid))"
TAKES_THE_LOCK = "UPDATE accounts_apikey SET can_read = can_read WHERE FALSE"
LIMITS_KEYS = "UPDATE accounts_apikey SET allowed_networks = '{192.0.2.1}'"
CHANGES_TIERS = "UPDATE accounts_tradingaccount SET tier = 'demo'"
LOCKS_ACCOUNTS = "SELECT id FROM accounts_tradingaccount FOR UPDATE"
ENDS_TICKETS = "UPDATE accounts_tradingticket SET revoked_at = now()"


@pytest.fixture
def other() -> Iterator[psycopg.Connection]:
    with psycopg.connect(settings.DATABASE_DSN) as opened:
        yield opened


def _meet(other: psycopg.Connection, first: str, somebody: Callable[[], object], then: str) -> None:
    """`first` is done, `somebody` comes and waits for it, `then` is done: both end, with no DeadlockDetected."""

    def come() -> None:
        try:
            somebody()
        finally:
            connection.close()

    def waits() -> bool:
        with connection.cursor() as cursor:
            cursor.execute(WAITS, [other.info.backend_pid])
            return bool(cursor.fetchone()[0])

    with ThreadPoolExecutor(1) as pool:
        other.execute(first)
        coming = pool.submit(come)
        try:
            until(lambda: coming.done() or waits())
            assert not coming.done(), "it has waited for nobody"
            other.execute(then)
            other.commit()
        finally:
            other.rollback()
        coming.result(timeout=60)


@pytest.fixture
def key(alice: User) -> ApiKey:
    account = TradingAccount.objects.get(owner=alice)
    return issue_hmac_key(account_id=account.pk, terms=KeyTerms(label="bot", can_read=True, can_trade=True)).key


def test_who_revokes_a_key(key: ApiKey, other: psycopg.Connection) -> None:
    _meet(other, TAKES_THE_LOCK, lambda: revoke_api_key(account_id=key.account_id, key_id=key.pk), CHANGES_TIERS)
    key.refresh_from_db()
    assert (key.is_revoked, TradingAccount.objects.get(pk=key.account_id).tier) == (True, "demo")


def test_who_locks_the_account(alice: User, key: ApiKey, other: psycopg.Connection) -> None:
    change_phrase(user_id=alice.pk, phrase="purple elephants")
    token = token_of(lock_link_to(alice.email, "phrase_changed"))
    _meet(other, TAKES_THE_LOCK, lambda: lock_account(token=token), LIMITS_KEYS)
    key.refresh_from_db()
    assert (key.is_revoked, key.allowed_networks) == (True, ["192.0.2.1"])


def test_who_closes_the_account(alice: User, key: ApiKey, other: psycopg.Connection) -> None:
    session = logged_in(alice)

    def close() -> None:
        with transaction.atomic():
            lock_to_close(user=alice, session_key=session)
            end_account(user=alice)

    _meet(other, TAKES_THE_LOCK, close, LIMITS_KEYS)
    key.refresh_from_db()
    assert (key.is_revoked, key.allowed_networks) == (True, ["192.0.2.1"])


def test_staff_who_end_a_trading_session(
    alice: User, make_user: Callable[..., User], other: psycopg.Connection
) -> None:
    issue_ticket(user_id=alice.pk, session_key=logged_in(alice))
    ticket = TradingTicket.objects.get()
    staff = Client()
    enter_admin(staff, make_user("root@example.org", is_staff=True, is_superuser=True))
    said = []

    def end() -> None:
        chosen = {"action": "revoke", "_selected_action": [str(ticket.pk)], "index": "0", "reason": "x"}
        said.append(staff.post(reverse("admin:accounts_tradingticket_changelist"), chosen, follow=True))

    _meet(other, TAKES_THE_LOCK, end, ENDS_TICKETS)
    assert "0 trading session(s) revoked." in said[0].content.decode(), "the other was first"
    assert not TradingTicket.objects.filter(revoked_at=None).exists()


def test_who_renews_a_demo_account(other: psycopg.Connection) -> None:
    old = make_demo_account(name="demo", is_staff=False)
    renew = partial(make_demo_account, name="demo", is_staff=False)
    _meet(other, LOCKS_ACCOUNTS, renew, "UPDATE accounts_tradingaccount SET frozen_at = now()")
    assert ApiKey.objects.get(public_key=old.api_key).is_revoked
