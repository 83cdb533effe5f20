"""Refusing a WebSocket before it is one: a plain HTTP answer with the error in JSON, as for any other request."""

import msgspec

from apps.gateway.asgi import Receive, Send
from apps.gateway.errors import ApiError


async def refuse(receive: Receive, send: Send, error: ApiError) -> None:
    await receive()
    headers = [(b"content-type", b"application/json;charset=UTF-8")]
    if error.retry_after_s is not None:
        headers.append((b"retry-after", str(error.retry_after_s).encode()))
    await send({"type": "websocket.http.response.start", "status": error.status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": msgspec.json.encode(error.body())})
