"""How many plain HTTP connections one address may have, and who is told what beyond that."""

import contextlib
import json
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest

from apps.gateway.httpprotocol import Addresses
from apps.gateway.management.commands.run_gateway import server_config
from nebannpet.env import ConfigurationError
from tests.gateway.exchange import Exchange, GatewayThread, wait_until
from tests.gateway.sockets import Socket

PING = b"GET /api/v3/ping HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture
def small(exchange: Exchange, settings: Any) -> Iterator[GatewayThread]:
    """A gateway that takes three connections from one address."""
    settings.HTTP_CONNECTIONS_PER_ADDRESS_MAX = 3
    with exchange.further_gateway() as thread:
        yield thread


def connect(thread: GatewayThread) -> socket.socket:
    return socket.create_connection(("127.0.0.1", thread.port), timeout=60)


def ask(client: socket.socket) -> bytes:
    """Everything up to the end of one answer."""
    client.sendall(PING)
    head, _, body = read_until(client, b"\r\n\r\n").partition(b"\r\n\r\n")
    [length] = [int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")]
    while len(body) < length:
        body += client.recv(4096)
    return head + b"\r\n\r\n" + body


def read_until(client: socket.socket, end: bytes) -> bytes:
    got = b""
    while end not in got:
        part = client.recv(4096)
        assert part, got
        got += part
    return got


def test_one_connection_too_many_is_told_so(small: GatewayThread, monkeypatch: pytest.MonkeyPatch) -> None:
    # Its request counts as soon, however slow this machine is.
    monkeypatch.setattr("apps.gateway.httpprotocol.REFUSED_CONNECTION_S", 40.0)
    with contextlib.ExitStack() as stack:
        first, second, third = (stack.enter_context(connect(small)) for _ in range(3))
        for client in (first, second, third):
            assert ask(client).startswith(b"HTTP/1.1 200")
        fourth = stack.enter_context(connect(small))
        head, _, body = ask(fourth).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 429")
        assert b"retry-after: 5" in head
        assert json.loads(body) == {
            "code": -1003, "msg": "Too many connections from your address; at most 3 at once.",
        }  # fmt: skip
        assert fourth.recv(10) == b""
        # Those that were there are not touched, and one that ends makes room for another.
        assert ask(first).startswith(b"HTTP/1.1 200")
        second.close()

        def another() -> bool:
            with connect(small) as client:
                return ask(client).startswith(b"HTTP/1.1 200")

        wait_until(another)


def test_a_refused_connection_does_not_stay(small: GatewayThread) -> None:
    """Otherwise the limit would count the polite only."""
    with contextlib.ExitStack() as stack:
        for _ in range(3):
            assert ask(stack.enter_context(connect(small))).startswith(b"HTTP/1.1 200")
        silent = stack.enter_context(connect(small))
        began_s = time.monotonic()
        with contextlib.suppress(ConnectionResetError):
            assert silent.recv(10) == b""
        assert time.monotonic() - began_s < 40


def test_websockets_count_on_their_own(small: GatewayThread) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(5):
            stack.enter_context(Socket(f"ws://127.0.0.1:{small.port}/ws"))
        assert ask(stack.enter_context(connect(small))).startswith(b"HTTP/1.1 200")


def test_load_balancers_and_unix_sockets_have_no_limit() -> None:
    addresses = Addresses(1, exempt=["10.1.0.0/16", "192.0.2.7", "2001:db8::1"])
    for free in ("10.1.2.3", "192.0.2.7", "2001:db8::1", ""):
        assert [addresses.enter(free) for _ in range(3)] == [True] * 3
    for limited in ("10.2.0.1", "192.0.2.8", "::1"):
        assert [addresses.enter(limited) for _ in range(2)] == [True, False]
        addresses.leave(limited)
        assert addresses.enter(limited)
    # A customer of IPv6 has a network of addresses.
    assert [addresses.enter(each) for each in ("2001:db8:1::1", "2001:db8:1::2", "2001:db8:2::1")] == [
        True,
        False,
        True,
    ]
    addresses.leave("2001:db8:1::2")
    assert addresses.enter("2001:db8:1::3")
    everybody = Addresses(1, exempt=["*"])
    assert [everybody.enter("192.0.2.8") for _ in range(2)] == [True, True]


def test_a_load_balancer_that_is_no_address_is_refused_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRUSTED_PROXIES", "10.0.0.1,balancer.example")
    with pytest.raises(ConfigurationError, match=r"TRUSTED_PROXIES must hold addresses.*balancer\.example"):
        server_config(None)  # type: ignore[arg-type]
