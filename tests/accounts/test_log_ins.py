"""The history of log-ins: what its owner sees, what nobody else learns, and what it costs (requirement A7)."""

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import authenticate
from django.contrib.sessions.backends.db import SessionStore
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.accounts import hashers
from apps.accounts.models import LogIn, User
from apps.accounts.policy import LOG_INS_KEPT_S, LOG_INS_PER_PAGE
from apps.accounts.services import history
from apps.accounts.services.codes import use_code
from apps.accounts.services.forgetting import forget_devices_and_log_ins
from apps.accounts.services.history import note_log_in
from apps.accounts.services.sessions import BY_PASSWORD, open_session
from apps.accounts.visitselectors import log_ins_of
from tests.accounts.factors import with_app
from tests.accounts.people import PASSWORD
from tests.codes import fresh_code

pytestmark = pytest.mark.django_db
HERE = "198.51.100.7"


def _log_in(email: str, password: str, address: str = HERE) -> int:
    agent = {"user-agent": "Mozilla/5.0 (X11; Linux) Firefox/1"}
    client = Client(raise_request_exception=False, REMOTE_ADDR=address, headers=agent)
    return client.post("/account/log-in", {"username": email, "password": password}).status_code


def _seen() -> list[tuple[bool, str, str, str, bool]]:
    return list(
        LogIn.objects.order_by("id").values_list("succeeded", "browser", "address", "factors", "new_device")
    )  # fmt: skip


def _fill(user: User, count: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO accounts_login (user_id, at, succeeded, browser, address, factors, new_device)"
            " SELECT %s, now(), TRUE, 'Firefox on Linux', %s, '', FALSE FROM generate_series(1, %s)",
            [user.pk, HERE, count],
        )


def test_what_succeeded_and_what_failed_stands_there(alice: User) -> None:
    assert _log_in("ALICE@example.org", "wrong") == 422
    assert _log_in(alice.email, PASSWORD) == 302
    assert _log_in("nobody@example.org", "wrong") == 422
    browser = ("Firefox on Linux", HERE)
    assert _seen() == [(False, *browser, "", False), (True, *browser, "password", True)]
    client = Client()
    client.force_login(alice)
    page = client.get("/account/log-ins").content.decode()
    assert page.index(">logged in<") < page.index(">failed<")
    assert HERE in page


def test_refusals_of_the_throttle_do_not_fill_it(alice: User) -> None:
    for _ in range(8):
        _log_in(alice.email, "wrong")
    assert len(_seen()) == 5


def test_the_right_password_without_the_second_step_stands_there_until_it_is_done(alice: User, rf: Any) -> None:
    client = Client(REMOTE_ADDR=HERE)
    request = rf.post("/", REMOTE_ADDR=HERE)
    user = authenticate(request, username=alice.email, password=PASSWORD)
    assert [row[::3] for row in _seen()] == [(False, "password")]
    client.force_login(alice)
    assert ">not completed<" in client.get("/account/log-ins").content.decode()
    request.session = SessionStore()
    assert isinstance(user, User)
    secret, _ = with_app(user)
    shown = use_code(user_id=user.pk, code=fresh_code(secret))
    open_session(request=request, user=user, proofs=BY_PASSWORD, shown=shown)
    assert [row[::3] for row in _seen()] == [(True, "authenticator password")]


def test_an_attempt_that_nobody_looked_at_is_not_told_as_failed(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashers, "SLOTS", threading.BoundedSemaphore(1))
    monkeypatch.setattr(hashers, "HASH_QUEUE_S", 0.01)
    with hashers.SLOTS:
        assert _log_in(alice.email, PASSWORD) == 503
    assert _seen() == []


def test_pages_follow_each_other_and_belong_to_one_user(alice: User, make_user: Callable[..., User]) -> None:
    bob = make_user("bob@example.org")
    for user in (alice, bob):
        _fill(user, LOG_INS_PER_PAGE + 1)
    first = log_ins_of(user_id=alice.pk)
    second = log_ins_of(user_id=alice.pk, before=first.older)
    assert (len(first.rows), len(second.rows), second.older) == (LOG_INS_PER_PAGE, 1, None)
    assert {row.user_id for row in (*first.rows, *second.rows)} == {alice.pk}
    client = Client()
    client.force_login(alice)
    assert f"?before={first.older}" in client.get("/account/log-ins").content.decode()
    assert b"No log-ins here." in client.get("/account/log-ins?before=1").content
    for bad in ("x", "-1", "1.5", "\u0663", str(2**63), "9" * 5_000, "1 OR 1=1"):
        assert client.get("/account/log-ins", {"before": bad}).status_code == 400
    assert Client().get("/account/log-ins").status_code == 302


def test_ten_thousand_rows_cost_no_more_than_a_page(alice: User, make_user: Callable[..., User]) -> None:
    client = Client()
    client.force_login(alice)
    client.get("/account/log-ins")
    _fill(alice, LOG_INS_PER_PAGE + 1)
    with CaptureQueriesContext(connection) as few:
        client.get("/account/log-ins")
    _fill(alice, 10_000)
    _fill(make_user("bob@example.org"), 90_000)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE accounts_login")
    with CaptureQueriesContext(connection) as many:
        assert client.get("/account/log-ins").status_code == 200
    assert len(few) == len(many)
    plan = LogIn.objects.filter(user=alice).order_by("-id")[: LOG_INS_PER_PAGE + 1].explain(analyze=True)
    assert "accounts_log_in_user" in plan
    assert "Sort" not in plan
    assert "Filter" not in plan


def test_the_oldest_go_by_number_and_by_age(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "LOG_INS_PER_USER_MAX", 10)
    _fill(alice, 30)
    note_log_in(user_id=alice.pk, browser="b", address=HERE, factors=frozenset({"totp", "password"}), new_device=False)
    kept = list(LogIn.objects.order_by("id"))
    assert (len(kept), kept[-1].factors) == (10, "password totp")
    LogIn.objects.filter(pk__in=[row.pk for row in kept[:4]]).update(
        at=timezone.now() - timedelta(seconds=LOG_INS_KEPT_S + 1)
    )
    assert forget_devices_and_log_ins() == (0, 4)
    assert LogIn.objects.count() == 6
