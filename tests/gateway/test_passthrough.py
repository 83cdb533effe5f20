"""What is not the trading API goes to the site, streamed, with honest forwarding headers; without it: a plain 502."""

import asyncio
import json
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import uvicorn
from django.conf import settings
from prometheus_client import REGISTRY
from websockets.exceptions import InvalidStatus

from apps.common.contentpolicy import POLICY
from apps.gateway import errors
from tests.gateway.client import Client
from tests.gateway.exchange import Exchange, wait_until
from tests.gateway.sockets import Socket

# While the site sends the page that has no end.
endless = threading.Event()


async def site(scope: Any, receive: Any, send: Any) -> None:
    """A site that shows what reached it."""
    if scope["type"] == "websocket":
        await receive()
        if scope["path"] == "/live/refused":
            await send({"type": "websocket.close"})
            return
        await send({"type": "websocket.accept", "subprotocol": (scope["subprotocols"] or [None])[0]})
        headers = {key.decode(): value.decode("latin-1") for key, value in scope["headers"]}
        hosts = [value.decode() for key, value in scope["headers"] if key == b"host"]
        shown = "|".join([headers.get("cookie", ""), headers["x-forwarded-host"], *hosts])
        await send({"type": "websocket.send", "text": shown})
        while True:
            message = await receive()
            if message["type"] == "websocket.disconnect":
                return
            if message.get("text") == "bye":
                await send({"type": "websocket.close", "code": 4000, "reason": "asked"})
                return
            await send({"type": "websocket.send", "text": message.get("text"), "bytes": message.get("bytes")})
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    headers = [
        (b"content-type", b"text/html"),
        (b"set-cookie", b"a=1"),
        (b"set-cookie", b"b=2"),
        (b"x-body", str(len(body)).encode()),
    ]
    headers += [(b"x-seen", key + b"=" + value) for key, value in scope["headers"]]
    headers.append((b"x-target", scope["raw_path"] + b"?" + scope["query_string"]))
    await send(
        {"type": "http.response.start", "status": 418 if scope["path"] == "/teapot" else 200, "headers": headers}
    )
    if scope["path"] == "/endless":
        endless.set()
        gone = asyncio.ensure_future(receive())
        while not gone.done():
            await send({"type": "http.response.body", "body": b"x" * 65_536, "more_body": True})
            await asyncio.sleep(0)
        endless.clear()
        return
    if scope["path"] == "/slow":
        for _ in range(3):
            await send({"type": "http.response.body", "body": b"part ", "more_body": True})
            await asyncio.sleep(0.2)
    await send({"type": "http.response.body", "body": body[:10] or scope["method"].encode()})


@pytest.fixture(scope="module")
def running_site(exchange: Exchange) -> Iterator[None]:
    config = uvicorn.Config(site, uds=str(settings.PATHS.site_socket), log_level="warning", lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=lambda: asyncio.run(server._serve()), daemon=True)
    thread.start()
    wait_until(lambda: server.started)
    yield
    server.should_exit = True
    thread.join(40)
    settings.PATHS.site_socket.unlink(missing_ok=True)


def seen(answer: httpx.Response) -> dict[str, str]:
    return dict(pair.split("=", 1) for pair in answer.headers.get_list("x-seen"))


def test_without_the_site_pages_get_502_and_trading_goes_on(exchange: Exchange, public: Client) -> None:
    answer = public.get("/")
    assert answer.status_code == 502
    assert "Trading through the API is not affected" in answer.text
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.headers["content-security-policy"] == POLICY
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert public.get("/api/v3/ping").status_code == 200
    with pytest.raises(InvalidStatus) as refused:
        Socket(f"{exchange.ws_url}/live/x")
    assert refused.value.response.status_code == 502


def test_pages_and_headers(public: Client, running_site: None) -> None:
    answer = public.raw(
        "GET", "/a%20page/?q=1%202&x=%2F",
        **{
            "cookie": "sessionid=s", "x-forwarded-for": "6.6.6.6", "X-Forwarded-Proto": "https",
            "forwarded": "for=6.6.6.6", "x-real-ip": "6.6.6.6", "connection": "keep-alive, x-hop", "x-hop": "1",
            "accept-language": "de",
        },
    )  # fmt: skip
    assert len(answer.headers.get_list("date")) == 1
    assert answer.status_code == 200
    assert answer.headers["x-target"] == "/a%20page/?q=1%202&x=%2F"
    assert answer.headers.get_list("set-cookie") == ["a=1", "b=2"]
    headers = seen(answer)
    assert headers["cookie"] == "sessionid=s"
    assert (headers["x-forwarded-for"], headers["x-forwarded-proto"]) == ("127.0.0.1", "http")
    assert headers["host"] == headers["x-forwarded-host"] == public.http.base_url.netloc.decode()
    assert "forwarded" not in headers
    assert "x-real-ip" not in headers
    assert "x-hop" not in headers
    assert headers["accept-language"] == "de"
    assert public.get("/teapot").status_code == 418


