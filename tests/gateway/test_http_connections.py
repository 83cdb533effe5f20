"""One HTTP connection between and around its requests: idle time, paused reading, a client that only listens.

The protocol alone, on the loop of production, with an application that answers when the test says so.
"""

import asyncio
import gc
from collections.abc import Awaitable, Callable
from typing import Any, Final

import pytest
import uvicorn
import uvloop
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle
from uvicorn.server import ServerState

from apps.gateway.asgi import Receive, Scope, Send
from apps.gateway.httpprotocol import Addresses, http_protocol
from apps.gateway.wsprotocol import GatewayWebSocketProtocol

PATIENCE_S: Final = 40
GET: Final = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
POST: Final = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n"
OK: Final = b"HTTP/1.1 200 OK\r\n"


class Client:
    """A connection to an application that answers once `may_answer` is set; `reads_body` says whether it waits for
    the body first.
    """

    def __init__(self, *, reads_body: bool = True) -> None:
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.began = asyncio.Semaphore(0)
        self.gone = asyncio.Event()
        self.protocol: Any = None
        self._reads_body = reads_body
        self.reader: asyncio.StreamReader
        self.writer: asyncio.StreamWriter

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.began.release()
        while self._reads_body:
            message = await receive()
            if message["type"] == "http.disconnect":
                self.gone.set()
                return
            if not message.get("more_body", False):
                break
        await asyncio.wait_for(self.may_answer.wait(), PATIENCE_S)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})

    async def begins(self) -> None:
        """Until the application has a request."""
        await asyncio.wait_for(self.began.acquire(), PATIENCE_S)

    async def until(self, holds: Callable[[Any], bool]) -> None:
        """Until the server's side of the connection is in this state."""
        async with asyncio.timeout(PATIENCE_S):
            while not holds(self.protocol):  # noqa: ASYNC110  nothing announces it
                await asyncio.sleep(0.01)

    async def answers(self, count: int) -> None:
        for _ in range(count):
            head = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), PATIENCE_S)
            assert head.startswith(OK), head
            assert await asyncio.wait_for(self.reader.readexactly(2), PATIENCE_S) == b"ok"

    async def rest(self) -> bytes:
        """Everything until the server ends the connection, in order or not."""
        found = b""
        try:
            while part := await asyncio.wait_for(self.reader.read(65_536), PATIENCE_S):
                found += part
        except ConnectionResetError:
            return found
        return found


def play(
    scenario: Callable[[Client], Awaitable[None]], *, keep_alive_s: float = PATIENCE_S, reads_body: bool = True
) -> None:
    async def run() -> None:
        client = Client(reads_body=reads_body)
        config = uvicorn.Config(
            client.app, http=http_protocol(Addresses(10)), ws=GatewayWebSocketProtocol, lifespan="off", log_config=None,
            interface="asgi3", proxy_headers=False,
        )  # fmt: skip
        config.load()
        config.timeout_keep_alive = keep_alive_s  # type: ignore[assignment]  # fractions are as good for a timer
        state = ServerState()
        protocol: Any = config.http_protocol_class
        loop = asyncio.get_running_loop()

        def accept() -> Any:
            client.protocol = protocol(config, state, {})
            return client.protocol

        server = await loop.create_server(accept, "127.0.0.1", 0)
        client.reader, client.writer = await asyncio.open_connection(*server.sockets[0].getsockname()[:2])
        try:
            # pytest's own limit is a signal, whose exception this loop does not pass on.
            async with asyncio.timeout(2 * PATIENCE_S):
                await scenario(client)
        finally:
            client.writer.close()
            server.close()

    uvloop.run(run())


def test_an_empty_line_between_requests_does_not_keep_the_connection() -> None:
    async def scenario(client: Client) -> None:
        client.writer.write(GET)
        await client.answers(1)
        client.writer.write(b"\r\n")
        assert await client.rest() == b""

    play(scenario, keep_alive_s=0.2)


def test_empty_lines_before_a_request_are_passed_over() -> None:
    async def scenario(client: Client) -> None:
        for _ in range(3):
            client.writer.write(b"\r\n\r\n" + GET)
            await client.answers(1)

    play(scenario)


