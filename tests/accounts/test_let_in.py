"""Strangers who guess lock nobody out: known browsers get in, others by a mailed link (requirement A7, threat-T1)."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db.models import F
from django.test import Client
from django.utils import timezone

from apps.accounts.errors import DeviceNeeded, TooManyAttempts
from apps.accounts.models import Device, MailedLink, OpenSession, PasswordAttempt, User
from apps.accounts.policy import FAILURES_PER_ACCOUNT_MAX, FAILURES_PER_SUBJECT_MAX
from apps.accounts.services import links
from apps.accounts.services.throttle import IN_SESSION, begin_attempt, with_device
from apps.audit.models import Record
from tests.accounts.mailbox import link_to, newest, submit
from tests.accounts.people import PASSWORD

pytestmark = pytest.mark.django_db
NOBODY = "nobody@example.org"


def _log_in(email: str, password: str = PASSWORD, client: Client | None = None, address: str = "198.51.100.7") -> Any:
    client = client or Client()
    return client.post("/account/log-in", {"username": email, "password": password}, REMOTE_ADDR=address)


def _guess(email: str, times: int = FAILURES_PER_ACCOUNT_MAX, origin: str = "") -> None:
    """From many networks, as far as each is allowed to."""
    for number in range(times):
        begin_attempt(subject=email, address=f"203.0.113.{number // FAILURES_PER_SUBJECT_MAX}", origin=origin)


@pytest.fixture
def known(alice: User) -> Client:
    """A browser in which alice logged in once."""
    client = Client()
    assert _log_in(alice.email, client=client, address="192.0.2.1").status_code == 302
    client.post("/account/log-out")
    return client


def test_guesses_from_many_networks_are_stopped_together_and_the_owner_gets_in(alice: User, known: Client) -> None:
    _guess(alice.email, FAILURES_PER_ACCOUNT_MAX - 1)
    assert _log_in(alice.email, "wrong").status_code == 422
    refused = _log_in(alice.email)
    assert refused.status_code == 429
    assert "/account/let-me-in" in refused.content.decode()
    assert "sessionid" not in refused.cookies
    assert _log_in(alice.email, client=known).status_code == 302


def test_the_cookie_of_another_user_does_not_help(alice: User, known: Client, make_user: Callable[..., User]) -> None:
    make_user("bob@example.org")
    _guess("bob@example.org")
    assert _log_in("bob@example.org", client=known).status_code == 429


def test_a_known_browser_guesses_no_more_often_than_all_strangers(alice: User, known: Client) -> None:
    device = Device.objects.get()
    _guess(alice.email, origin=with_device(device.pk))
    refused = _log_in(alice.email, client=known)
    assert (refused.status_code, "let-me-in" in refused.content.decode()) == (429, False)
    assert _log_in(alice.email).status_code == 302, "others are not touched by it"


def test_a_stolen_session_guesses_no_more_often_either(alice: User, alice_client: Client) -> None:
    _guess(alice.email, origin=IN_SESSION)
    response = submit(alice_client, "/account/password", current=PASSWORD, new="a new good password")
    assert (response.status_code, "Wait 60 minutes" in response.content.decode()) == (429, True)
    _guess("bob@example.org")
    with pytest.raises(DeviceNeeded):
        begin_attempt(subject="bob@example.org", address="198.51.100.7")
    begin_attempt(subject="bob@example.org", address="198.51.100.7", origin=IN_SESSION)


def test_it_ends_after_an_hour(alice: User) -> None:
    _guess(alice.email)
    PasswordAttempt.objects.update(at=F("at") - timedelta(minutes=61))
    assert _log_in(alice.email).status_code == 302


def test_a_mailed_link_lets_a_browser_in_by_a_button(alice: User) -> None:
    _guess(alice.email)
    client = Client(enforce_csrf_checks=True, headers={"user-agent": "Mozilla/5.0 (X11; Linux) Firefox/1"})
    assert submit(client, "/account/let-me-in", email=" ALICE@example.org")["location"] == "/account/check-mail"
    link = link_to(alice.email)
    page = client.get(link)
    assert "<strong>Firefox on Linux</strong>" in page.content.decode()
    assert not Device.objects.exists(), "programs that look after mail open links"
    assert client.post(link).status_code == 403, "no CSRF token"
    assert submit(client, link)["location"] == "/account/log-in"
    assert not OpenSession.objects.exists(), "the password is still needed"
    assert Record.objects.filter(action="user.device-let-in", object=f"user:{alice.pk}").count() == 1
    assert submit(client, "/account/log-in", username=alice.email, password="wrong").status_code == 422
    assert submit(client, "/account/log-in", username=alice.email, password=PASSWORD).status_code == 302
    assert _log_in(alice.email).status_code == 429, "another browser"
    assert client.get(link).status_code == 410
    assert client.post(link, {"csrfmiddlewaretoken": client.cookies["csrftoken"].value}).status_code == 410


@pytest.mark.parametrize("purpose", [links.Purpose.LET_IN, links.Purpose.RECOVER])
def test_links_of_a_log_in_live_ten_minutes(alice: User, purpose: links.Purpose) -> None:
    """ASVS 6.5.5."""
    before = timezone.now()
    links.issue_link(purpose=purpose, address=alice.email, user_id=alice.pk, client="203.0.113.7")
    lives_until = MailedLink.objects.get().expires_at
    assert before <= lives_until - timedelta(minutes=10) <= timezone.now()


def test_other_links_stay_and_links_of_other_purposes_do_not_let_in(alice: User) -> None:
    submit(Client(), "/account/forgot-password", email=alice.email)
    reset = link_to(alice.email)
    assert Client().get(reset.replace("reset-password", "let-me-in")).status_code == 410
    submit(Client(), "/account/let-me-in", email=alice.email)
    link = link_to(alice.email)
    assert Client().get(link.replace("let-me-in", "reset-password")).status_code == 410
    assert Client().post(link).status_code == 302
    assert Client().get(reset).status_code == 200


@pytest.mark.parametrize("change", [{"email": "new@example.org"}, {"is_active": False}])
def test_a_link_dies_with_the_address_and_the_account(alice: User, change: dict[str, Any]) -> None:
    submit(Client(), "/account/let-me-in", email=alice.email)
    User.objects.filter(pk=alice.pk).update(**change)
    assert Client().post(link_to("alice@example.org")).status_code == 410
    assert not Device.objects.exists()


def test_a_reset_lets_its_browser_in(alice: User) -> None:
    client, new = Client(), "a new good password"
    submit(client, "/account/forgot-password", email=alice.email)
    assert submit(client, link_to(alice.email), new=new).status_code == 302
    _guess(alice.email)
    assert _log_in(alice.email, new).status_code == 429
    assert _log_in(alice.email, new, client).status_code == 302


@pytest.mark.parametrize("email", ["", "nobody", "a@b"])
def test_what_is_no_address_is_refused(db: None, email: str) -> None:
    assert submit(Client(), "/account/let-me-in", email=email).status_code == 422
    assert not MailedLink.objects.exists()


def test_a_network_asks_for_so_many_links(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links, "LINKS_PER_NETWORK_MAX", 1)
    assert submit(Client(), "/account/let-me-in", email=alice.email).status_code == 302
    refused = submit(Client(), "/account/let-me-in", email=alice.email)
    assert (refused.status_code, "Wait an hour" in refused.content.decode()) == (429, True)


def test_the_mail_to_an_address_without_an_account_says_so(db: None) -> None:
    submit(Client(), "/account/let-me-in", email=NOBODY)
    assert "No account has it" in newest(NOBODY).text


def test_refusals_are_the_same_with_and_without_an_account(alice: User) -> None:
    pages = []
    for email in (alice.email, NOBODY):
        _guess(email)
        response = _log_in(email)
        text = response.content.decode().replace(str(response.context["csrf_token"]), "").replace(email, "")
        pages.append((response.status_code, text))
        with pytest.raises(TooManyAttempts):
            begin_attempt(subject=email, address="198.51.100.8")
    assert pages[0] == pages[1]
