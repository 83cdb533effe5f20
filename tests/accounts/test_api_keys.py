"""Making and revoking API keys: limits, ownership, and what the database holds."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from types import SimpleNamespace

import psycopg
import pytest
from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from apps.accounts.errors import ApiKeyNotFound, InvalidApiKeyRequest, NoTradingAccount, TooManyApiKeys
from apps.accounts.keyterms import KeyTerms
from apps.accounts.models import ApiKey, User
from apps.accounts.policy import API_KEYS_PER_ACCOUNT_MAX
from apps.accounts.secrets import decrypt_secret
from apps.accounts.selectors import api_keys_of, main_account_id
from apps.accounts.services import api_keys
from apps.accounts.services.api_keys import revoke_api_key
from apps.accounts.services.keyissue import NewApiKey, issue_hmac_key
from tests.matching.waiting import until

SOMEBODY_WAITS = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


def _create(account_id: int, label: str = "bot", *, can_read: bool = True, can_trade: bool = True) -> NewApiKey:
    return issue_hmac_key(account_id=account_id, terms=KeyTerms(label=label, can_read=can_read, can_trade=can_trade))


@pytest.fixture
def account_id(alice: User) -> int:
    found = main_account_id(user_id=alice.pk)
    assert found is not None
    return found


def test_new_key_opens_with_its_own_secret_only(account_id: int) -> None:
    first, second = _create(account_id), _create(account_id)
    assert {len(first.secret), len(second.secret), len(first.key.public_key)} == {64}
    stored = ApiKey.objects.get(pk=first.key.pk)
    assert decrypt_secret(stored.public_key, stored.secret_box) == first.secret.encode()
    assert first.secret != second.secret
    assert first.key.public_key != second.key.public_key


def test_no_table_holds_a_usable_secret(account_id: int) -> None:
    """threat-T6: a dump of the database contains no secret, in any spelling it could be used in."""
    secret = _create(account_id).secret
    needles = [secret.encode(), secret.encode().hex().encode(), secret[:16].encode(), secret[-16:].encode()]
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT t::text FROM {connection.ops.quote_name(table)} t")
            dump = "\n".join(row[0] for row in cursor.fetchall()).encode()
            assert not any(needle in dump for needle in needles), table


@pytest.mark.parametrize("label", ["", "   ", "x" * 61, "a\nb", "a\x00b", "a\u202eb"])
def test_bad_label_is_refused(account_id: int, label: str) -> None:
    with pytest.raises(InvalidApiKeyRequest, match="label"):
        _create(account_id, label)
    assert not ApiKey.objects.exists()


def test_key_without_rights_is_refused(account_id: int) -> None:
    with pytest.raises(InvalidApiKeyRequest, match="right"):
        _create(account_id, can_read=False, can_trade=False)
    assert not ApiKey.objects.exists()


def test_unknown_account_is_refused(db: None) -> None:
    with pytest.raises(NoTradingAccount):
        _create(999)


def test_limit_counts_keys_in_use_only(account_id: int) -> None:
    keys = [_create(account_id, str(number)).key for number in range(API_KEYS_PER_ACCOUNT_MAX)]
    with pytest.raises(TooManyApiKeys):
        _create(account_id)
    revoke_api_key(account_id=account_id, key_id=keys[0].pk)
    _create(account_id, "again")
    assert ApiKey.objects.filter(revoked_at=None).count() == API_KEYS_PER_ACCOUNT_MAX


def test_list_shows_usable_keys_first_and_newest_first(account_id: int) -> None:
    first, second, third = (_create(account_id, label).key for label in "abc")
    revoke_api_key(account_id=account_id, key_id=second.pk)
    assert [key.pk for key in api_keys_of(account_id=account_id)] == [third.pk, first.pk, second.pk]


def test_revoking_a_foreign_key_is_like_revoking_none(account_id: int, make_user: Callable[..., User]) -> None:
    other = main_account_id(user_id=make_user("bob@example.org").pk)
    assert other is not None
    key = _create(account_id).key
    messages = set()
    for key_id in (key.pk, key.pk + 1000):
        with pytest.raises(ApiKeyNotFound) as refusal:
            revoke_api_key(account_id=other, key_id=key_id)
        messages.add(refusal.value.message)
    assert len(messages) == 1
    assert ApiKey.objects.get().revoked_at is None


def test_second_revocation_changes_nothing(account_id: int) -> None:
    key = _create(account_id).key
    revoke_api_key(account_id=account_id, key_id=key.pk)
    before = ApiKey.objects.values().get()
    revoke_api_key(account_id=account_id, key_id=key.pk)
    assert ApiKey.objects.values().get() == before


def test_database_refuses_to_undo_a_revocation_or_delete_a_key(account_id: int) -> None:
    key = _create(account_id).key
    revoke_api_key(account_id=account_id, key_id=key.pk)
    for undo in (
        lambda: ApiKey.objects.update(revoked_at=None),
        lambda: ApiKey.objects.update(revoked_at=timezone.now()),
        lambda: ApiKey.objects.all().delete(),
    ):
        with pytest.raises(IntegrityError), transaction.atomic():
            undo()
    assert ApiKey.objects.get().is_revoked


@pytest.mark.parametrize("public_key", ["short", "a" * 63 + "!", "a" * 63 + "\n"])
def test_database_refuses_a_malformed_public_key(account_id: int, public_key: str) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        ApiKey.objects.create(account_id=account_id, label="x", public_key=public_key, secret_box=b"")


@pytest.mark.django_db(transaction=True)
def test_parallel_creations_do_not_pass_the_limit_together(make_user: Callable[..., User]) -> None:
    account = main_account_id(user_id=make_user("alice@example.org").pk)
    assert account is not None
    for number in range(API_KEYS_PER_ACCOUNT_MAX - 3):
        _create(account, str(number))

    def one(number: int) -> bool:
        try:
            _create(account, f"parallel {number}")
            return True
        except TooManyApiKeys:
            return False
        finally:
            connection.close()

    with ThreadPoolExecutor(10) as pool:
        made = list(pool.map(one, range(10)))
    assert made.count(True) == 3
    assert ApiKey.objects.count() == API_KEYS_PER_ACCOUNT_MAX


@pytest.mark.django_db(transaction=True)
def test_revoking_a_key_while_its_owner_is_switched_off(
    make_user: Callable[..., User], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Switching off changes keys by a trigger, with the owner's row locked: whoever locked a key first waited for it,
    and it for them."""
    alice = make_user("alice@example.org")
    account = main_account_id(user_id=alice.pk)
    assert account is not None
    key = _create(account).key
    switching = []

    def switch_off() -> int:
        try:
            return User.objects.filter(pk=alice.pk).update(is_active=False)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool, psycopg.connect(settings.DATABASE_DSN, autocommit=True) as watching:

        def now_that_the_key_is_locked() -> datetime:
            switching.append(pool.submit(switch_off))
            until(lambda: watching.execute(SOMEBODY_WAITS).fetchone() is not None)
            return timezone.now()

        monkeypatch.setattr(api_keys, "timezone", SimpleNamespace(now=now_that_the_key_is_locked))
        revoke_api_key(account_id=account, key_id=key.pk)
        assert [each.result(timeout=60) for each in switching] == [1]
    key.refresh_from_db()
    alice.refresh_from_db()
    assert (key.is_revoked, alice.is_active) == (True, False)
