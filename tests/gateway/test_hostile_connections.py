"""Connections that mean no good: changed bytes of signed requests, and many that never finish what they began."""

import contextlib
import random
import socket
import time
from typing import Any

import pytest

from apps.common.clock import now_ms
from tests.gateway.client import LIMIT, Client
from tests.gateway.exchange import Exchange, wait_until
from tests.gateway.inprocess import InProcess

ORDER = "/api/v3/order"
GOOD: dict[str, Any] = {**LIMIT, "side": "BUY", "price": "40000", "quantity": "0.1"}
FORM = (b"content-type", b"application/x-www-form-urlencoded")
HANGING = 200
# Where the change makes the text no form of a request any more: encoding, a name twice, no signature.
OTHER_REFUSALS = {-1100, -1101, -1102}


@pytest.mark.parametrize("place", ["query", "body"])
def test_every_changed_byte_is_refused(
    exchange: Exchange, alice: Client, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """Of the whole signed text, its signature included: nothing of it may be another and pass."""
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    draw = random.Random(seed)
    text = "&".join(f"{name}={value}" for name, value in {**GOOD, "timestamp": now_ms(), "recvWindow": 60000}.items())
    signed = f"{text}&signature={alice.sign(text)}".encode()
    changed = []
    for position in range(len(signed)):
        byte = draw.choice([each for each in range(33, 127) if each not in (signed[position], signed[position] ^ 32)])
        changed.append(signed[:position] + bytes([byte]) + signed[position + 1 :])
    key = (b"x-mbx-apikey", alice.me.api_key.encode())
    there = InProcess(exchange, monkeypatch)
    before = exchange.seq(), exchange.state_hash()
    answers = there.rest(
        ("POST", ORDER, each, b"", [key]) if place == "query" else ("POST", ORDER, b"", each, [key, FORM])
        for each in changed
    )
    codes = [answer.body["code"] for answer in answers]
    assert {answer.status for answer in answers} == {400}
    assert set(codes) <= {-1022, *OTHER_REFUSALS}
    # All but the bytes of `signature=` and a few that meet a separator.
    assert codes.count(-1022) > len(codes) * 9 // 10
    assert (exchange.seq(), exchange.state_hash()) == before


def test_many_that_never_finish_do_not_keep_others_waiting(
    exchange: Exchange, alice: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Heads and bodies that stop in the middle: others are served meanwhile, and all of these end."""
    monkeypatch.setattr("apps.gateway.httpprotocol.REQUEST_HEAD_TIMEOUT_S", 3.0)
    monkeypatch.setattr("apps.gateway.http.REQUEST_BODY_TIMEOUT_S", 3.0)
    starts = [
        b"GET /api/v3/ping HTTP/1.1\r\nHost: x\r\nX-Slow: ",
        b"POST /api/v3/order HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nsymbol=",
        b"POST /api/v3/order HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nsym",
        b"",
    ]
    with contextlib.ExitStack() as stack:
        hanging = []
        for number in range(HANGING):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", exchange.port), timeout=60))
            connection.sendall(starts[number % len(starts)])
            hanging.append(connection)
        order = alice.limit("BUY", "40000", "0.1")
        assert alice.ok("DELETE", ORDER, symbol="BTCUSDT", orderId=order["orderId"])["status"] == "CANCELED"
        deadline = time.monotonic() + 60
        for connection in hanging:
            connection.settimeout(max(deadline - time.monotonic(), 0.1))
            with contextlib.suppress(ConnectionResetError):
                while connection.recv(65_536):
                    pass
    wait_until(lambda: alice.get("/api/v3/ping").status_code == 200)
