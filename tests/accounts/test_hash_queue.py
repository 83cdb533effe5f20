"""At most two password hashes at once in a process; others wait for their turn, then the page says 503 (item A1)."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.contrib.auth.hashers import Argon2PasswordHasher, make_password
from django.db import connection, transaction
from django.test import Client

from apps.accounts import hashers
from apps.accounts.errors import TooBusy
from apps.accounts.models import User
from apps.accounts.policy import HASHES_AT_ONCE
from tests.accounts.people import PASSWORD


def test_ten_at_once_run_two_by_two(monkeypatch: pytest.MonkeyPatch) -> None:
    running, most, lock = 0, 0, threading.Lock()
    encode = Argon2PasswordHasher.encode

    def watched(self: Any, password: str, salt: str) -> str:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        try:
            time.sleep(0.02)
            return str(encode(self, password, salt))
        finally:
            with lock:
                running -= 1

    monkeypatch.setattr(Argon2PasswordHasher, "encode", watched)
    monkeypatch.setattr(hashers, "HASH_QUEUE_S", 60)
    with ThreadPoolExecutor(10) as pool:
        assert len(set(pool.map(make_password, ["x"] * 10))) == 10
    assert most == HASHES_AT_ONCE


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Every turn is taken, and nobody waits."""
    monkeypatch.setattr(hashers, "HASH_QUEUE_S", 0)
    for _ in range(HASHES_AT_ONCE):
        assert hashers.SLOTS.acquire(timeout=0)
    yield
    for _ in range(HASHES_AT_ONCE):
        hashers.SLOTS.release()


def test_without_a_turn_it_is_refused(full: None) -> None:
    with pytest.raises(TooBusy):
        make_password("x")


@pytest.mark.django_db(transaction=True)
def test_who_waits_holds_no_connection_but_that_of_a_transaction(full: None) -> None:
    with transaction.atomic():
        with pytest.raises(TooBusy):
            make_password("x")
        assert connection.connection is not None
    assert connection.connection is not None
    with pytest.raises(TooBusy):
        make_password("x")
    assert connection.connection is None


@pytest.mark.django_db
def test_the_page_says_503_for_known_and_unknown_alike(
    make_user: Callable[..., User], full: None, caplog: pytest.LogCaptureFixture
) -> None:
    hashers.SLOTS.release()
    alice = make_user()
    assert hashers.SLOTS.acquire(timeout=0)
    for email in (alice.email, "nobody@example.org"):
        client = Client(raise_request_exception=False)
        response = client.post("/account/log-in", {"username": email, "password": PASSWORD})
        assert (response.status_code, response["Retry-After"]) == (503, "5")
        assert "Too many people log in" in response.content.decode()
        response = client.post("/account/sign-up", {"email": email, "password": "another good password"})
        assert response.status_code == 503
    assert {(record.levelname, record.exc_info) for record in caplog.records} == {("WARNING", None)}
    assert len(caplog.records) == 4
    assert "Too many log-ins" in caplog.records[0].getMessage()
