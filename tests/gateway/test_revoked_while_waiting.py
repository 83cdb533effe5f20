"""An order that waits for admission is not placed once its key or session is revoked."""

import asyncio
import json
import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from apps.common.clock import now_ms
from apps.gateway import http
from apps.gateway.keys import Credential, Credentials
from apps.gateway.limits.counting import Usage
from apps.gateway.limits.tiers import STANDARD, tiers
from apps.gateway.registry import load
from apps.gateway.wsapi.connection import WsApiConnection

KEY = "K" * 64
ADDRESS = "1.2.3.4"
ORDER = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "1"}
PATIENCE_S = 40
STANDARD_TIER = tiers(1)[STANDARD]


class Gateway:
    """What a request needs of it: admission by the test, and orders that are only counted."""

    def __init__(self) -> None:
        self.registry: Any = load()
        started = asyncio.Event()
        started.set()
        self.follower = SimpleNamespace(started=started)
        self.tail = SimpleNamespace(seq=0)
        self.limits = self.orders = self
        self.credentials = Credentials(None)  # type: ignore[arg-type]  # nothing is looked up
        self.credentials._fresh_s = math.inf
        self.asked = asyncio.Semaphore(0)
        self.verdict: asyncio.Future[Usage]
        self.placed = 0

    def tier(self, credential: Any) -> Any:
        return STANDARD_TIER

    def check_before_signature(self, address: str, *, knows_key: bool) -> None: ...

    def admit(self, *_: Any, **__: Any) -> "asyncio.Future[Usage]":
        self.verdict = asyncio.get_running_loop().create_future()
        self.asked.release()
        return self.verdict

    def allow(self) -> None:
        self.verdict.set_result(Usage(0, 0, 1, 1, 0, 0))

    async def place(self, values: Any, account_id: int) -> dict[str, Any]:
        self.placed += 1
        return {}

    def key(self) -> Credential:
        """One whose every signature is right."""
        anything: Any = SimpleNamespace(matches=lambda *_: True)
        made = self.credentials._keys[KEY] = credential("key", api_key=KEY, verifier=anything)
        return made


class Outbox:
    def __init__(self) -> None:
        self.closed = False
        self.answers: list[Any] = []

    def push(self, text: str) -> None:
        self.answers.append(json.loads(text))

    def close(self, code: int, reason: str) -> None:
        self.closed = True


def credential(kind: str, **more: Any) -> Credential:
    return Credential(kind, 1, 7, 1, can_read=True, can_trade=True, tier="standard", **more)


def signed() -> dict[str, Any]:
    return {**ORDER, "timestamp": now_ms(), "recvWindow": 60_000, "signature": "s"}


async def ask_by_socket(
    gateway: Gateway, sent: dict[str, Any], session: Credential | None, meanwhile: Callable[[WsApiConnection], None]
) -> Any:
    outbox: Any = Outbox()
    connection = WsApiConnection(gateway, outbox, address=ADDRESS, own_origin=True)  # type: ignore[arg-type]
    if session is not None:
        connection.log_on(session)
    connection.on_text(json.dumps({"id": 1, "method": "order.place", "params": sent}))
    await asyncio.wait_for(gateway.asked.acquire(), PATIENCE_S)
    meanwhile(connection)
    gateway.allow()
    await asyncio.wait_for(asyncio.gather(*connection._tasks), PATIENCE_S)
    [answer] = outbox.answers
    return answer


def revoke(who: Credential) -> Callable[[Any], None]:
    def do(_: Any) -> None:
        who.revoked = True

    return do


async def test_a_session_that_was_revoked_places_nothing() -> None:
    gateway = Gateway()
    answer = await ask_by_socket(gateway, ORDER, credential("ticket"), WsApiConnection.on_revoked)
    assert (answer["status"], gateway.placed) == (401, 0), answer


async def test_nor_does_another_session_in_its_place() -> None:
    gateway = Gateway()
    answer = await ask_by_socket(
        gateway, ORDER, credential("ticket"), lambda connection: connection.log_on(credential("key", api_key=KEY))
    )
    assert (answer["status"], gateway.placed) == (401, 0), answer


async def test_a_key_that_was_revoked_places_nothing() -> None:
    gateway = Gateway()
    answer = await ask_by_socket(gateway, {**signed(), "apiKey": KEY}, None, revoke(gateway.key()))
    assert (answer["error"]["code"], gateway.placed) == (-2015, 0)


async def test_a_signed_order_needs_no_session_that_goes_on() -> None:
    gateway = Gateway()
    answer = await ask_by_socket(gateway, {**signed(), "apiKey": KEY}, gateway.key(), WsApiConnection.log_off)
    assert (answer["status"], gateway.placed) == (200, 1)


@pytest.mark.parametrize("is_revoked", [True, False])
async def test_over_rest(is_revoked: bool) -> None:
    gateway = Gateway()
    key = gateway.key()
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    query = "&".join(f"{name}={value}" for name, value in signed().items())
    scope = {
        "type": "http", "method": "POST", "path": "/api/v3/order", "query_string": query.encode(),
        "headers": [(b"x-mbx-apikey", KEY.encode())], "client": (ADDRESS, 1),
    }  # fmt: skip
    asking = asyncio.create_task(http.serve(gateway, scope, receive, send))  # type: ignore[arg-type]
    await asyncio.wait_for(gateway.asked.acquire(), PATIENCE_S)
    key.revoked = is_revoked
    gateway.allow()
    await asyncio.wait_for(asking, PATIENCE_S)
    assert (sent[0]["status"], gateway.placed) == ((401, 0) if is_revoked else (200, 1)), sent
    assert (json.loads(sent[1]["body"]).get("code") == -2015) == is_revoked
