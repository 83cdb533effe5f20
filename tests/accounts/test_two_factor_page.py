"""/account/two-factor: setting up, replacing and removing an authenticator app, and recovery codes."""

import re
import time
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from apps.accounts.errors import FactorMissing
from apps.accounts.keyterms import KeyTerms
from apps.accounts.models import RecoveryCode, TotpFactor, User
from apps.accounts.policy import STEP_UP_S, TOTP_SETUP_S
from apps.accounts.secrets import open_totp
from apps.accounts.selectors import held_until, main_account_id
from apps.accounts.services.codes import use_code
from apps.accounts.services.factors import begin_totp, remove_totp, waiting_totp
from apps.accounts.services.keyissue import issue_hmac_key
from apps.accounts.services.recoverycodes import issue_codes, reissue_codes
from apps.accounts.totp import as_base32
from apps.audit.models import Record
from apps.notifications.models import OutgoingEmail
from tests.accounts.factors import with_app
from tests.accounts.mailbox import newest, submit
from tests.accounts.passkeys import with_passkey
from tests.accounts.people import PASSWORD
from tests.codes import fresh_code

pytestmark = pytest.mark.django_db
PAGE, APP, CONFIRM = "/account/two-factor", "/account/two-factor/app", "/account/confirm-it-is-you"
ASKED = f"{CONFIRM}?next=/account/two-factor"


def press(client: Client, action: str) -> str:
    """Where a button of the page leads."""
    sent = submit(client, f"{PAGE}/{action}", page=PAGE)
    return str(sent["Location"])


def test_from_nothing_to_an_app_and_codes(alice: User, alice_client: Client) -> None:
    assert "not set up" in alice_client.get(PAGE).content.decode()
    assert press(alice_client, "begin") == ASKED.replace("/account/two-factor", "%2Faccount%2Ftwo-factor")
    assert "Nothing was done yet. Confirm first" in alice_client.get(CONFIRM).content.decode()
    assert submit(alice_client, CONFIRM, password="wrong", next=PAGE).status_code == 422
    assert submit(alice_client, CONFIRM, password=PASSWORD, next=PAGE)["Location"] == PAGE
    assert press(alice_client, "begin") == APP
    page = alice_client.get(APP).content.decode()
    assert 'src="data:image/svg+xml' in page
    secret = re.search(r'id="totp-secret">([A-Z2-7]{32})<', page)
    assert secret is not None
    assert submit(alice_client, APP, code="12345").status_code == 422
    assert not TotpFactor.objects.exclude(confirmed_at=None).exists()
    shown = submit(alice_client, APP, code=fresh_code(secret.group(1))).content.decode()
    codes = re.findall(r"<li>([A-Z2-7]{4}(?:-[A-Z2-7]{4}){5})</li>", shown)
    assert len(set(codes)) == 10
    assert "10 of 10 left" in alice_client.get(PAGE).content.decode()
    stored = str(list(RecoveryCode.objects.values())) + str(list(TotpFactor.objects.values()))
    assert not any(code in stored or code.replace("-", "") in stored for code in (*codes, secret.group(1)))
    assert "has an authenticator app" in newest(alice.email).text
    (recorded,) = Record.objects.filter(action__startswith="user.factor")
    assert (recorded.action, recorded.object) == ("user.factor-added", f"user:{alice.pk}")
    assert held_until(user=User.objects.get()) is None, "the first factor takes nothing from anybody"
    assert alice_client.get(APP)["Location"] == PAGE


def confirmed(alice: User, client: Client) -> str:
    """alice has an app, and her browser has just shown its code; the secret."""
    secret, _ = with_app(alice)
    assert submit(client, CONFIRM, code=fresh_code(secret), next=PAGE)["Location"] == PAGE
    return secret


def test_with_an_app_the_password_confirms_nothing(alice: User, alice_client: Client) -> None:
    assert submit(alice_client, CONFIRM, password=PASSWORD, next=PAGE)["Location"] == PAGE
    secret, _ = with_app(alice)
    assert press(alice_client, "remove").startswith(CONFIRM), "confirmed by a password, before there was an app"
    assert submit(alice_client, CONFIRM, password=PASSWORD, next=PAGE).status_code == 422
    assert press(alice_client, "remove").startswith(CONFIRM)
    assert submit(alice_client, CONFIRM, code=fresh_code(secret), next=PAGE)["Location"] == PAGE
    assert press(alice_client, "remove") == PAGE
    assert not TotpFactor.objects.exists()


@pytest.mark.parametrize(("age_s", "holds"), [(STEP_UP_S - 1, True), (STEP_UP_S, False), (-1, False)])
def test_a_confirmation_lasts_15_minutes(
    alice: User, alice_client: Client, monkeypatch: pytest.MonkeyPatch, age_s: int, holds: bool
) -> None:
    confirmed(alice, alice_client)
    at = alice_client.session["step_up"]["at_s"] + age_s
    monkeypatch.setattr("apps.accounts.stepup.time.time", lambda: at)
    assert press(alice_client, "begin").startswith(APP if holds else CONFIRM)


def test_wrong_and_used_codes_confirm_nothing(alice: User, alice_client: Client) -> None:
    secret, _ = with_app(alice)
    code = fresh_code(secret)
    use_code(user_id=alice.pk, code=code)
    assert submit(alice_client, CONFIRM, code=code).status_code == 422
    TotpFactor.objects.update(failures=10, failures_since=timezone.now())
    assert submit(alice_client, CONFIRM, code=fresh_code(secret)).status_code == 429
    assert "step_up" not in alice_client.session


