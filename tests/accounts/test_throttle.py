"""Guessing passwords is slow, tells nothing, and locks nobody out from elsewhere (threat-T1, T19)."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models import F
from django.test import Client

from apps.accounts.errors import TooManyAttempts
from apps.accounts.hashers import PlatformArgon2PasswordHasher
from apps.accounts.models import PasswordAttempt, User
from apps.accounts.policy import (
    ATTEMPTS_KEPT_S,
    FAILURES_PER_NETWORK_MAX,
    FAILURES_PER_SUBJECT_MAX,
    FAILURES_WINDOW_S,
)
from apps.accounts.services.throttle import begin_attempt
from apps.common.networks import network_of
from tests.accounts.people import PASSWORD

HERE = "198.51.100.7"
ELSEWHERE = "203.0.113.9"


def _log_in(email: str, password: str, address: str = HERE, **headers: str) -> Any:
    return Client().post(
        "/account/log-in", {"username": email, "password": password}, REMOTE_ADDR=address, headers=headers
    )


def _fail(email: str, times: int = FAILURES_PER_SUBJECT_MAX, address: str = HERE) -> None:
    for _ in range(times):
        begin_attempt(subject=email, address=address)


def test_sixth_attempt_is_refused_with_the_right_password_too(alice: User) -> None:
    for _ in range(FAILURES_PER_SUBJECT_MAX):
        assert _log_in(alice.email, "wrong").status_code == 422
    response = _log_in(alice.email, PASSWORD)
    assert response.status_code == 429
    assert "Wait 15 minutes" in response.content.decode()
    assert "sessionid" not in response.cookies


def test_owner_gets_in_from_elsewhere(alice: User) -> None:
    _fail(alice.email)
    assert _log_in(alice.email, PASSWORD, ELSEWHERE).status_code == 302


def test_known_and_unknown_addresses_are_refused_alike(alice: User) -> None:
    pages = []
    for email in (alice.email, "nobody@example.org"):
        _fail(email)
        response = _log_in(email, PASSWORD)
        text = response.content.decode().replace(str(response.context["csrf_token"]), "").replace(email, "")
        pages.append((response.status_code, text))
    assert pages[0] == pages[1]


def test_refused_attempt_does_no_hashing(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    _fail(alice.email)
    _fail("nobody@example.org")

    def never(*args: Any) -> Any:
        raise AssertionError("a refused attempt must not cost a hash")

    monkeypatch.setattr(PlatformArgon2PasswordHasher, "encode", never)
    monkeypatch.setattr(PlatformArgon2PasswordHasher, "verify", never)
    assert _log_in(alice.email, PASSWORD).status_code == 429
    assert _log_in("nobody@example.org", PASSWORD).status_code == 429


@pytest.mark.parametrize("spelling", ["ALICE@example.org", " alice@EXAMPLE.org "])
def test_every_spelling_counts_together(alice: User, spelling: str) -> None:
    _fail(spelling)
    assert _log_in(alice.email, PASSWORD).status_code == 429


def test_success_forgets_this_subjects_failures_only(alice: User) -> None:
    _fail("bob@example.org")
    _fail(alice.email, FAILURES_PER_SUBJECT_MAX - 1)
    assert _log_in(alice.email, PASSWORD).status_code == 302
    _fail(alice.email, FAILURES_PER_SUBJECT_MAX - 1)
    assert _log_in(alice.email, PASSWORD).status_code == 302
    with pytest.raises(TooManyAttempts):
        begin_attempt(subject="bob@example.org", address=HERE)


def test_one_network_cannot_try_many_accounts(alice: User) -> None:
    for number in range(FAILURES_PER_NETWORK_MAX):
        begin_attempt(subject=f"n{number}@example.org", address=HERE)
    assert _log_in(alice.email, PASSWORD).status_code == 429
    assert _log_in(alice.email, PASSWORD, ELSEWHERE).status_code == 302


def test_it_ends_after_the_window_and_rows_go_after_a_day(alice: User) -> None:
    _fail(alice.email)
    PasswordAttempt.objects.update(at=F("at") - timedelta(seconds=FAILURES_WINDOW_S + 1))
    assert _log_in(alice.email, PASSWORD).status_code == 302
    PasswordAttempt.objects.update(at=F("at") - timedelta(seconds=ATTEMPTS_KEPT_S))
    begin_attempt(subject=alice.email, address=HERE)
    assert PasswordAttempt.objects.count() == 1


@pytest.mark.parametrize("header", ["X-Forwarded-For", "X-Real-IP", "Forwarded", "True-Client-IP", "Client-IP"])
def test_headers_of_the_client_do_not_change_its_address(alice: User, header: str) -> None:
    for number in range(FAILURES_PER_SUBJECT_MAX):
        assert _log_in(alice.email, "wrong", **{header: f"203.0.113.{number}"}).status_code == 422
    assert _log_in(alice.email, PASSWORD, **{header: "203.0.113.200"}).status_code == 429


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("198.51.100.7", "198.51.100.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("::ffff:198.51.100.7", "198.51.100.7"),
        ("", ""),
        ("unknown", ""),
    ],
)
def test_network_of(address: str, network: str) -> None:
    assert network_of(address) == network


def test_staff_admin_has_no_log_in_of_its_own(make_user: Callable[..., User]) -> None:
    boss = make_user("boss@example.org", is_staff=True)
    for response in (
        Client().get("/admin/login/?next=/admin/accounts/"),
        Client().post("/admin/login/?next=/admin/accounts/", {"username": boss.email, "password": PASSWORD}),
    ):
        assert response["Location"] == "/account/log-in?next=%2Fadmin%2Faccounts%2F"
        assert "sessionid" not in response.cookies


@pytest.mark.parametrize(
    ("page", "fields"),
    [
        ("/account/api-keys", {"label": "bot", "can_read": "on", "password": "wrong"}),
        ("/account/password", {"current": "wrong", "new": "a new good password"}),
    ],
)
def test_asking_for_the_password_again_is_behind_it_too(
    alice: User, alice_client: Client, csrf_post: Callable[..., Any], page: str, fields: dict[str, str]
) -> None:
    for _ in range(FAILURES_PER_SUBJECT_MAX):
        assert csrf_post(alice_client, page, page, fields).status_code == 422
    right = {name: PASSWORD if value == "wrong" else value for name, value in fields.items()}
    assert csrf_post(alice_client, page, page, right).status_code == 429
    alice.refresh_from_db()
    assert alice.check_password(PASSWORD)
    assert not alice.trading_accounts.get().api_keys.exists()


def test_what_was_typed_is_not_stored(db: None) -> None:
    typed = "my secret password in the wrong field"
    _log_in(typed, "x")
    with connection.cursor() as cursor:
        cursor.execute("SELECT t::text FROM accounts_passwordattempt t")
        (dump,) = cursor.fetchone()
    assert typed not in dump
    assert typed.encode().hex() not in dump


@pytest.mark.parametrize("typed", ["", "\x00", "\ud800", "x" * 10_000, "a@b"])
def test_odd_subjects_count_like_any_other(db: None, typed: str) -> None:
    _fail(typed)
    with pytest.raises(TooManyAttempts):
        begin_attempt(subject=typed, address=HERE)


@pytest.mark.django_db(transaction=True)
def test_parallel_attempts_count_each_other() -> None:
    barrier = threading.Barrier(20)

    def attempt(_: int) -> bool:
        barrier.wait(timeout=60)
        try:
            begin_attempt(subject="alice@example.org", address=HERE)
            return True
        except TooManyAttempts:
            return False
        finally:
            connection.close()

    with ThreadPoolExecutor(20) as pool:
        assert list(pool.map(attempt, range(20))).count(True) == FAILURES_PER_SUBJECT_MAX
