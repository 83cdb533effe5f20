"""Sockets of the site are counted by customer, so that one does not keep the pages of all others from theirs."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, unix_serve

from apps.gateway import passthrough
from apps.gateway.passthrough import Site

DEADLINE_S = 60


async def stay(connection: ServerConnection) -> None:
    await connection.wait_closed()


@asynccontextmanager
async def opened(site: Site, address: str | None) -> AsyncIterator[dict[str, Any]]:
    """The gateway's answer to a page's request for a socket, which stays open."""
    scope = {
        "type": "websocket", "path": "/live/", "raw_path": b"/live/", "query_string": b"", "scheme": "ws",
        "headers": [(b"host", b"localhost")], "client": address and (address, 1), "subprotocols": [],
    }  # fmt: skip
    received, sent = asyncio.Queue[dict[str, Any]](), asyncio.Queue[dict[str, Any]]()
    received.put_nowait({"type": "websocket.connect"})
    task = asyncio.create_task(site.websocket(scope, received.get, sent.put))  # type: ignore[arg-type]
    try:
        async with asyncio.timeout(DEADLINE_S):
            yield await sent.get()
            received.put_nowait({"type": "websocket.disconnect", "code": 1000})
            await task
    finally:
        task.cancel()


async def test_one_customer_has_a_share_and_gives_places_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passthrough, "SITE_SOCKETS_PER_ADDRESS_MAX", 1)
    monkeypatch.setattr(passthrough, "SITE_CONNECT_TIMEOUT_S", DEADLINE_S)
    async with unix_serve(stay, str(tmp_path / "s")):
        site = Site(tmp_path / "s")
        for _ in range(2):
            async with opened(site, "2001:db8::1") as first:
                assert first["type"] == "websocket.accept"
                async with opened(site, "2001:db8::ffff:2") as same:
                    assert same["status"] == 429
                async with opened(site, "2001:db8:0:1::1") as other:
                    assert other["type"] == "websocket.accept"
        async with opened(site, None) as one, opened(site, None) as another:
            assert one["type"] == another["type"] == "websocket.accept", "who has no address limits by itself"
            monkeypatch.setattr(passthrough, "SITE_SOCKETS_MAX", 2)
            async with opened(site, "203.0.113.7") as third:
                assert third["status"] == 503
        await site.close()
