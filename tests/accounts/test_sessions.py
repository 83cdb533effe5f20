"""Log-in, log-out, session limits, password change (threat-T4, T5, T14)."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib.sessions.models import Session
from django.test import Client

from apps.accounts import middleware
from apps.accounts.models import TradingTicket, User
from apps.accounts.policy import SESSION_ABSOLUTE_S, SESSION_IDLE_S, SESSION_TOUCH_S
from tests.accounts.people import PASSWORD

pytestmark = pytest.mark.django_db


class Clock:
    """Stands in for time.time in the middleware only."""

    def __init__(self) -> None:
        self.now_s = 1_700_000_000

    def time(self) -> float:
        return float(self.now_s)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    fake = Clock()
    monkeypatch.setattr(middleware, "time", fake)
    return fake


def _log_in(client: Client, email: str, password: str, **extra: str) -> Any:
    return client.post("/account/log-in", {"username": email, "password": password, **extra})


def test_log_in_changes_the_session_key_and_drops_the_old_one(alice: User) -> None:
    client = Client()
    session = client.session
    session["planted"] = "by an attacker who knows this key"
    session.save()
    planted = session.session_key
    client.cookies["sessionid"] = planted
    response = _log_in(client, "ALICE@example.org", PASSWORD)
    assert response.status_code == 302
    assert client.cookies["sessionid"].value != planted
    assert not Session.objects.filter(session_key=planted).exists()


def test_log_in_completes_in_one_place_and_keeps_what_was_proved(alice: User) -> None:
    source = Path(settings.BASE_DIR) / "apps"
    callers = {file.name for file in source.rglob("*.py") if re.search(r"(?<!def )\blogin\(", file.read_text())}
    assert callers == {"sessions.py"}
    client = Client()
    _log_in(client, alice.email, PASSWORD)
    assert client.session["factors"] == ["password"]


@pytest.mark.parametrize("who", ["unknown", "wrong password", "switched off"])
def test_failed_log_in_says_the_same(who: str, make_user: Callable[..., User]) -> None:
    make_user("alice@example.org", is_active=who != "switched off")
    email, password = {
        "unknown": ("nobody@example.org", PASSWORD),
        "wrong password": ("alice@example.org", "something else"),
        "switched off": ("alice@example.org", PASSWORD),
    }[who]
    response = _log_in(Client(), email, password)
    assert response.status_code == 422
    assert response.context["form"].non_field_errors() == [
        "This e-mail and password do not match an account. The password is case-sensitive."
    ]
    assert "sessionid" not in response.cookies


def test_unknown_address_costs_one_hash_like_a_known_one(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    from apps.accounts.hashers import PlatformArgon2PasswordHasher

    counts = []
    for email in ("alice@example.org", "nobody@example.org"):
        calls: list[str] = []
        for name in ("encode", "verify"):
            original = getattr(PlatformArgon2PasswordHasher, name)

            def counted(self: Any, *args: Any, _calls: list[str] = calls, _original: Any = original) -> Any:
                _calls.append("hash")
                return _original(self, *args)

            with monkeypatch.context() as patch:
                patch.setattr(PlatformArgon2PasswordHasher, name, counted)
                _log_in(Client(), email, "something else")
        counts.append(len(calls))
    assert counts == [1, 1]


@pytest.mark.parametrize(
    "target", ["https://evil.example/", "//evil.example/", "javascript:alert(1)", "/\\evil.example"]
)
def test_next_leads_only_to_this_site(alice: User, target: str) -> None:
    response = _log_in(Client(), "alice@example.org", PASSWORD, next=target)
    assert response["Location"] == "/account/"


def test_next_leads_back_to_the_page_that_asked(alice: User) -> None:
    client = Client()
    asked = client.get("/account/api-keys")
    assert asked["Location"] == "/account/log-in?next=/account/api-keys"
    assert _log_in(client, "alice@example.org", PASSWORD, next="/account/api-keys")["Location"] == "/account/api-keys"


def test_log_out_ends_the_session_for_every_copy_of_its_cookie(
    alice_client: Client, csrf_post: Callable[..., Any]
) -> None:
    stolen = Client()
    stolen.cookies["sessionid"] = alice_client.cookies["sessionid"].value
    assert stolen.get("/account/").status_code == 200
    csrf_post(alice_client, "/account/", "/account/log-out")
    assert stolen.get("/account/").status_code == 302
    assert alice_client.get("/account/").status_code == 302


def test_idle_session_ends(alice: User, clock: Clock) -> None:
    client = Client()
    client.force_login(alice)
    assert client.get("/account/").status_code == 200
    clock.now_s += SESSION_IDLE_S
    assert client.get("/account/").status_code == 200
    clock.now_s += SESSION_IDLE_S + 1
    assert client.get("/account/").status_code == 302
    assert not Session.objects.filter(session_key=client.session.session_key).exists()


def test_busy_session_ends_at_the_absolute_limit(alice: User, clock: Clock) -> None:
    client = Client()
    client.force_login(alice)
    client.get("/account/")
    for _ in range(SESSION_ABSOLUTE_S // SESSION_IDLE_S):
        clock.now_s += SESSION_IDLE_S
        assert client.get("/account/").status_code == 200
    clock.now_s += 1
    assert client.get("/account/").status_code == 302


def test_expiry_closes_trading_sessions(alice_client: Client, clock: Clock, csrf_post: Callable[..., Any]) -> None:
    assert csrf_post(alice_client, "/account/", "/trade/ticket").status_code == 200
    clock.now_s += SESSION_IDLE_S + 1
    alice_client.get("/account/")
    assert TradingTicket.objects.get().revoked_at is not None


def test_seen_time_is_not_written_at_every_request(
    alice: User, clock: Clock, django_assert_num_queries: Callable[..., Any]
) -> None:
    client = Client()
    client.force_login(alice)
    client.get("/")
    with django_assert_num_queries(4):  # session, user, unread notices, banners (which the site process has in memory)
        client.get("/")
    clock.now_s += SESSION_TOUCH_S + 1
    with django_assert_num_queries(7):  # the same, and savepoint, update, release
        client.get("/")


def test_password_change_ends_other_sessions_and_all_sockets(
    alice: User, alice_client: Client, csrf_post: Callable[..., Any]
) -> None:
    other = Client()
    other.force_login(alice)
    csrf_post(alice_client, "/account/", "/trade/ticket")
    key_before = alice_client.cookies["sessionid"].value
    response = csrf_post(
        alice_client, "/account/password", "/account/password", {"current": PASSWORD, "new": "a new good password"}
    )
    assert response.status_code == 302
    assert alice_client.get("/account/").status_code == 200
    assert alice_client.cookies["sessionid"].value != key_before
    assert other.get("/account/").status_code == 302
    assert TradingTicket.objects.get().revoked_at is not None
    alice.refresh_from_db()
    assert alice.check_password("a new good password")


@pytest.mark.parametrize(
    ("current", "new", "field"),
    [("wrong", "a new good password", "current"), (PASSWORD, "short", "new"), (PASSWORD, "alice@example", "new")],
)
def test_refused_password_change_changes_nothing(
    alice: User, alice_client: Client, csrf_post: Callable[..., Any], current: str, new: str, field: str
) -> None:
    response = csrf_post(alice_client, "/account/password", "/account/password", {"current": current, "new": new})
    assert response.status_code == 422
    assert response.context["form"].errors.keys() == {field}
    before = alice.password
    alice.refresh_from_db()
    assert alice.password == before
