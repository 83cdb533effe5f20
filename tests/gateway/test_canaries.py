"""What clients prove themselves with is in no answer but its own, no log line and no table, however it was sent: right,
wrong, in the wrong place, or to a gateway that fails (threat-T27). tests/security/test_canaries.py does it for pages.
"""

import io
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.gateway.client import Client
from tests.gateway.exchange import Exchange
from tests.gateway.sessions import new_session, ticket_of
from tests.gateway.sockets import Socket
from tests.gateway.test_wsapi import open_socket
from tests.security.logged import log_of
from tests.security.test_canaries import columns, spellings

USER_DATA = "/api/v3/userDataStream"
SIGNATURE = "5ca1ab1e" * 8
MICROSECONDS = {"x-mbx-time-unit": "MICROSECOND"}


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    with log_of("console", monkeypatch) as stream:
        yield stream


def _fails(*_: Any, **__: Any) -> None:
    raise RuntimeError("a fault of ours")


def over_rest(client: Client, secrets: dict[str, str]) -> Iterator[str]:
    """Answers with what came in their headers, each of them of another wrong request."""
    secret, listen_key, ticket = secrets["API secret"], secrets["listen key"], secrets["ticket"]
    signed = f"timestamp=1700000000000&recvWindow=5000&signature={SIGNATURE}"
    wrong: list[tuple[str, str, bytes | None, dict[str, str]]] = [
        ("GET", f"/api/v3/account?{signed}", None, {}),
        ("GET", f"/api/v3/account?{signed}", None, {"x-mbx-apikey": secret}),
        ("GET", f"/api/v3/account?{signed}", None, {"x-mbx-apikey": listen_key}),
        ("GET", f"/api/v3/nothing?{signed}&listenKey={listen_key}", None, {}),
        ("PATCH", f"/api/v3/order?{signed}", None, {"authorization": f"Bearer {secret}"}),
        ("POST", "/api/v3/order", f"symbol={secret}&side=BUY&{signed}".encode(), {}),
        ("POST", "/api/v3/order", f"symbol=BTCUSDT&side={secret}&type={ticket}&{signed}".encode(), {}),
        ("POST", "/api/v3/order", json.dumps({"apiSecret": secret, "signature": SIGNATURE}).encode(), {}),
        ("POST", "/api/v3/order", f"secret=%zz{secret}".encode(), {"cookie": f"sessionid={ticket}"}),
        ("GET", f"/api/v3/depth?symbol=BTCUSDT&limit={secret}", None, {}),
        ("PUT", f"{USER_DATA}?listenKey={listen_key}x", None, {}),
        ("DELETE", f"{USER_DATA}?listenKey={secret}", None, {}),
        ("GET", f"/ws/{listen_key}", None, {}),
        ("GET", f"/stream?streams={listen_key}", None, {}),
        # Of the site, which is not there.
        ("POST", f"/trade/ticket?ticket={ticket}", ticket.encode(), {}),
    ]
    for method, target, body, headers in wrong:
        answer = client.raw(method, target, body, **headers)
        assert answer.status_code >= 400, (method, target)
        yield f"{answer.headers}{answer.text}"


def over_sockets(exchange: Exchange, secrets: dict[str, str]) -> Iterator[str]:
    secret, listen_key, ticket = secrets["API secret"], secrets["listen key"], secrets["ticket"]
    with open_socket(exchange, origin=exchange.base_url) as page:
        page.ask("session.logon", ticket=ticket + "x")
        page.ask("session.logon", ticket=f"{ticket}.")
        page.ask("session.logon", apiKey=secret, signature=SIGNATURE, timestamp=1700000000000)
        page.ask("account.status", apiKey="x" * 64, signature=SIGNATURE, timestamp=1700000000000)
        page.ask("order.place", symbol=secret, side=ticket)
        page.ask(secret)
        page.send(f'{{"id": 1, "method": "session.logon", "params": {{"ticket": "{ticket}", ')
        page.receive()
        assert all(message["status"] >= 400 for message in page.seen), page.seen
        yield json.dumps(page.seen)
    with open_socket(exchange) as foreign:
        yield json.dumps(foreign.ask("session.logon", ticket=ticket))
    with Socket(f"{exchange.ws_url}/ws/{listen_key}x") as stream:
        yield json.dumps(stream.control("SUBSCRIBE", secret))
        yield json.dumps(stream.control(listen_key))


def through_faults(exchange: Exchange, client: Client, secrets: dict[str, str], patch: pytest.MonkeyPatch) -> Any:
    """Right requests that a gateway of ours fails to answer."""
    patch.setattr("apps.gateway.http.timeunit.in_microseconds", _fails)
    query = client.query()
    secrets["right signature"] = query.rpartition("signature=")[2]
    answer = client.raw("GET", f"/api/v3/account?{query}", **MICROSECONDS)
    assert answer.status_code == 500, answer.text
    yield answer.text
    answer = client.raw("PUT", f"{USER_DATA}?listenKey={secrets['listen key']}", **MICROSECONDS)
    assert answer.status_code == 500, answer.text
    yield answer.text
    patch.setattr("apps.gateway.wsapi.session.status_of", _fails)
    with open_socket(exchange, origin=exchange.base_url) as page:
        answer = page.ask_once("session.logon", ticket=secrets["ticket"])
        assert answer["status"] == 500, answer
        yield json.dumps(answer)


def test_nowhere(exchange: Exchange, alice: Client, written: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    session_key = new_session(alice.me.account_id)
    secrets = {
        "API secret": alice.me.api_secret,
        "signature": SIGNATURE,
        "listen key": alice.raw("POST", USER_DATA).json()["listenKey"],
        "ticket": ticket_of(alice, session_key),
    }
    answers = [*over_rest(alice, secrets), *over_sockets(exchange, secrets)]
    with monkeypatch.context() as patch:
        answers += through_faults(exchange, alice, secrets, patch)
    told = written.getvalue()
    assert told.count("a fault of ours") >= 3, "the log has what failed"
    found = []
    for what, secret in secrets.items():
        ways = spellings(secret)
        found += [f"{what}: in an answer: {answer}" for answer in answers if any(way in answer for way in ways)]
        found += [f"{what}: in the log: {line}" for line in told.splitlines() if any(way in line for way in ways)]
        found += [f"{what}: in {table}.{name}" for table, name, text in columns() if any(way in text for way in ways)]
    assert not found, "\n".join(found)
    # The search finds what is there.
    assert any(alice.me.api_key in text for _, _, text in columns())
