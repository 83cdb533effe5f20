"""The pass-through to the site never mixes visitors: cookies belong to the request that brought them (threat-T16)."""

import asyncio
from pathlib import Path
from typing import Any

from apps.gateway.passthrough import Site


async def fetch(site: Site, cookie: bytes | None) -> bytes:
    """Body of a GET through `site`."""
    headers = [(b"host", b"localhost")] + ([(b"cookie", cookie)] if cookie is not None else [])
    scope = {
        "type": "http", "method": "GET", "path": "/page", "raw_path": b"/page", "query_string": b"",
        "headers": headers, "client": ("127.0.0.1", 1), "scheme": "http",
    }  # fmt: skip
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await site.http(scope, receive, send)
    assert sent[0]["status"] == 200
    return b"".join(message["body"] for message in sent[1:])


async def test_one_visitors_cookie_never_reaches_another(tmp_path: Path) -> None:
    """The site answers with the Cookie header that it got, and sets a session cookie each time."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        got = next((line[7:].strip() for line in head.split(b"\r\n") if line.lower().startswith(b"cookie:")), b"none")
        writer.write(
            b"HTTP/1.1 200 OK\r\nSet-Cookie: sessionid=alice; Path=/\r\nConnection: close\r\n"
            b"Content-Length: %d\r\n\r\n%s" % (len(got), got)
        )
        await writer.drain()
        writer.close()

    socket = tmp_path / "site.sock"
    server = await asyncio.start_unix_server(serve, socket)
    site = Site(socket)
    try:
        assert await fetch(site, b"sessionid=alice") == b"sessionid=alice"
        assert await fetch(site, None) == b"none"
        assert await fetch(site, b"theme=dark") == b"theme=dark"
    finally:
        await site.close()
        server.close()
        await server.wait_closed()
