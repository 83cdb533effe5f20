"""A forgotten password and a new address: links that work once, and what they end (requirement A1)."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.contrib.sessions.backends.db import SessionStore
from django.db.models import F
from django.test import Client

from apps.accounts.models import MailedLink, TradingTicket, User
from apps.accounts.policy import CHANGE_LINK_S, RESET_LINK_S
from apps.accounts.services.tickets import issue_ticket
from apps.notifications.models import OutgoingEmail
from tests.accounts.mailbox import link_to, newest, submit
from tests.accounts.people import PASSWORD

pytestmark = pytest.mark.django_db
NEW = "a new good password"


def _forgot(email: str) -> None:
    assert submit(Client(), "/account/forgot-password", email=email).status_code == 302


def _reset_link(email: str) -> str:
    _forgot(email)
    return link_to(email)


def _log_in(email: str, password: str) -> bool:
    return bool(Client().post("/account/log-in", {"username": email, "password": password}).status_code == 302)


def _age(seconds: int) -> None:
    MailedLink.objects.update(expires_at=F("expires_at") - timedelta(seconds=seconds))


def test_a_reset_sets_the_password_and_ends_everything(alice: User, alice_client: Client) -> None:
    session = SessionStore()
    session.create()
    assert session.session_key is not None
    issue_ticket(user_id=alice.pk, session_key=session.session_key)
    assert alice_client.get("/account/").status_code == 200
    link = _reset_link("ALICE@example.org".lower())
    browser = Client(enforce_csrf_checks=True)
    assert browser.get(link).status_code == 200
    assert _log_in(alice.email, PASSWORD), "opening a link changes nothing"
    response = submit(browser, link, new=NEW)
    assert (response.status_code, response["location"]) == (302, "/account/log-in")
    assert (_log_in(alice.email, PASSWORD), _log_in(alice.email, NEW)) == (False, True)
    assert alice_client.get("/account/").status_code == 302
    assert not TradingTicket.objects.filter(user=alice, revoked_at=None).exists()
    assert "was changed" in newest(alice.email, "password_changed").text
    assert Client().get(link).status_code == 410
    assert Client().post(link, {"new": "yet another password"}).status_code == 410


def test_a_reset_ends_the_other_links_of_the_account(alice: User) -> None:
    first, second = _reset_link(alice.email), _reset_link(alice.email)
    assert Client().post(second, {"new": NEW}).status_code == 302
    assert Client().get(first).status_code == 410


def test_a_changed_password_ends_links_and_is_told(alice: User, alice_client: Client) -> None:
    link = _reset_link(alice.email)
    assert submit(alice_client, "/account/password", current=PASSWORD, new=NEW).status_code == 302
    assert Client().post(link, {"new": "yet another password"}).status_code == 410
    assert "was changed" in newest(alice.email).text


def test_a_reset_link_is_short_lived(alice: User) -> None:
    link = _reset_link(alice.email)
    _age(RESET_LINK_S - 60)
    assert Client().get(link).status_code == 200
    _age(61)
    assert Client().get(link).status_code == 410
    assert Client().post(link, {"new": NEW}).status_code == 410
    assert _log_in(alice.email, PASSWORD)


def test_a_reset_link_is_bound_to_the_address_it_was_mailed_to(alice: User) -> None:
    link = _reset_link(alice.email)
    User.objects.filter(pk=alice.pk).update(email="moved@example.org")
    assert Client().get(link).status_code == 410
    assert Client().post(link, {"new": NEW}).status_code == 410


@pytest.mark.parametrize("new", ["short", "1234567890", "alice@example"])
def test_a_weak_new_password_is_refused_and_the_link_lives(alice: User, new: str) -> None:
    link = _reset_link(alice.email)
    response = Client().post(link, {"new": new})
    assert response.status_code == 422
    assert _log_in(alice.email, PASSWORD)
    assert Client().post(link, {"new": NEW}).status_code == 302


def test_a_reset_proves_the_address(make_user: Callable[..., User]) -> None:
    user = make_user("made-by-staff@example.org", email_verified_at=None)
    assert not _log_in(user.email, PASSWORD)
    assert Client().post(_reset_link(user.email), {"new": NEW}).status_code == 302
    assert _log_in(user.email, NEW)


@pytest.mark.parametrize("who", ["unknown", "switched off"])
def test_without_an_account_the_message_says_so_and_has_no_link(who: str, make_user: Callable[..., User]) -> None:
    email = "person@example.org"
    if who == "switched off":
        make_user(email, is_active=False)
    _forgot(email)
    content = newest(email)
    assert "No account can log in with it" in content.text
    assert "/account/reset-password/" not in content.text + content.html


def test_without_csrf_token_nothing_happens(alice: User, alice_client: Client) -> None:
    link = _reset_link(alice.email)
    count = OutgoingEmail.objects.count()
    stranger = Client(enforce_csrf_checks=True)
    for client, path, fields in (
        (stranger, "/account/forgot-password", {"email": alice.email}),
        (stranger, link, {"new": NEW}),
        (alice_client, "/account/email", {"email": "new@example.org", "password": PASSWORD}),
    ):
        assert client.post(path, fields).status_code == 403
    assert OutgoingEmail.objects.count() == count
    assert _log_in(alice.email, PASSWORD)


def _ask_for(client: Client, email: str) -> str:
    assert submit(client, "/account/email", email=email, password=PASSWORD).status_code == 302
    return link_to(email)


def test_a_new_address_is_proved_and_the_old_one_told(alice: User, alice_client: Client) -> None:
    link = _ask_for(alice_client, "New@Example.org".lower())
    alice.refresh_from_db()
    assert alice.email == "alice@example.org", "asking changes nothing"
    assert "new@example.org" in alice_client.get(link).content.decode()
    response = submit(alice_client, link)
    assert (response.status_code, response["location"]) == (302, "/account/")
    assert (_log_in("alice@example.org", PASSWORD), _log_in("new@example.org", PASSWORD)) == (False, True)
    assert "new@example.org" in newest("alice@example.org").text
    assert alice_client.get(link).status_code == 410


def test_only_a_session_of_the_same_user_can_use_it(alice_client: Client, make_user: Callable[..., User]) -> None:
    link = _ask_for(alice_client, "new@example.org")
    assert Client().post(link)["location"].startswith("/account/log-in")
    other = Client()
    other.force_login(make_user("bob@example.org"))
    assert other.post(link).status_code == 410
    assert not User.objects.filter(email="new@example.org").exists()


def test_a_link_to_a_new_address_ends(alice: User, alice_client: Client) -> None:
    link = _ask_for(alice_client, "new@example.org")
    _age(CHANGE_LINK_S + 1)
    assert submit(alice_client, link, "/account/email").status_code == 410
    alice.refresh_from_db()
    assert alice.email == "alice@example.org"


def test_an_address_taken_meanwhile_changes_nothing(
    alice: User, alice_client: Client, make_user: Callable[..., User]
) -> None:
    link = _ask_for(alice_client, "new@example.org")
    make_user("new@example.org")
    submit(alice_client, link)
    assert "by now" in alice_client.get("/account/").content.decode()
    alice.refresh_from_db()
    assert alice.email == "alice@example.org"


def test_the_owner_of_a_taken_address_is_told(alice_client: Client, make_user: Callable[..., User]) -> None:
    make_user("known@example.org")
    submit(alice_client, "/account/email", email="known@example.org", password=PASSWORD)
    content = newest("known@example.org")
    assert "nothing was changed" in content.text
    assert "/account/email/" not in content.text + content.html


@pytest.mark.parametrize(
    ("fields", "bad"),
    [
        ({"email": "new@example.org", "password": "wrong"}, "password"),
        ({"email": "not an address", "password": PASSWORD}, "email"),
        ({"email": "ALICE@example.org", "password": PASSWORD}, "email"),
        ({"email": "new@example.org"}, "password"),
    ],
)
def test_a_refused_request_sends_nothing(alice_client: Client, fields: dict[str, str], bad: str) -> None:
    response = submit(alice_client, "/account/email", **fields)
    assert response.status_code == 422
    assert response.context["form"].errors.keys() == {bad}
    assert not OutgoingEmail.objects.exists()