@pytest.mark.parametrize("path", ["/api/v2/status.json", "/api/platform/v1/x", "/admin/", "/live/page", "/static/x.js"])
def test_the_sites_own_paths(public: Client, running_site: None, path: str) -> None:
    assert public.get(path).text == "GET"


def test_bodies(public: Client, running_site: None) -> None:
    assert public.raw("POST", "/form", b"x" * 200_000).headers["x-body"] == "200000"
    chunked = public.http.post("/form", content=iter([b"ab", b"cd"]))
    assert (chunked.headers["x-body"], chunked.text) == ("4", "abcd")
    assert public.raw("DELETE", "/form").text == "DELETE"
    assert public.raw("POST", "/form", b"x" * (10 * 1024 * 1024 + 1)).status_code == 413


def test_answers_are_streamed(public: Client, running_site: None) -> None:
    with public.http.stream("GET", "/slow") as answer:
        parts = list(answer.iter_raw())
    assert len(parts) >= 3
    assert b"".join(parts) == b"part part part GET"


def test_websockets_both_ways(exchange: Exchange, running_site: None) -> None:
    headers = {"Cookie": "sessionid=s", "X-Forwarded-Host": "evil"}
    with Socket(f"{exchange.ws_url}/live/x", additional_headers=headers, subprotocols=["one"]) as live:
        assert live.connection.recv() == "|".join(["sessionid=s", *[f"127.0.0.1:{exchange.port}"] * 2])
        assert live.connection.subprotocol == "one"
        for message in ("hello", b"\x00\xff", "x" * 60_000):
            live.connection.send(message)
            assert live.connection.recv() == message
        live.connection.send("bye")
        assert live.closed_with() == 4000
    with pytest.raises(InvalidStatus) as refused:
        Socket(f"{exchange.ws_url}/live/refused")
    assert refused.value.response.status_code == 403


@pytest.mark.parametrize("path", ["/", "/ws-api", "/wss/btcusdt@trade", "/live"])
def test_unknown_websocket_paths(exchange: Exchange, path: str) -> None:
    with pytest.raises(InvalidStatus) as refused:
        Socket(exchange.ws_url + path)
    assert refused.value.response.status_code == 404
    assert json.loads(refused.value.response.body) == errors.unknown_socket_path().body()


def test_requests_that_are_no_http(exchange: Exchange) -> None:
    for garbage in (b"\x00" * 100, b"GET\r\n\r\n", b"GET / HTTP/9\r\n\r\n", b"x" * 5000 + b"\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", exchange.port), timeout=40) as raw:
            raw.sendall(garbage)
            raw.shutdown(socket.SHUT_WR)
            assert raw.recv(100)[:12] in (b"HTTP/1.1 400", b"")
    with Client(exchange.base_url) as public:
        assert public.get("/api/v3/ping").status_code == 200


@pytest.mark.parametrize("reads", [False, True])
def test_a_client_that_does_not_read_or_goes_does_not_keep_the_sites_connection(
    exchange: Exchange, running_site: None, monkeypatch: pytest.MonkeyPatch, reads: bool
) -> None:
    # A client that does read is held up by a busy machine now and then.
    send_timeout_s = 1.0 if reads else 0.1
    monkeypatch.setattr("apps.gateway.httpprotocol.SEND_TIMEOUT_S", send_timeout_s)
    cut_off = REGISTRY.get_sample_value("nebannpet_gateway_cut_off_total", {"reason": "stalled"}) or 0
    with socket.create_connection(("127.0.0.1", exchange.port), timeout=40) as client:
        client.sendall(b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 200")
        wait_until(endless.is_set)
        if reads:
            # Longer than a client that reads nothing is waited for.
            until_s = time.monotonic() + 1.5 * send_timeout_s
            while time.monotonic() < until_s:
                assert client.recv(65_536)
            client.close()
        wait_until(lambda: not endless.is_set(), what="the end of the page")
    stalled = REGISTRY.get_sample_value("nebannpet_gateway_cut_off_total", {"reason": "stalled"}) or 0
    assert stalled - cut_off == (0 if reads else 1)
