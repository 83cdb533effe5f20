"""The second step of a log-in, and the way in when the authenticator app is lost (requirement A2)."""

import time
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from apps.accounts.models import MailedLink, RecoveryCode, TotpFactor, User
from apps.accounts.policy import FAILURES_PER_SUBJECT_MAX, LINKS_PER_NETWORK_MAX, SECOND_STEP_S
from apps.accounts.selectors import held_until
from apps.accounts.services.announcements import tell_password_changed
from apps.accounts.services.factors import remove_totp
from apps.accounts.services.locking import lock_account
from apps.audit.models import Record
from apps.notifications.models import OutgoingEmail
from tests.accounts.factors import password_step, with_app
from tests.accounts.mailbox import link_to, lock_link_to, newest, submit, token_of
from tests.accounts.people import PASSWORD
from tests.codes import code_of, fresh_code

pytestmark = pytest.mark.django_db
CODE_PAGE = "/account/log-in/code"


def is_logged_in(client: Client) -> bool:
    return client.get("/account/").status_code == 200


def test_the_password_alone_opens_nothing(alice: User) -> None:
    secret, _ = with_app(alice)
    client = Client(enforce_csrf_checks=True)
    sent = submit(client, "/account/log-in", username=alice.email, password=PASSWORD, next="/account/api-keys")
    assert sent["Location"] == CODE_PAGE
    assert not is_logged_in(client)
    assert not Record.objects.filter(action="user.log-in").exists()
    anonymous = client.session.session_key
    assert submit(client, CODE_PAGE, code=code_of(secret, 1)).status_code == 422
    assert not is_logged_in(client)
    sent = submit(client, CODE_PAGE, code=fresh_code(secret))
    assert sent["Location"] == "/account/api-keys"
    assert is_logged_in(client)
    assert client.session.session_key != anonymous
    assert client.session["factors"] == ["authenticator", "password"]
    assert client.get(CODE_PAGE)["Location"] == "/account/log-in"
    assert Record.objects.filter(action="user.log-in").count() == 1


def test_without_a_password_there_is_no_second_step(alice: User) -> None:
    secret, _ = with_app(alice)
    client = Client()
    assert client.post(CODE_PAGE, {"code": fresh_code(secret)})["Location"] == "/account/log-in"
    assert client.post("/account/log-in/lost")["Location"] == "/account/log-in"
    assert not MailedLink.objects.exists()
    assert not is_logged_in(client)


def test_another_persons_code_does_not_help(alice: User) -> None:
    with_app(alice)
    bob = User.objects.create_user("bob@example.org", PASSWORD)
    secret, _ = with_app(bob)
    client = Client()
    password_step(client, alice)
    assert client.post(CODE_PAGE, {"code": fresh_code(secret)}).status_code == 422


@pytest.mark.parametrize("change", ["new password", "switched off", "late", "factor removed"])
def test_what_ends_the_second_step(alice: User, change: str, monkeypatch: pytest.MonkeyPatch) -> None:
    secret, _ = with_app(alice)
    client = Client()
    password_step(client, alice)
    if change == "new password":
        alice.set_password("another good password")
        alice.save()
    elif change == "switched off":
        User.objects.update(is_active=False)
    elif change == "late":
        at = time.time() + SECOND_STEP_S + 1
        monkeypatch.setattr("apps.accounts.secondstep.time.time", lambda: at)
    else:
        remove_totp(user_id=alice.pk)
    assert client.post(CODE_PAGE, {"code": fresh_code(secret)})["Location"] == "/account/log-in"
    assert not is_logged_in(client)


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example", "javascript:alert(1)"])
def test_afterwards_to_pages_of_this_site_only(alice: User, target: str) -> None:
    secret, _ = with_app(alice)
    client = Client()
    password_step(client, alice, next=target)
    assert client.post(CODE_PAGE, {"code": fresh_code(secret)})["Location"] == "/account/"


def test_too_many_wrong_codes(alice: User) -> None:
    secret, _ = with_app(alice)
    client = Client()
    password_step(client, alice)
    TotpFactor.objects.update(failures=10, failures_since=timezone.now())
    assert client.post(CODE_PAGE, {"code": fresh_code(secret)}).status_code == 429
    assert not is_logged_in(client)


def lost(alice: User) -> tuple[Client, str, list[str]]:
    """A browser after the password, the link that was mailed to it, and the recovery codes."""
    _, codes = with_app(alice)
    client = Client(enforce_csrf_checks=True)
    submit(client, "/account/log-in", username=alice.email, password=PASSWORD)
    sent = submit(client, "/account/log-in/lost", page=CODE_PAGE)
    assert sent["Location"] == "/account/check-mail"
    return client, link_to(alice.email), codes


