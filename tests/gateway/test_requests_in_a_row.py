"""What stands behind a request on its connection: trailers of its body, further requests, an upgrade."""

import socket

from tests.gateway.client import Client
from tests.gateway.exchange import Exchange

PATIENCE_S = 40
CHUNKED = b"POST /api/v3/userDataStream HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
UPGRADE = (
    b"GET /ws/btcusdt@trade HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


def told(exchange: Exchange, sent: bytes) -> bytes:
    """Everything until the gateway closes the connection."""
    with socket.create_connection(("127.0.0.1", exchange.port), timeout=PATIENCE_S) as client:
        found = b""
        try:
            client.sendall(sent)
            while part := client.recv(65_536):
                found += part
        except ConnectionError:
            return found
        return found


def test_trailers_are_no_headers(exchange: Exchange, alice: Client) -> None:
    key = b"X-MBX-APIKEY: " + alice.me.api_key.encode()
    close = b"Connection: close\r\n"
    as_header = told(exchange, CHUNKED + close + key + b"\r\n\r\n0\r\n\r\n")
    assert as_header.startswith(b"HTTP/1.1 200 "), as_header
    as_trailer = told(exchange, CHUNKED + close + b"\r\n0\r\n" + key + b"\r\n\r\n")
    assert as_trailer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 401 ")), as_trailer
    assert b"listenKey" not in as_trailer


def test_endless_trailers_end_the_connection(exchange: Exchange) -> None:
    assert b" 200 " not in told(exchange, CHUNKED + b"\r\n0\r\n" + b"a: b\r\n" * 200_000)


def test_an_upgrade_waits_for_the_answer_before_it(exchange: Exchange) -> None:
    answer = told(exchange, b"GET /api/v3/ping HTTP/1.1\r\nHost: x\r\n\r\n" + UPGRADE)
    assert b" 101 " not in answer
    assert b"HTTP/1.1 400 " in answer
