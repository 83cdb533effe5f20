"""'Lock my account' in e-mail: what it ends, who can use it, and the ways back (requirement A7, threats T4 and T5)."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.models import F
from django.test import Client
from django.utils import timezone

from apps.accounts.errors import InvalidApiKeyRequest, LinkDead
from apps.accounts.keyterms import KeyTerms
from apps.accounts.models import ApiKey, Device, LockLink, MailedLink, OpenSession, TradingTicket, User
from apps.accounts.policy import LOCK_LINK_S
from apps.accounts.selectors import main_account_id
from apps.accounts.services.emailchange import confirm_email_change, request_email_change
from apps.accounts.services.forgetting import forget_links_and_attempts
from apps.accounts.services.keyissue import issue_hmac_key
from apps.accounts.services.locking import lock_account
from apps.accounts.services.locklinks import new_lock_link
from apps.accounts.services.phrases import change_phrase
from apps.accounts.services.subaccounts import create_sub_account
from apps.audit.models import Record
from apps.notifications.models import Notice, OutgoingEmail
from tests.accounts.mailbox import HERE, link_to, lock_link_to, newest, submit, token_of
from tests.accounts.people import PASSWORD
from tests.pages.world import logged_in

pytestmark = pytest.mark.django_db
NEW = "a new good password"


def _log_in(email: str, password: str = PASSWORD) -> int:
    return Client().post("/account/log-in", {"username": email, "password": password}).status_code


@pytest.fixture
def link(alice: User) -> str:
    """Of the mail that tells alice of another phrase."""
    change_phrase(user_id=alice.pk, phrase="purple elephants")
    return lock_link_to(alice.email, "phrase_changed")


def test_one_button_ends_everything_and_nobody_gets_in(alice: User, link: str) -> None:
    browser, thief = Client(), Client(enforce_csrf_checks=True)
    submit(thief, "/account/log-in", username=alice.email, password=PASSWORD)
    assert submit(thief, "/trade/ticket", page="/account/").status_code == 200
    for account_id in (main_account_id(user_id=alice.pk), create_sub_account(user_id=alice.pk, label="Desk").pk):
        assert account_id is not None
        issue_hmac_key(account_id=account_id, terms=KeyTerms(label="bot", can_read=True, can_trade=True))
    submit(browser, "/account/forgot-password", email=alice.email)
    old_reset = link_to(alice.email)
    response = submit(browser, link)
    assert (response.status_code, "/account/forgot-password" in response.content.decode()) == (200, True)
    assert thief.get("/account/").status_code == 302
    assert not OpenSession.objects.exists()
    assert not Device.objects.exists()
    assert not TradingTicket.objects.filter(revoked_at=None).exists()
    assert (ApiKey.objects.count(), ApiKey.objects.filter(revoked_at=None).count()) == (2, 0)
    assert browser.get(old_reset).status_code == 410
    assert _log_in(alice.email) == 422, "as if the password were wrong"
    alice.refresh_from_db()
    assert alice.locked_at is not None
    assert alice.withdrawals_held_until is not None
    assert alice.withdrawals_held_until > timezone.now() + timedelta(hours=23)
    locked = Record.objects.get(action="user.locked")
    assert (locked.object, locked.after) == (f"user:{alice.pk}", '{"needs_staff":false}')
    assert "/account/forgot-password" in newest(alice.email, "account_locked").text


def test_opening_the_link_changes_nothing(alice: User, link: str) -> None:
    page = Client().get(link).content.decode()
    assert alice.email in page
    assert Client().head(link).status_code == 405
    assert Client(enforce_csrf_checks=True).post(link).status_code == 403
    alice.refresh_from_db()
    assert (alice.locked_at, _log_in(alice.email)) == (None, 302)
    assert LockLink.objects.filter(used_at=None).exists()


def test_a_new_password_by_e_mail_opens_it_again_and_the_link_is_used_up(alice: User, link: str) -> None:
    client = Client()
    assert client.post(link).status_code == 200
    assert submit(client, "/account/forgot-password", email=alice.email).status_code == 302
    assert submit(client, link_to(alice.email), new=NEW).status_code == 302
    assert (_log_in(alice.email), _log_in(alice.email, NEW)) == (422, 302)
    assert Record.objects.filter(action="user.unlocked", object=f"user:{alice.pk}").count() == 1
    assert (client.get(link).status_code, client.post(link).status_code) == (410, 410)
    alice.refresh_from_db()
    assert alice.locked_at is None
    assert not ApiKey.objects.filter(revoked_at=None).exists()


@pytest.mark.parametrize("bad", ["x" * 43, "x", "\u00e9", "%00", "a" * 5_000])
def test_what_is_no_link_locks_nothing(alice: User, link: str, bad: str) -> None:
    for method in (Client().get, Client().post):
        assert method(f"/account/lock/{bad}").status_code == 410
    assert not User.objects.exclude(locked_at=None).exists()


def test_a_link_of_another_purpose_is_none_and_it_lasts_seven_days(alice: User, link: str) -> None:
    submit(Client(), "/account/forgot-password", email=alice.email)
    assert Client().post(f"/account/lock/{token_of(link_to(alice.email))}").status_code == 410
    assert Client().get(f"/account/reset-password/{token_of(link)}").status_code == 410
    LockLink.objects.update(expires_at=F("expires_at") - timedelta(seconds=LOCK_LINK_S))
    assert Client().post(link).status_code == 410
    assert not User.objects.exclude(locked_at=None).exists()
    expired = LockLink.objects.count()
    assert forget_links_and_attempts()[1] == expired >= 1
    assert not LockLink.objects.exists()


def test_only_its_hash_is_stored(alice: User, link: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT l::text FROM accounts_locklink l")
        dump = str(cursor.fetchall())
    assert token_of(link) not in dump
    assert token_of(link).encode().hex() not in dump


def test_each_mail_about_a_change_has_one_and_each_works(alice: User) -> None:
    browser = Client()
    submit(browser, "/account/log-in", username=alice.email, password=PASSWORD)
    submit(Client(), "/account/log-in", username=alice.email, password=PASSWORD)
    submit(browser, "/account/mail-phrase", phrase="green tea", password=PASSWORD)
    submit(browser, "/account/password", current=PASSWORD, new=NEW)
    links = [lock_link_to(alice.email, each) for each in ("new_device", "phrase_changed", "password_changed")]
    assert len(set(links)) == 3
    for each in links:
        assert Client().post(each).status_code == 200, "one that is locked already stays so"
    assert (
        OutgoingEmail.objects.filter(template="account_locked").count()
        == Record.objects.filter(action="user.locked").count()
        == 3
    )


ASK = "write to support@localhost, where people of the exchange find out whose it is"


def _moved(alice: User) -> str:
    """Somebody with alice's session moved the account to an address of theirs; the link in the mail to the old one."""
    request_email_change(user=alice, new_address="thief@example.org", client=HERE)
    confirm_email_change(token=token_of(link_to("thief@example.org")), user=alice, session_key=logged_in(alice))
    return lock_link_to("alice@example.org", "email_changed")


