"""The staff admin opens to staff who showed the second factor within 15 minutes; others are led to what is missing."""

import html
import re
from types import SimpleNamespace
from urllib.parse import urlencode

import pytest
from django.test import Client

from apps.accounts import stepup
from apps.accounts.models import User
from apps.accounts.policy import STEP_UP_S, TYPED_FORM_LENGTH_MAX
from tests.accounts.factors import confirm_now, enter_admin, with_app
from tests.accounts.mailbox import submit
from tests.accounts.people import PASSWORD
from tests.codes import fresh_code

pytestmark = pytest.mark.django_db
USERS = "/admin/accounts/user/"


@pytest.fixture
def boss() -> User:
    return User.objects.create_superuser("boss@example.org", PASSWORD)


def after_log_in_page(client: Client, path: str) -> str:
    """Where /admin/login/ leads who asked for `path` and was sent there."""
    sent = client.get(path)
    assert sent["Location"].startswith("/admin/login/?next="), sent["Location"]
    return str(client.get(sent["Location"])["Location"])


def test_each_is_led_to_what_is_missing(boss: User) -> None:
    client = Client()
    assert after_log_in_page(client, USERS) == "/account/log-in?next=%2Fadmin%2Faccounts%2Fuser%2F"
    client.force_login(boss)
    assert after_log_in_page(client, USERS) == "/account/two-factor"
    assert "needs two-factor log-in" in client.get("/account/two-factor").content.decode()
    with_app(boss)
    assert after_log_in_page(client, USERS) == "/account/confirm-it-is-you?next=%2Fadmin%2Faccounts%2Fuser%2F"
    confirm_now(client)
    assert client.get(USERS).status_code == 200
    assert client.get(f"/admin/login/?next={USERS}")["Location"] == USERS


@pytest.mark.parametrize(("age_s", "opens"), [(STEP_UP_S - 0.1, True), (STEP_UP_S, False)])
def test_a_proof_lasts_15_minutes(
    boss: User, alice: User, age_s: float, opens: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = Client()
    enter_admin(client, boss)
    at_s = client.session["step_up"]["at_s"] + age_s
    monkeypatch.setattr(stepup, "time", SimpleNamespace(time=lambda: at_s))
    assert (client.get(USERS).status_code == 200) is opens
    sent = client.post(USERS, {"action": "switch_off", "_selected_action": [alice.pk], "reason": "stolen"})
    assert sent["Location"].startswith("/account/confirm-it-is-you") is not opens
    alice.refresh_from_db()
    assert alice.is_active is not opens


def test_a_form_sent_too_late_waits_for_another_press(boss: User, alice: User) -> None:
    secret, _ = with_app(boss)
    client = Client(enforce_csrf_checks=True)
    client.force_login(boss)
    form = {"action": "switch_off", "_selected_action": str(alice.pk), "reason": 'stolen "phone" & <key>'}
    client.get("/account/")
    assert client.post(f"{USERS}?q=alice", form).status_code == 403
    assert "begun" not in client.session, "a page elsewhere cannot leave anything here"
    token = client.cookies["csrftoken"].value
    asked = client.post(f"{USERS}?q=alice", {**form, "csrfmiddlewaretoken": token})
    assert asked["Location"] == "/account/confirm-it-is-you?next=%2Fadmin%2Fbegun%2F"
    confirmed = submit(client, asked["Location"], code=fresh_code(secret))
    page = client.get(confirmed["Location"])
    told = [str(message) for message in page.context["messages"]]
    assert "Confirmed for 15 minutes. Nothing was done yet: press “Send it now”." in told
    found = page.content.decode()
    assert "<td>stolen &quot;phone&quot; &amp; &lt;key&gt;</td>" in found
    alice.refresh_from_db()
    assert alice.is_active
    action = re.search(r'<form method="post" action="([^"]+)">', found.partition('id="content-main"')[2])
    assert action is not None
    hidden = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', found.partition(action.group(0))[2])
    sent = {name: html.unescape(text) for name, text in hidden}
    assert (action.group(1), sent.items() >= form.items()) == (f"{USERS}?q=alice", True)
    assert client.post(action.group(1), sent).status_code == 302
    alice.refresh_from_db()
    assert not alice.is_active
    assert client.get("/admin/begun/")["Location"] == "/admin/", "once"


def test_a_form_too_long_for_a_session_is_not_kept(boss: User) -> None:
    client = Client()
    with_app(boss)
    client.force_login(boss)
    asked = client.post(USERS, {"reason": "x" * TYPED_FORM_LENGTH_MAX})
    assert asked["Location"] == "/account/confirm-it-is-you?next=%2Fadmin%2Faccounts%2Fuser%2F"
    assert "begun" not in client.session


@pytest.mark.parametrize("by", ["password", "recovery-code"])
def test_neither_a_password_nor_a_recovery_code_opens_it(boss: User, by: str) -> None:
    client = Client()
    enter_admin(client, boss)
    session = client.session
    session["step_up"] |= {"by": by}
    session.save()
    assert after_log_in_page(client, USERS).startswith("/account/confirm-it-is-you")


def test_who_is_no_staff_is_told_so(alice: User) -> None:
    client = Client()
    enter_admin(client, alice)
    assert client.get(client.get(USERS)["Location"]).status_code == 403


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example", "javascript:alert(1)", ""])
def test_it_leads_to_pages_of_this_site_only(boss: User, target: str) -> None:
    client = Client()
    enter_admin(client, boss)
    assert client.get("/admin/login/", {"next": target})["Location"] == "/admin/"


def test_log_out_and_password_are_the_sites(boss: User) -> None:
    client = Client()
    client.force_login(boss)
    assert client.get("/admin/logout/").status_code == 405
    assert client.post("/admin/logout/")["Location"] == "/"
    assert client.get("/account/")["Location"].startswith("/account/log-in")
    enter_admin(client, boss)
    assert client.get("/admin/password_change/")["Location"] == "/account/password"


@pytest.mark.parametrize(
    "next_page", ["foo", "//evil.example", "https://evil.example/", "javascript:alert(1)", "\\\\evil.example"]
)
def test_what_is_no_path_of_this_site_leads_nowhere(boss: User, next_page: str) -> None:
    """At each page that goes on to `next`, also a text that Django's redirect would take for the name of a view."""
    client = Client()
    logged_in = client.post("/account/log-in", {"username": boss.email, "password": PASSWORD, "next": next_page})
    assert logged_in["Location"] == "/account/"
    assert client.get(f"/admin/login/?{urlencode({'next': next_page})}")["Location"] == "/account/two-factor"
    confirmed = client.post("/account/confirm-it-is-you", {"password": PASSWORD, "next": next_page})
    assert confirmed["Location"] == "/account/"
    secret, _ = with_app(boss)
    client.logout()
    client.post("/account/log-in", {"username": boss.email, "password": PASSWORD, "next": next_page})
    assert client.post("/account/log-in/code", {"code": fresh_code(secret)})["Location"] == "/account/"
    assert client.get(f"/admin/login/?{urlencode({'next': next_page})}")["Location"] == "/admin/"