def test_password_link_and_recovery_code_let_one_in_once(alice: User) -> None:
    client, link, codes = lost(alice)
    sent = submit(client, link, code=codes[3].lower().replace("-", " "))
    assert sent["Location"] == "/account/two-factor"
    assert client.session["factors"] == ["mailed-link", "password", "recovery-code"]
    assert OutgoingEmail.objects.filter(template="recovered", to=alice.email).count() == 1
    recorded = Record.objects.get(action="user.recovery")
    assert (recorded.actor_id, recorded.after) == (str(alice.pk), '{"left":9}')
    assert client.get(link).status_code == 410
    # The same code and a new link: the code is used up, and nothing changes.
    again = Client(enforce_csrf_checks=True)
    submit(again, "/account/log-in", username=alice.email, password=PASSWORD)
    submit(again, "/account/log-in/lost", page=CODE_PAGE)
    assert submit(again, link_to(alice.email), code=codes[3]).status_code == 422
    assert not is_logged_in(again)
    assert RecoveryCode.objects.filter(used_at=None).count() == 9
    # Another app can be set up without the old one.
    assert client.post("/account/two-factor/begin", {"csrfmiddlewaretoken": client.cookies["csrftoken"].value})[
        "Location"
    ] == ("/account/two-factor/app")


def test_a_log_in_by_recovery_code_holds_withdrawals_before_anything_is_set_up_behind_it(alice: User) -> None:
    """A4: a passkey beside the lost app, or a first app beside a lost passkey, replaces nothing and holds nothing."""
    client, link, codes = lost(alice)
    assert "This holds withdrawals for 24 hours." in client.get(link).content.decode()
    assert submit(client, link, code="AAAA-AAAA-AAAA-AAAA").status_code == 422
    assert held_until(user=User.objects.get()) is None
    since = timezone.now()
    assert submit(client, link, code=codes[0])["Location"] == "/account/two-factor"
    until = held_until(user=User.objects.get())
    assert until is not None
    assert since <= until - timedelta(hours=24) <= timezone.now()
    held = Record.objects.get(action="user.withdrawals-held")
    assert (held.object, held.reason) == (f"user:{alice.pk}", "a recovery code stood in for the second factor")
    assert "Withdrawals are held for 24 hours" in newest(alice.email).text


def test_the_link_alone_asks_for_the_password(alice: User) -> None:
    _, link, codes = lost(alice)
    other = Client()
    assert other.get(link)["Location"] == "/account/log-in"
    assert other.post(link, {"code": codes[0]})["Location"] == "/account/log-in"
    bob = User.objects.create_user("bob@example.org", PASSWORD)
    with_app(bob)
    password_step(other, bob)
    assert other.post(link, {"code": codes[0]})["Location"] == "/account/log-in"
    assert not is_logged_in(other)
    assert RecoveryCode.objects.filter(user=alice, used_at=None).count() == 10


def test_guessing_recovery_codes_is_slowed_down(alice: User) -> None:
    client, link, codes = lost(alice)
    for _ in range(FAILURES_PER_SUBJECT_MAX):
        assert submit(client, link, code="AAAA-AAAA-AAAA-AAAA").status_code == 422
    refused = submit(client, link, code=codes[0])
    assert refused.status_code == 429
    assert not is_logged_in(client)


def test_a_link_to_an_old_address_is_dead(alice: User) -> None:
    client, link, codes = lost(alice)
    User.objects.update(email="new@example.org")
    assert submit(client, link, code=codes[0]).status_code == 410
    assert RecoveryCode.objects.filter(used_at=None).count() == 10


def test_links_for_the_lost_are_limited(alice: User) -> None:
    client, _, _ = lost(alice)
    link = MailedLink.objects.get()
    MailedLink.objects.bulk_create(
        MailedLink(
            purpose=link.purpose, address=f"{number}@example.org", token_hash=bytes([number]), network=link.network,
            expires_at=link.expires_at + timedelta(days=1),
        )
        for number in range(LINKS_PER_NETWORK_MAX)
    )  # fmt: skip
    sent = submit(client, "/account/log-in/lost", page=CODE_PAGE)
    assert sent["Location"] == CODE_PAGE
    assert "Too many" in client.get(CODE_PAGE).content.decode()
    assert OutgoingEmail.objects.filter(template="recover").count() == 1


def test_a_locked_account_uses_up_no_recovery_code(alice: User) -> None:
    _, codes = with_app(alice)
    tell_password_changed(alice)
    lock = token_of(lock_link_to(alice.email, "password_changed"))
    browser = Client(enforce_csrf_checks=True)
    submit(browser, "/account/log-in", username=alice.email, password=PASSWORD)
    submit(browser, "/account/log-in/lost", page="/account/log-in/code")
    link = link_to(alice.email)
    lock_account(token=lock)
    MailedLink.objects.update(used_at=None)  # the lock ends it, too
    assert submit(browser, "/account/log-in/lost", page="/account/log-in")["Location"] == "/account/log-in"
    assert submit(browser, link, page="/account/log-in", code=codes[0])["Location"] == "/account/log-in"
    assert RecoveryCode.objects.filter(used_at=None).count() == len(codes)