def test_replacing_keeps_the_old_app_until_the_new_one_shows_a_code(alice: User, alice_client: Client) -> None:
    old = confirmed(alice, alice_client)
    press(alice_client, "begin")
    page = alice_client.get(APP).content.decode()
    new = re.search(r'id="totp-secret">([A-Z2-7]{32})<', page)
    assert new is not None
    use_code(user_id=alice.pk, code=fresh_code(old))
    assert submit(alice_client, APP, code=fresh_code(new.group(1)))["Location"] == PAGE
    assert TotpFactor.objects.count() == 1
    assert Record.objects.filter(action="user.factor-replaced").count() == 1
    assert held_until(user=User.objects.get()) is not None
    assert "another authenticator app" in newest(alice.email).text
    assert "the old one is not any more" in alice_client.get(PAGE).content.decode()
    assert RecoveryCode.objects.count() == 10


def test_a_set_up_that_waited_for_too_long(alice: User, alice_client: Client) -> None:
    submit(alice_client, CONFIRM, password=PASSWORD)
    press(alice_client, "begin")
    TotpFactor.objects.update(created_at=timezone.now() - timedelta(seconds=TOTP_SETUP_S + 1))
    assert submit(alice_client, APP, page=PAGE, code="123456")["Location"] == PAGE
    assert "Begin again" in alice_client.get(PAGE).content.decode()
    assert not TotpFactor.objects.exclude(confirmed_at=None).exists()


def test_removing_ends_the_recovery_codes_and_is_told(alice: User, alice_client: Client) -> None:
    confirmed(alice, alice_client)
    assert press(alice_client, "remove") == PAGE
    assert (TotpFactor.objects.count(), RecoveryCode.objects.count()) == (0, 0)
    assert Record.objects.filter(action="user.factor-removed").count() == 1
    assert "was removed" in newest(alice.email).text
    assert held_until(user=User.objects.get()) is not None
    assert "Your password alone logs in from now on." in alice_client.get(PAGE).content.decode()
    assert press(alice_client, "begin").startswith(CONFIRM), "what the app confirmed ended with it"
    assert submit(alice_client, CONFIRM, password=PASSWORD, next=PAGE)["Location"] == PAGE
    assert press(alice_client, "remove") == PAGE
    assert "has no authenticator app" in alice_client.get(PAGE).content.decode()
    with pytest.raises(FactorMissing):
        remove_totp(user_id=alice.pk)


def test_a_recovery_code_counts_for_what_else_is_lost(alice: User, alice_client: Client) -> None:
    with_app(alice)
    session = alice_client.session
    session["step_up"] = {"at_s": int(time.time()), "by": "recovery-code"}
    session.save()
    assert press(alice_client, "remove") == PAGE
    assert press(alice_client, "begin") == APP


def test_beside_a_passkey_an_app_replaces_nothing_and_leaves_it(alice: User, alice_client: Client) -> None:
    issue_codes(alice)
    begin_totp(user_id=alice.pk)
    waiting = waiting_totp(user_id=alice.pk)
    assert waiting is not None
    with_passkey(alice)
    session = alice_client.session
    session["step_up"] = {"at_s": int(time.time()), "by": "passkey"}
    session.save()
    secret = as_base32(open_totp(alice.pk, waiting.secret_box))
    assert submit(alice_client, APP, code=fresh_code(secret))["Location"] == PAGE
    assert "Your new authenticator app is in use." in alice_client.get(PAGE).content.decode()
    assert press(alice_client, "remove") == PAGE
    assert "The authenticator app is removed. Your passkeys remain." in alice_client.get(PAGE).content.decode()


@pytest.mark.parametrize("why", ["API keys can trade", "Staff must"])
def test_who_must_have_a_factor_keeps_it(alice: User, alice_client: Client, why: str) -> None:
    confirmed(alice, alice_client)
    if why == "Staff must":
        User.objects.update(is_staff=True)
    else:
        account_id = main_account_id(user_id=alice.pk)
        assert account_id is not None
        issue_hmac_key(account_id=account_id, terms=KeyTerms(label="bot", can_read=True, can_trade=True))
    assert press(alice_client, "remove") == PAGE
    assert why in alice_client.get(PAGE).content.decode()
    assert TotpFactor.objects.count() == 1
    assert not OutgoingEmail.objects.filter(subject__contains="removed").exists()


def test_new_recovery_codes_end_the_old_ones(alice: User, alice_client: Client) -> None:
    confirmed(alice, alice_client)
    before = {bytes(code.code_hash) for code in RecoveryCode.objects.all()}
    shown = submit(alice_client, f"{PAGE}/recovery-codes", page=PAGE)
    assert len(re.findall(r"<li>[A-Z2-7]{4}-", shown.content.decode())) == 10
    assert before.isdisjoint(bytes(code.code_hash) for code in RecoveryCode.objects.all())
    assert RecoveryCode.objects.count() == 10
    assert Record.objects.filter(action="user.recovery-codes").count() == 1
    bob = User.objects.create_user("bob@example.org", PASSWORD)
    with pytest.raises(FactorMissing, match="none yet"):
        reissue_codes(user_id=bob.pk)


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example", "javascript:alert(1)"])
def test_confirming_leads_to_pages_of_this_site_only(alice_client: Client, target: str) -> None:
    assert submit(alice_client, CONFIRM, password=PASSWORD, next=target)["Location"] == "/account/"


@pytest.mark.parametrize("action", ["begin", "remove", "recovery-codes"])
def test_buttons_need_post_csrf_and_a_log_in(alice: User, alice_client: Client, action: str) -> None:
    confirmed(alice, alice_client)
    assert alice_client.post(f"{PAGE}/{action}").status_code == 403
    assert alice_client.get(f"{PAGE}/{action}").status_code == 405
    assert Client().post(f"{PAGE}/{action}")["Location"].startswith("/account/log-in?")
    assert TotpFactor.objects.count() == 1
