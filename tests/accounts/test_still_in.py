"""A request that is under way when the owner resets the password or locks the account changes nothing (threat-T5)."""

from typing import Any

import pytest
from django.contrib.auth import password_validation
from django.contrib.sessions.models import Session
from django.test import Client
from django_otp_webauthn.models import WebAuthnCredential

from apps.accounts.models import ApiKey, RecoveryCode, TotpFactor, User
from apps.accounts.services import ending, sessions
from apps.accounts.services.announcements import tell_password_changed
from apps.accounts.services.emailchange import request_email_change
from apps.accounts.services.ending import end_other_sessions
from apps.accounts.services.factors import begin_totp
from apps.accounts.services.locking import lock_account
from apps.accounts.services.resets import request_reset, reset_password
from apps.notifications.models import NoticePreference
from tests.accounts.factors import confirm_now, with_app
from tests.accounts.mailbox import HERE, link_to, lock_link_to, submit, token_of
from tests.accounts.passkeys import with_passkey
from tests.accounts.people import PASSWORD

pytestmark = pytest.mark.django_db
SECRETS: tuple[Any, ...] = (TotpFactor, WebAuthnCredential, RecoveryCode, ApiKey)
OWNERS, THIEFS = "the owner's new one", "the thief's new one"


def _reset(user: User) -> None:
    request_reset(email=user.email, client=HERE)
    reset_password(token=token_of(link_to(user.email)), new_password=OWNERS)


def _lock(user: User) -> None:
    tell_password_changed(user)
    lock_account(token=token_of(lock_link_to(user.email, "password_changed")))


def _log_out_elsewhere(user: User) -> None:
    end_other_sessions(user_id=user.pk, session_key=None)


@pytest.mark.parametrize("locks_first", [False, True])
def test_a_reset_is_not_overwritten_by_a_change_under_way(
    alice: User, monkeypatch: pytest.MonkeyPatch, locks_first: bool
) -> None:
    thief = Client(enforce_csrf_checks=True)
    submit(thief, "/account/log-in", username=alice.email, password=PASSWORD)
    plain = password_validation.validate_password

    def owner_comes_first(*args: Any) -> None:
        monkeypatch.setattr(sessions, "validate_password", plain)
        if locks_first:
            _lock(alice)
        _reset(alice)
        plain(*args)

    monkeypatch.setattr(sessions, "validate_password", owner_comes_first)
    answer = submit(thief, "/account/password", current=PASSWORD, new=THIEFS)
    assert (answer.status_code, answer["Location"]) == (302, "/account/log-in")
    assert "logged out meanwhile" in thief.get("/account/log-in").content.decode()
    alice.refresh_from_db()
    assert alice.check_password(OWNERS)
    assert not Session.objects.filter(opened__user=alice).exists()
    assert thief.get("/account/").status_code == 302


@pytest.mark.parametrize("end", [_reset, _lock, _log_out_elsewhere])
@pytest.mark.parametrize(
    ("path", "data"),
    [
        ("/account/two-factor/begin", {}),
        ("/account/two-factor/app", {"code": "123456"}),
        ("/account/two-factor/remove", {}),
        ("/account/two-factor/recovery-codes", {}),
        ("/account/passkeys/{passkey}/remove", {}),
        ("/account/mail-phrase", {"phrase": "purple elephants"}),
        ("/account/api-keys", {"label": "bot", "can_read": "on", "can_trade": "on"}),
        ("/account/notices/preferences", {"topics": "service", "email": "service"}),
        ("/account/email/{token}", {}),
    ],
)
def test_nothing_else_is_done_in_a_session_that_ended_meanwhile(
    alice: User, monkeypatch: pytest.MonkeyPatch, end: Any, path: str, data: dict[str, str]
) -> None:
    thief = Client()
    thief.post("/account/log-in", {"username": alice.email, "password": PASSWORD})
    with_app(alice)
    with_passkey(alice)
    confirm_now(thief)
    if path.endswith("/app"):
        begin_totp(user_id=alice.pk)
        monkeypatch.setattr("apps.accounts.services.factors.matching_step", lambda *_, **__: 1)
    if path.endswith("{token}"):
        request_email_change(user=alice, new_address="thief@example.org", client=HERE)
        path = path.format(token=token_of(link_to("thief@example.org")))
    plain = ending.lock_sessions

    def owner_comes_first(user_id: int) -> None:
        monkeypatch.setattr(ending, "lock_sessions", plain)
        end(alice)
        plain(user_id)

    def kept() -> list[Any]:
        rows: list[Any] = [list(model.objects.values()) for model in (*SECRETS, NoticePreference)]
        return [*rows, User.objects.values_list("mail_phrase", "email").get()]

    before = kept()
    monkeypatch.setattr(ending, "lock_sessions", owner_comes_first)
    answer = thief.post(path.format(passkey=WebAuthnCredential.objects.get().pk), data)
    assert (answer.status_code, answer["Location"]) == (302, "/account/log-in")
    assert kept() == before
