"""Every error is a problem document (RFC 9457) that says what was wrong; nothing has changed after one."""

from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client
from pytest_django import Settings

from apps.accounts import errors
from apps.accounts.api import accounts
from apps.accounts.models import ApiKey, TradingAccount, User
from apps.common.errors import DomainError
from apps.web.api.policy import BODY_BYTES_MAX, PER_ADDRESS, PER_USER, Limit
from nebannpet.platformapi.codes import PROBLEMS
from tests.platformapi.conftest import BASE, House, browser_of, code_of


def test_each_kind_of_error(house: House) -> None:
    alice, anonymous = browser_of(house.alice), Client()
    cases: list[tuple[Any, int, str]] = [
        (anonymous.get("/api/platform/"), 404, "NOT_FOUND"),
        (anonymous.post(f"{BASE}/nothing"), 404, "NOT_FOUND"),
        (anonymous.get(f"{BASE}/accounts/"), 404, "NOT_FOUND"),
        (anonymous.get(f"{BASE}/accounts/{'9' * 5000}"), 404, "NOT_FOUND"),
        (alice.send("GET", f"/accounts/{'9' * 30}"), 404, "NO_TRADING_ACCOUNT"),
        (anonymous.delete(f"{BASE}/accounts"), 405, "METHOD_NOT_ALLOWED"),
        (anonymous.options(f"{BASE}/accounts"), 405, "METHOD_NOT_ALLOWED"),
        (anonymous.get(f"{BASE}/accounts"), 401, "LOG_IN_NEEDED"),
        (anonymous.get(f"{BASE}/accounts", headers={"Host": "evil.example"}), 400, "INVALID_REQUEST"),
        (alice.client.post(f"{BASE}/accounts", {"label": "x"}), 415, "NOT_JSON"),
        (alice.client.post(f"{BASE}/accounts", "{", "application/json"), 400, "MALFORMED_JSON"),
        (alice.client.post(f"{BASE}/accounts", "[" * 9000, "application/json"), 400, "MALFORMED_JSON"),
        (alice.client.post(f"{BASE}/accounts", " " * (BODY_BYTES_MAX + 1), "application/json"), 413, "BODY_TOO_LARGE"),
        (alice.send("POST", "/accounts", []), 400, "INVALID_REQUEST"),
        (alice.send("POST", "/accounts", "text"), 400, "INVALID_REQUEST"),
        (alice.send("POST", "/accounts"), 400, "INVALID_REQUEST"),
        (alice.send("GET", "/accounts", query="limit=0"), 400, "INVALID_REQUEST"),
        (alice.send("GET", "/accounts", query="limit=101"), 400, "INVALID_REQUEST"),
        (alice.send("GET", "/accounts", query="limit=1.0"), 400, "INVALID_REQUEST"),
        (alice.send("GET", "/accounts", query="cursor=x"), 400, "INVALID_REQUEST"),
        (alice.send("GET", "/accounts", query=f"cursor={'9' * 18}&cursor=1"), 400, "INVALID_REQUEST"),
        (alice.send("GET", "/accounts", query="user=2"), 400, "INVALID_REQUEST"),
        (alice.send("POST", "/accounts", {"label": "x"}, query="limit=1"), 400, "INVALID_REQUEST"),
        (alice.send("POST", "/accounts", {"label": "\u202e"}), 422, "INVALID_LABEL"),
        (alice.send("POST", "/accounts", {"label": "desk"}), 409, "LABEL_TAKEN"),
    ]  # fmt: skip
    for answer, status, code in cases:
        where = answer.request["PATH_INFO"][:80]
        assert (answer.status_code, code_of(answer)) == (status, code), where
        assert answer["Cache-Control"] == "no-store"
        assert answer["Content-Security-Policy"]
        assert answer.json()["type"] == f"/docs/platform-api#{code}"
        assert answer.json()["title"] == PROBLEMS[code].title
    assert anonymous.delete(f"{BASE}/accounts")["Allow"] == "GET, POST, HEAD"
    assert anonymous.get(f"{BASE}/accounts")["WWW-Authenticate"] == 'X-API-Key realm="platform"'
    assert alice.send("POST", "/accounts").json()["errors"] == [
        {"field": "label", "message": "This field is required."}
    ]
    assert house.alice.trading_accounts.count() == 2