def test_from_an_earlier_address_it_needs_staff_so_that_neither_side_takes_the_account(alice: User) -> None:
    lock = _moved(alice)
    told = newest("alice@example.org", "email_changed")
    for text in (told.text, told.html, Notice.objects.get(title="The address of your account was changed").body):
        assert "write to support@localhost" in text
    change_phrase(user_id=alice.pk, phrase="the thief's words")
    thiefs = lock_link_to("thief@example.org", "phrase_changed")
    assert ASK in Client().post(lock).content.decode()
    for address in ("alice@example.org", "thief@example.org"):
        assert ASK in newest(address, "account_locked_for_staff").text
    client = Client()
    submit(client, "/account/forgot-password", email="thief@example.org")
    assert ASK in newest("thief@example.org").text
    assert MailedLink.objects.filter(purpose="reset").count() == 1
    out = StringIO()
    call_command("release_account_lock", "thief@example.org", address="Alice@example.org", reason="ID seen", stdout=out)
    assert "alice@example.org".lower() in out.getvalue().lower()
    released = Record.objects.get(action="user.lock-released")
    assert (released.after, released.reason) == ('{"other_address":true}', "ID seen")
    assert _log_in("alice@example.org") == 422, "locked until a new password is set"
    assert Client().post(thiefs).status_code == 410, "nobody at an earlier address locks it once more"
    submit(client, "/account/forgot-password", email="alice@example.org")
    assert submit(client, link_to("alice@example.org"), new=NEW).status_code == 302
    assert _log_in("alice@example.org", NEW) == 302


def test_a_reset_that_was_mailed_before_does_not_open_what_staff_decide(alice: User) -> None:
    lock = _moved(alice)
    submit(Client(), "/account/forgot-password", email="thief@example.org")
    reset = link_to("thief@example.org")
    Client().post(lock)
    MailedLink.objects.update(used_at=None)
    assert Client().post(reset, {"new": NEW}).status_code == 410
    assert User.objects.exclude(locked_at=None).exists()


@pytest.mark.parametrize(
    ("email", "address", "reason", "why"),
    [
        ("nobody@example.org", "alice@example.org", "why", "no account with this address"),
        ("bob@example.org", "alice@example.org", "why", "not locked in a way"),
        ("thief@example.org", "bob@example.org", "why", "has another account"),
        ("thief@example.org", "no address", "why", "valid e-mail"),
        ("thief@example.org", "alice@example.org", " ", "Give a reason"),
    ],
)
def test_a_release_that_cannot_be_changes_nothing(
    alice: User, make_user: Callable[..., User], email: str, address: str, reason: str, why: str
) -> None:
    make_user("bob@example.org")
    Client().post(_moved(alice))
    with pytest.raises(CommandError, match=why):
        call_command("release_account_lock", email, address=address, reason=reason)
    alice.refresh_from_db()
    assert (alice.email, alice.lock_needs_staff) == ("thief@example.org", True)
    assert not Record.objects.filter(action="user.lock-released").exists()


def test_no_key_is_made_by_a_page_that_was_open(alice: User, link: str) -> None:
    Client().post(link)
    account_id = main_account_id(user_id=alice.pk)
    assert account_id is not None
    with pytest.raises(InvalidApiKeyRequest, match="locked"):
        issue_hmac_key(account_id=account_id, terms=KeyTerms(label="bot", can_read=True, can_trade=True))
    assert not ApiKey.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_of_parallel_clicks_one_counts(make_user: Any) -> None:
    alice = make_user("alice@example.org")
    token = token_of(new_lock_link(alice, address=alice.email))
    barrier = threading.Barrier(5)

    def click(_: int) -> bool:
        barrier.wait(timeout=60)
        try:
            lock_account(token=token)
            return True
        except LinkDead:
            return False
        finally:
            connection.close()

    with ThreadPoolExecutor(5) as pool:
        assert list(pool.map(click, range(5))).count(True) == 1
    assert OutgoingEmail.objects.count() == 1