def test_the_rest_of_a_request_that_was_answered_does_not_keep_the_connection() -> None:
    async def scenario(client: Client) -> None:
        client.writer.write(POST + b"12345")
        await client.answers(1)
        client.writer.write(b"67890")
        assert await client.rest() == b""

    play(scenario, keep_alive_s=0.2, reads_body=False)


def test_another_request_may_follow_one_that_was_answered_early() -> None:
    async def scenario(client: Client) -> None:
        client.writer.write(POST + b"12345")
        await client.answers(1)
        client.writer.write(b"67890" + GET)
        await client.answers(1)

    play(scenario, reads_body=False)


def is_waiting_with_a_head(protocol: Any) -> bool:
    """A part of a head came, and its client is not read from."""
    return protocol.flow.read_paused and protocol._head_left_s is not None


def test_a_head_has_its_time_while_its_client_is_not_read_from(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second request waits for the first one's answer, and with it the rest of the third one's head."""
    head_s = 0.3

    async def scenario(client: Client) -> None:
        client.may_answer.clear()
        client.writer.write(GET)
        await client.begins()
        # Now, so that it is not the first request that is cut off on a slow machine.
        monkeypatch.setattr("apps.gateway.httpprotocol.REQUEST_HEAD_TIMEOUT_S", head_s)
        client.writer.write(GET + GET[:10])
        await client.until(is_waiting_with_a_head)
        client.writer.write(GET[10:])
        await asyncio.sleep(head_s * 1.5)
        assert 0 < client.protocol._head_left_s <= head_s
        # It had this much in the pause; how fast it is read after that is the machine's affair.
        client.protocol._head_left_s = PATIENCE_S
        client.may_answer.set()
        await client.answers(3)

    play(scenario, reads_body=False)


def test_a_head_that_does_not_come_ends_the_connection_after_a_pause_too(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(client: Client) -> None:
        client.may_answer.clear()
        client.writer.write(GET)
        await client.begins()
        monkeypatch.setattr("apps.gateway.httpprotocol.REQUEST_HEAD_TIMEOUT_S", 0.2)
        client.writer.write(GET + GET[:10])
        await client.until(is_waiting_with_a_head)
        client.may_answer.set()
        # On a slow machine the time is over before the second answer.
        assert 1 <= (await client.rest()).count(OK) <= 2

    play(scenario, reads_body=False)


@pytest.mark.parametrize("left_over", [b"", b"\r\n", GET[:10], POST, POST + b"12345"])
@pytest.mark.parametrize("requests", [1, 3])
def test_who_has_sent_everything_gets_the_answers(requests: int, left_over: bytes) -> None:
    """shutdown(SHUT_WR) after whole requests; what is not whole behind them is never answered, nor waited for."""

    async def scenario(client: Client) -> None:
        client.may_answer.clear()
        client.writer.write(GET * requests + left_over)
        client.writer.write_eof()
        await client.begins()
        # Its end is seen when what is before it was read.
        await client.until(lambda protocol: protocol._is_half_closed or protocol.flow.read_paused)
        assert client.protocol._head_timer is None
        assert client.protocol._body_timer is None
        client.may_answer.set()
        await client.answers(requests)
        assert await client.rest() == b""

    play(scenario)


def test_who_leaves_in_the_middle_of_a_request_is_gone() -> None:
    async def scenario(client: Client) -> None:
        client.writer.write(POST + b"12345")
        await client.begins()
        client.writer.write_eof()
        assert await client.rest() == b""
        await asyncio.wait_for(client.gone.wait(), PATIENCE_S)

    play(scenario)


def test_a_request_that_was_answered_is_gone_without_the_collector() -> None:
    async def scenario(client: Client) -> None:
        gc.collect()
        gc.disable()
        try:
            for _ in range(20):
                client.writer.write(GET)
                await client.answers(1)
            # The process may have other servers.
            kept = [
                each
                for each in gc.get_objects()
                if type(each) is RequestResponseCycle and each.transport is client.protocol.transport
            ]
        finally:
            gc.enable()
        assert len(kept) == 1, "the connection's last one"

    play(scenario)
