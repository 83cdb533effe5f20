"""The smallest answer under the gateway's own server settings: python -m tests.benchmarks.bare_server PORT.

An empty JSON object with the gateway's fixed headers over HTTP, and an answer of the same kind to each WebSocket
message, by plain ASGI. What the gateway does beyond this is what its figures are about.
"""

import socket
import sys

import django
import uvicorn
import uvloop

django.setup()

from apps.gateway.asgi import Receive, Scope, Send  # noqa: E402 - settings first
from apps.gateway.http import JSON_HEADERS  # noqa: E402
from apps.gateway.management.commands.run_gateway import server_config  # noqa: E402

HEADERS = [*JSON_HEADERS, (b"content-length", b"2")]
ANSWER = '{"id":1,"status":200,"result":{}}'


async def answer(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "http":
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
        await send({"type": "http.response.body", "body": b"{}"})
        return
    await receive()
    await send({"type": "websocket.accept"})
    while (await receive())["type"] != "websocket.disconnect":
        await send({"type": "websocket.send", "text": ANSWER})


class Server(uvicorn.Server):
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        print("ready", flush=True)


def main(port: str) -> None:
    uvloop.run(Server(server_config(answer, host="127.0.0.1", port=int(port))).serve())


if __name__ == "__main__":
    main(*sys.argv[1:])
