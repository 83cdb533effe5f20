"""Versions of credentials become visible in rising order, so `version > last` skips nothing.

Sequences hand out numbers at once and transactions commit when they like: without a lock the later number can be
visible first, and a follower that has seen it never asks for the earlier one. Both are shown here, on PostgreSQL.
"""

import contextlib
import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from apps.accounts.credentials import (
    API_KEY_SQL,
    CREDENTIAL_CHANGES_SQL,
    CREDENTIALS_CHANNEL,
    LATEST_VERSION_SQL,
)
from apps.accounts.keyterms import KeyTerms
from apps.accounts.models import ApiKey, User
from apps.accounts.selectors import main_account_id
from apps.accounts.services.api_keys import revoke_api_key
from apps.accounts.services.keyissue import issue_hmac_key

pytestmark = pytest.mark.django_db(transaction=True)

INSERT = """
INSERT INTO accounts_apikey (account_id, label, public_key, secret_box, can_read, can_trade, created_at, version)
VALUES (%s, 'x', %s, 'x', TRUE, FALSE, now(), 0) RETURNING version
"""


@pytest.fixture
def account_id(make_user: Callable[..., User]) -> int:
    found = main_account_id(user_id=make_user("alice@example.org").pk)
    assert found is not None
    return found


@contextlib.contextmanager
def _connect(**options: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(settings.DATABASE_DSN, **options) as opened:
        yield opened


def _version(found: psycopg.Connection, account_id: int, letter: str) -> int:
    row = found.execute(INSERT, (account_id, letter * 64)).fetchone()
    assert row is not None
    return int(row[0])


def test_second_writer_waits_for_the_first_to_commit(account_id: int) -> None:
    with _connect() as first, _connect(options="-c lock_timeout=200") as second:
        early = _version(first, account_id, "a")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            _version(second, account_id, "b")
        second.rollback()
        first.commit()
        assert _version(second, account_id, "b") > early


def test_without_the_lock_a_follower_misses_a_row(account_id: int) -> None:
    """Proves that the lock is what keeps the order; the trigger is back on at the end whatever happens."""
    with _connect() as first, _connect() as second, _connect(autocommit=True) as follower:  # type: ignore[arg-type]
        follower.execute("ALTER TABLE accounts_apikey DISABLE TRIGGER accounts_apikey_lock")
        try:
            early = _version(first, account_id, "a")
            late = _version(second, account_id, "b")
            second.commit()
            seen = [row[8] for row in follower.execute(CREDENTIAL_CHANGES_SQL, (0, 0)).fetchall()]
            assert seen == [late]
            first.commit()
            assert early < late
            assert follower.execute(CREDENTIAL_CHANGES_SQL, (late, late)).fetchall() == []
        finally:
            first.rollback()
            follower.execute("ALTER TABLE accounts_apikey ENABLE TRIGGER accounts_apikey_lock")


def test_follower_sees_every_change_under_load(account_id: int) -> None:
    """8 writers create and revoke with commits delayed at random; a follower that polls by version loses nothing."""
    seed = random.randrange(2**32)
    print("seed", seed)
    done = threading.Event()
    seen: dict[int, tuple[int, bool]] = {}
    order: list[int] = []

    def follow() -> None:
        last = 0
        with _connect(autocommit=True) as poll:  # type: ignore[arg-type]
            while True:
                finished = done.is_set()
                for row in poll.execute(CREDENTIAL_CHANGES_SQL, (last, last)).fetchall():
                    last = row[8]
                    order.append(last)
                    seen[row[1]] = (row[8], row[7])
                if finished:
                    return

    def write(number: int) -> None:
        chance = random.Random(seed + number)
        for step in range(10):
            with transaction.atomic():
                key = issue_hmac_key(
                    account_id=accounts[number], terms=KeyTerms(label=str(step), can_read=True, can_trade=False)
                ).key
                time.sleep(chance.random() / 200)
            if chance.random() < 0.6:
                with transaction.atomic():
                    revoke_api_key(account_id=accounts[number], key_id=key.pk)
                    time.sleep(chance.random() / 200)
        connection.close()

    accounts = [account_id]
    for number in range(7):
        found = main_account_id(user_id=User.objects.create_user(f"w{number}@example.org").pk)
        assert found is not None
        accounts.append(found)
    follower = threading.Thread(target=follow)
    follower.start()
    try:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(write, range(8)))
    finally:
        done.set()
        follower.join()
    stored = {key.pk: (key.version, key.is_revoked) for key in ApiKey.objects.all()}
    assert len(stored) == 80
    assert seen == stored
    assert order == sorted(order)


def test_notify_carries_the_version_at_commit_and_not_before(account_id: int) -> None:
    with _connect(autocommit=True) as listener:  # type: ignore[arg-type]
        listener.execute(f"LISTEN {CREDENTIALS_CHANNEL}")
        with transaction.atomic():
            key = issue_hmac_key(account_id=account_id, terms=KeyTerms(label="x", can_read=True, can_trade=False)).key
            assert list(listener.notifies(timeout=0.1)) == []
        heard = list(listener.notifies(timeout=40, stop_after=1))
        key.refresh_from_db()
        assert [(note.channel, note.payload) for note in heard] == [(CREDENTIALS_CHANNEL, str(key.version))]


def test_rolled_back_change_leaves_no_trace(account_id: int) -> None:
    with contextlib.suppress(RuntimeError), transaction.atomic():
        issue_hmac_key(account_id=account_id, terms=KeyTerms(label="x", can_read=True, can_trade=False))
        raise RuntimeError
    with _connect() as follower:
        assert follower.execute(CREDENTIAL_CHANGES_SQL, (0, 0)).fetchall() == []


def test_switching_the_owner_off_and_on_is_news_for_each_key_in_use(account_id: int) -> None:
    keys = [
        issue_hmac_key(account_id=account_id, terms=KeyTerms(label=label, can_read=True, can_trade=True)).key
        for label in ("a", "b")
    ]
    gone = issue_hmac_key(account_id=account_id, terms=KeyTerms(label="c", can_read=True, can_trade=True)).key
    revoke_api_key(account_id=account_id, key_id=gone.pk)
    with _connect(autocommit=True) as follower:  # type: ignore[arg-type]
        for active in (False, True):
            row = follower.execute(LATEST_VERSION_SQL).fetchone()
            assert row is not None
            User.objects.filter(email="alice@example.org").update(is_active=active)
            changes = follower.execute(CREDENTIAL_CHANGES_SQL, (row[0], row[0])).fetchall()
            assert {(change[0], change[1], change[7]) for change in changes} == {
                ("key", key.pk, not active) for key in keys
            }
            found = follower.execute(API_KEY_SQL, (keys[0].public_key,)).fetchone()
            assert found is not None
            assert found[7] is not active


def test_label_and_other_columns_are_nobodys_news(account_id: int) -> None:
    key = issue_hmac_key(account_id=account_id, terms=KeyTerms(label="x", can_read=True, can_trade=False)).key
    key.refresh_from_db()
    ApiKey.objects.update(label="renamed")
    User.objects.update(last_login=timezone.now(), is_active=True)
    assert ApiKey.objects.get().version == key.version
