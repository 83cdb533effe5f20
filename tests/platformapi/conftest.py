"""Alice with a master account, a sub-account and keys of both, and bob; requests as programs and browsers send them."""

import hashlib
import hmac
import json
import time
from dataclasses import dataclass
from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings

from apps.accounts.api import authentication
from apps.accounts.keyterms import KeyTerms
from apps.accounts.models import TradingAccount, User
from apps.accounts.selectors import main_account
from apps.accounts.services.keyissue import NewApiKey, issue_hmac_key
from apps.accounts.services.subaccounts import create_sub_account
from apps.markets.models import Asset
from apps.web.api import buckets, replays
from tests.accounts.people import PASSWORD
from tests.servers import Servers

BASE = "/api/platform/v1"
TOKEN = "t" * 32


@dataclass(slots=True)
class Program:
    """Signs each request as docs/platform-api.md says, each at a millisecond of its own."""

    new: NewApiKey
    address: str = "203.0.113.7"
    last_ms: int = 0

    def now_ms(self) -> int:
        self.last_ms = max(self.last_ms + 1, time.time_ns() // 1_000_000)
        return self.last_ms

    def headers(self, method: str, path: str, query: str = "", body: bytes = b"", at_ms: int = 0) -> dict[str, str]:
        at = str(at_ms or self.now_ms())
        pairs = "&".join(sorted(query.split("&"))) if query else ""
        text = "\n".join((at, method, path, pairs, hashlib.sha256(body).hexdigest()))
        proof = hmac.new(self.new.secret.encode(), text.encode(), hashlib.sha256).hexdigest()
        return {"X-API-Key": self.new.key.public_key, "X-API-Timestamp": at, "X-API-Signature": proof}

    def send(self, method: str, path: str, body: Any = None, query: str = "", **changed: str) -> Any:
        """`changed`: headers that take the place of the right ones, underscores for hyphens."""
        raw = b"" if body is None else json.dumps(body).encode()
        headers = self.headers(method, BASE + path, query, raw)
        headers |= {name.replace("_", "-"): value for name, value in changed.items()}
        return self.raw(method, path, raw, query, headers)

    def raw(self, method: str, path: str, raw: bytes, query: str, headers: dict[str, str]) -> Any:
        address = BASE + path + (f"?{query}" if query else "")
        return Client().generic(
            method, address, raw, "application/json", headers=headers, REMOTE_ADDR=self.address
        )  # fmt: skip


@dataclass(slots=True)
class Browser:
    """A session with its CSRF token."""

    client: Client

    def send(self, method: str, path: str, body: Any = None, query: str = "", **extra: Any) -> Any:
        raw = b"" if body is None else json.dumps(body).encode()
        return self.client.generic(
            method, BASE + path + (f"?{query}" if query else ""), raw, "application/json", **extra
        )  # fmt: skip


@dataclass(slots=True)
class House:
    """`reader` has no right to trade; `desk_bot` is a key of the sub-account with every right."""

    alice: User
    bob: User
    main: TradingAccount
    desk: TradingAccount
    foreign: TradingAccount
    trader: Program
    reader: Program
    desk_bot: Program

    @staticmethod
    def new_key(account: TradingAccount, **rights: Any) -> NewApiKey:
        return issue_hmac_key(account_id=account.pk, terms=KeyTerms(label="bot", **rights))


@pytest.fixture(autouse=True)
def fresh_counts(servers: Servers, monkeypatch: pytest.MonkeyPatch) -> None:
    """What other tests asked or signed is forgotten; and a slow machine makes no request an old one."""
    monkeypatch.setattr(authentication, "CLOCK_OFF_MAX_MS", 600_000)
    buckets.ALONE._kept.clear()
    replays.HERE._kept.clear()


@pytest.fixture
def house(db: None, settings: Settings) -> House:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    alice, bob = (User.objects.create_user(f"{name}@example.org", PASSWORD) for name in ("alice", "bob"))
    Asset.objects.create(id=1, code="BTC", name="Bitcoin")
    Asset.objects.create(id=2, code="USDT", name="Tether USD")
    main, desk = main_account(user_id=alice.pk), create_sub_account(user_id=alice.pk, label="Desk")

    def program(account: TradingAccount, **rights: bool) -> Program:
        return Program(House.new_key(account, **rights))

    return House(
        alice=alice,
        bob=bob,
        main=main,
        desk=desk,
        foreign=main_account(user_id=bob.pk),
        trader=program(main, can_read=True, can_trade=True),
        reader=program(main, can_read=True, can_trade=False),
        desk_bot=program(desk, can_read=True, can_trade=True),
    )


def browser_of(user: User, *, confirmed: str = "") -> Browser:
    """Logged in; `confirmed` by a proof of the last minutes."""
    client = Client(enforce_csrf_checks=True, headers={"X-CSRFToken": TOKEN})
    client.force_login(user)
    client.cookies["csrftoken"] = TOKEN
    if confirmed:
        session = client.session
        session["step_up"] = {"at_s": int(time.time()), "by": confirmed}
        session.save()
    return Browser(client)


def code_of(answer: Any) -> str:
    """Of a problem document; an empty text for any other answer."""
    if answer["Content-Type"] != "application/problem+json":
        return ""
    found = answer.json()
    assert found["status"] == answer.status_code
    # A request that Django refuses before it is anybody's has none.
    assert found.get("request_id") == answer.get("X-Request-Id")
    return str(found["code"])