def test_fields_that_are_nobodys_to_set(house: House) -> None:
    """Mass assignment: refused by their names, at each address that takes a body."""
    alice = browser_of(house.alice, confirmed="password")
    bodies: dict[tuple[str, str], dict[str, Any]] = {
        ("POST", "/accounts"): {"label": "new"},
        ("PATCH", f"/accounts/{house.desk.pk}"): {"label": "new"},
        ("POST", f"/accounts/{house.desk.pk}/freeze"): {},
        ("POST", f"/accounts/{house.desk.pk}/unfreeze"): {},
        ("POST", "/sessions/end-others"): {},
        ("POST", "/confirmations"): {"password": "x"},
    }

    def everything() -> list[Any]:
        return [list(model._default_manager.order_by("pk").values()) for model in (User, TradingAccount, ApiKey)]

    before = everything()
    for (method, path), body in bodies.items():
        for name in ("is_staff", "user", "user_id", "owner", "balance", "status", "tier", "is_main", "id"):
            answer = alice.send(method, path, {**body, name: 1})
            assert (answer.status_code, code_of(answer)) == (400, "INVALID_REQUEST"), (path, name)
            assert {"field": name, "message": "There is no such field."} in answer.json()["errors"]
    assert everything() == before


@pytest.mark.parametrize(
    ("error", "status", "code", "retry"),
    [
        (OperationalError("the connection is lost"), 503, "UNAVAILABLE", "5"),
        (errors.TooBusy("no turn"), 503, "TOO_BUSY", "5"),
        (errors.TooManyAttempts("wait", retry_after_s=900), 429, "TOO_MANY_ATTEMPTS", "900"),
        (RuntimeError("secret 17"), 500, "FAULT", None),
    ],
)
def test_faults(
    house: House, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int, code: str, retry: str | None
) -> None:
    def fail(*_: Any) -> None:
        raise error

    monkeypatch.setattr(accounts, "seen_accounts", fail)
    browser = browser_of(house.alice)
    browser.client.raise_request_exception = False
    answer = browser.send("GET", "/accounts")
    assert (answer.status_code, code_of(answer), answer.get("Retry-After")) == (status, code, retry)
    assert "secret" not in answer.content.decode()


def test_every_refusal_of_the_apps_has_a_status() -> None:
    """Of those that the API's services raise; a code that nobody raises has none."""
    own = {
        "INVALID_REQUEST", "MALFORMED_JSON", "LOG_IN_NEEDED", "KEY_REFUSED", "TIMESTAMP_OFF", "SIGNATURE_USED",
        "ACCESS_DENIED", "CSRF_FAILED", "WRONG_PASSWORD", "NOT_FOUND", "METHOD_NOT_ALLOWED", "BODY_TOO_LARGE",
        "NOT_JSON", "THROTTLED", "FAULT", "UNAVAILABLE", "NO_SUCH_TRANSFER", "NO_CHECKPOINT",
    }  # fmt: skip
    decisions = {
        "ACCOUNT_OFF", "ACCOUNT_FROZEN", "NOT_BY_KEY", "STEP_UP_NEEDED", "CODE_NEEDED", "WITHDRAWALS_HELD",
    }  # fmt: skip

    def below(kind: type[DomainError]) -> set[str]:
        return {kind.code}.union(*(below(each) for each in kind.__subclasses__()))

    assert set(PROBLEMS) - own - decisions <= below(DomainError)
    assert all(400 <= kind.status < 600 and kind.title for kind in PROBLEMS.values())


# -- How often (threat-T19, threat-T20)


@pytest.mark.parametrize("edge_is_there", [True, False])
def test_who_asks_too_often_waits(
    house: House, settings: Settings, edge: Any, edge_is_there: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.RATE_LIMIT_FACTOR = 1
    monkeypatch.setattr("apps.web.api.throttling.PER_USER", Limit(burst=3, per_minute=1))
    monkeypatch.setattr("apps.web.api.buckets.PER_ADDRESS", Limit(burst=8, per_minute=1))
    if not edge_is_there:
        settings.REDIS_EDGE_URL = "unix:///nowhere/redis.sock"
    session, bot = browser_of(house.alice), house.reader
    # All sessions and keys of a user count together.
    assert [session.send("GET", "/accounts").status_code for _ in range(2)] == [200, 200]
    assert bot.send("GET", "/accounts").status_code == 200
    for answer in (bot.send("GET", "/accounts"), session.send("GET", "/accounts")):
        assert (answer.status_code, code_of(answer)) == (429, "THROTTLED")
        assert 0 < int(answer["Retry-After"]) <= 60
    # An address is counted before anybody knows who asks, and its headers change nothing (threat-T19).
    anonymous = Client(REMOTE_ADDR="198.51.100.9")
    statuses = [
        anonymous.get(f"{BASE}/accounts", headers={"X-Forwarded-For": f"192.0.2.{n}", "X-Real-IP": f"192.0.2.{n}"})
        for n in range(10)
    ]
    assert [each.status_code for each in statuses] == [401] * 8 + [429] * 2
    assert Client(REMOTE_ADDR="198.51.100.10").get(f"{BASE}/accounts").status_code == 401


def test_limits_are_those_of_the_document() -> None:
    document = (Path(__file__).parents[2] / "docs" / "platform-api.md").read_text()
    for limit in (PER_ADDRESS, PER_USER):
        assert f"{limit.per_minute} a minute" in document
        assert f"{limit.burst} at once" in document
