"""uvicorn's HTTP protocol with bounds against clients that send without end or do not read.

The head of a request (address and headers) is bounded in bytes and in time; uvicorn would keep all of it, for ever. So
is the time in which a body comes, and the time between two requests. A client that does not read its answer is cut off,
because it holds one of the site's connections as long. One that says that it sends no more gets the answers it waits
for. One address may have so many connections only.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Iterable
from ipaddress import ip_address, ip_network
from typing import Any, ClassVar, Final
from weakref import ref

from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from apps.gateway import errors
from apps.gateway.limits.admission import counted_address
from apps.gateway.metrics import CUT_OFF
from apps.gateway.policy import (
    BODY_BYTES_PER_S_MIN,
    BODY_GRACE_S,
    CLOSE_TIMEOUT_S,
    PIPELINE_MAX,
    REFUSED_CONNECTION_S,
    REQUEST_BODY_TIMEOUT_S,
    REQUEST_HEAD_BYTES_MAX,
    REQUEST_HEAD_TIMEOUT_S,
    SEND_TIMEOUT_S,
)

# In the scope of a request: whether its client is gone, so that nothing more need be sent.
GONE: Final = "nebannpet.gone"
# There too: an HttpPort.
HTTP_PORT: Final = "nebannpet.http-port"


class Addresses:
    """How many HTTP connections each client address has. WebSockets have limits of their own (app.py).

    Behind load balancers (`exempt`: addresses, networks or '*') every client has the balancer's address, so there the
    number of connections is the balancer's to limit. A unix socket has no address and no limit. ValueError for a name
    that is neither.
    """

    def __init__(self, limit: int, *, exempt: Iterable[str] = ()) -> None:
        self.limit = limit
        names = set(exempt)
        self._all_exempt = "*" in names
        self._exempt = [ip_network(name, strict=False) for name in sorted(names - {"*"})]
        self._connections: Counter[str] = Counter()

    def enter(self, address: str) -> bool:
        """Count one more, unless its customer has as many as one may."""
        customer = counted_address(address)
        if self._connections[customer] >= self.limit and not self._is_exempt(address):
            return False
        self._connections[customer] += 1
        return True

    def leave(self, address: str) -> None:
        customer = counted_address(address)
        self._connections[customer] -= 1
        if not self._connections[customer]:
            del self._connections[customer]

    def _is_exempt(self, address: str) -> bool:
        return self._all_exempt or not address or any(ip_address(address) in network for network in self._exempt)


class HttpPort:
    """What a request offers beside ASGI, of which each message costs as much as a small handler."""

    __slots__ = ("_cycle_ref", "_protocol")

    def __init__(self, protocol: "GatewayHttpProtocol", cycle: RequestResponseCycle) -> None:
        self._protocol = protocol
        # The request's task holds it. Held here too, request and port would hold each other until the collector of
        # garbage comes, and that stops everything for ten milliseconds when it finds a thousand of them.
        self._cycle_ref = ref(cycle)

    @property
    def _cycle(self) -> RequestResponseCycle:
        cycle = self._cycle_ref()
        assert cycle is not None, "the request is over"
        return cycle

    def body(self) -> bytes | None:
        """All of it; None while something of it is still to come."""
        return None if self._cycle.more_body else bytes(self._cycle.body)

    def end_after_answer(self) -> None:
        """The rest of this request is not waited for, so nothing can follow it on its connection."""
        self._cycle.keep_alive = False

    def answer(self, head: bytes, body: bytes) -> bool:
        """Send the whole answer in one write: `head` is the status line and whole header lines. False where it has to
        go through ASGI, because the network takes nothing at the moment.
        """
        protocol, cycle = self._protocol, self._cycle
        if protocol.flow.write_paused:
            return False
        if cycle.disconnected:
            return True
        lines = [head]
        for name, value in cycle.default_headers:
            lines += (name, b": ", value, b"\r\n")
        lines.append(b"\r\n" if cycle.keep_alive else b"connection: close\r\n\r\n")
        lines.append(body)
        cycle.response_started = cycle.response_complete = True
        cycle.message_event.set()
        protocol.transport.write(b"".join(lines))
        if not cycle.keep_alive:
            protocol.transport.close()
        cycle.on_response()
        return True


class _Flow(FlowControl):
    """uvicorn's, and tells its protocol when reading stops and goes on."""

    def __init__(self, transport: asyncio.Transport, protocol: "GatewayHttpProtocol") -> None:
        super().__init__(transport)
        self._protocol = protocol

    def pause_reading(self) -> None:
        if not self.read_paused:
            super().pause_reading()
            self._protocol.reading_paused()

    def resume_reading(self) -> None:
        if self.read_paused:
            super().resume_reading()
            self._protocol.reading_resumed()


class GatewayHttpProtocol(HttpToolsProtocol):
    """A connection waits for a head from its start, and from the first byte of each later request. Only time in which
    the client is read from counts; `_head_left_s` is what it still has while it is not.
    """

    addresses: ClassVar[Addresses]

    # Part of a head is here, or the first one is waited for.
    _in_head = True
    _head_bytes = 0
    _trailer_bytes = 0
    _head_timer: asyncio.TimerHandle | None = None
    _head_left_s: float | None = None
    # The client has sent all it will send.
    _is_half_closed = False
    # When the body began that is on its way, and how much of it came.
    _body_since_s: float | None = None
    _body_bytes = 0
    _body_timer: asyncio.TimerHandle | None = None
    _write_timer: asyncio.TimerHandle | None = None
    # The address this connection is counted under; None once it is not counted (any more).
    _counted: str | None = None
    _is_refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.flow = _Flow(transport, self)
        address = self.client[0] if self.client else ""
        if self.addresses.enter(address):
            self._counted = address
            self._expect_head()
        else:
            self._is_refused = True
            CUT_OFF.labels("connections").inc()
            self.loop.call_later(REFUSED_CONNECTION_S, transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_head_timer()
        self._stop_body_timer()
        self._stop_write_timer()
        self._stop_idle_timer()
        self._leave()
        super().connection_lost(exc)

    def handle_websocket_upgrade(self) -> None:
        if self.pipeline or (self.cycle is not None and not self.cycle.response_complete):
            # The answer to the request before would come in the middle of the WebSocket.
            self.send_400_response("An upgrade must wait for the answer to the request before.")
            return
        self._body_since_s = None
        self._stop_write_timer()
        self._leave()
        super().handle_websocket_upgrade()

    def _leave(self) -> None:
        if self._counted is not None:
            self.addresses.leave(self._counted)
            self._counted = None

    def data_received(self, data: bytes) -> None:
        if self._is_refused:
            self._refuse()
            return
        super().data_received(data)
        if self.transport.is_closing():
            return
        if len(self.pipeline) > PIPELINE_MAX:
            self._cut_off("pipeline")
            return
        if self._body_since_s is not None:
            # Most bodies came whole, and never get here.
            if self._body_timer is None:
                self._body_timer = self.loop.call_later(REQUEST_BODY_TIMEOUT_S + BODY_GRACE_S, self._check_body)
        elif not self._in_head:
            return
        elif self._head_timer is None and self._head_left_s is None:
            # This chunk began it. Only what lies wholly within one head counts; the chunk itself is the bound.
            self._expect_head()
        else:
            self._head_bytes += len(data)
            if self._head_bytes > REQUEST_HEAD_BYTES_MAX:
                self._cut_off("large head")

    def _refuse(self) -> None:
        """Answer the first request that there are too many connections. An answer before it might be lost."""
        if self.transport.is_closing():
            return
        error = errors.too_many_connections(self.addresses.limit)
        body = json.dumps(error.body()).encode("ascii")
        head = (
            "HTTP/1.1 429 Too Many Requests\r\ncontent-type: application/json;charset=UTF-8\r\n"
            f"retry-after: {error.retry_after_s}\r\nconnection: close\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        self.transport.write(head.encode("ascii") + body)
        self.transport.close()

    def eof_received(self) -> bool:  # type: ignore[override]
        """The client sends no more; by shutdown(SHUT_WR) it may do so and wait for the answers to its whole requests.
        True keeps the connection until they are sent. Called again where reading goes on after that.
        """
        if self._is_half_closed:
            return True
        if self.cycle is None or (self.cycle.more_body and not self.pipeline):
            return False
        if self.pipeline and self.cycle.more_body:
            # It was the last to come, and is not whole.
            self.pipeline.popleft()
        elif self.cycle.response_complete:
            return False
        self._is_half_closed = True
        self._stop_head_timer()
        self._stop_body_timer()
        self._body_since_s = None
        return True

    # -- clients that do not read -------------------------------------------------------------------------------------
    def pause_writing(self) -> None:
        super().pause_writing()
        self._stop_write_timer()
        self._write_timer = self.loop.call_later(SEND_TIMEOUT_S, self._cut_off, "stalled")

    def resume_writing(self) -> None:
        self._stop_write_timer()
        super().resume_writing()

    def _stop_write_timer(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None

    # -- between requests ---------------------------------------------------------------------------------------------
    def _unset_keepalive_if_required(self) -> None:
        """uvicorn stops its timer at any byte, and starts it with an answer only. So a connection would stay for ever
        after an empty line between requests, or the rest of a body that was answered before. Here it runs on until a
        request begins.
        """

    def _stop_idle_timer(self) -> None:
        super()._unset_keepalive_if_required()

    def timeout_keep_alive_handler(self) -> None:
        """A plain close waits until the client has read what is buffered, which may be never."""
        super().timeout_keep_alive_handler()
        self.loop.call_later(CLOSE_TIMEOUT_S, self.transport.abort)

    # -- heads --------------------------------------------------------------------------------------------------------
    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = True
        self._stop_idle_timer()

    def on_header(self, name: bytes, value: bytes) -> None:
        """uvicorn would take the trailers of a body for headers of the request, without bound."""
        if self._in_head:
            super().on_header(name, value)
        else:
            self._trailer_bytes += len(name) + len(value) + 1
            if self._trailer_bytes > REQUEST_HEAD_BYTES_MAX:
                self._cut_off("large trailers")

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._trailer_bytes = 0
        self._stop_head_timer()
        # The answer before may have started it while this head was on its way.
        self._stop_idle_timer()
        self._body_since_s, self._body_bytes = self.loop.time(), 0
        before = self.cycle
        # Before uvicorn starts the application, which sees them when it runs.
        extensions: Any = {GONE: self.transport.is_closing}
        self.scope["extensions"] = extensions
        super().on_headers_complete()
        if self.cycle is not before:
            extensions[HTTP_PORT] = HttpPort(self, self.cycle)

    def on_response_complete(self) -> None:
        """uvicorn reads on after each answer, and so without bound from a client that never waits for one."""
        was_last = not self.pipeline
        super().on_response_complete()
        if self.pipeline:
            self.flow.pause_reading()
        elif was_last and self._is_half_closed:
            self.timeout_keep_alive_handler()

    # -- bodies -------------------------------------------------------------------------------------------------------
    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._body_since_s = None
        self._stop_body_timer()
        super().on_message_complete()

    def _check_body(self) -> None:
        self._body_timer = None
        if self._body_since_s is None:
            return
        allowed_s = REQUEST_BODY_TIMEOUT_S + BODY_GRACE_S + self._body_bytes / BODY_BYTES_PER_S_MIN
        left_s = self._body_since_s + allowed_s - self.loop.time()
        if self.flow.read_paused:
            # The client waits for us.
            left_s = max(left_s, BODY_GRACE_S)
        if left_s > 0:
            self._body_timer = self.loop.call_later(left_s, self._check_body)
        else:
            self._cut_off("slow body")

    def _stop_body_timer(self) -> None:
        if self._body_timer is not None:
            self._body_timer.cancel()
            self._body_timer = None

    def _expect_head(self) -> None:
        self._head_bytes = 0
        self._head_left_s = REQUEST_HEAD_TIMEOUT_S
        if not self.flow.read_paused:
            self.reading_resumed()

    def reading_paused(self) -> None:
        if self._head_timer is not None:
            self._head_left_s = self._head_timer.when() - self.loop.time()
            self._head_timer.cancel()
            self._head_timer = None

    def reading_resumed(self) -> None:
        if self._head_left_s is not None:
            self._head_timer = self.loop.call_later(self._head_left_s, self._cut_off, "slow head")
            self._head_left_s = None

    def _stop_head_timer(self) -> None:
        self._head_left_s = None
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _cut_off(self, why: str) -> None:
        self._stop_head_timer()
        CUT_OFF.labels(why).inc()
        self.transport.abort()


def http_protocol(addresses: Addresses) -> type[GatewayHttpProtocol]:
    """The protocol of one server, whose connections are counted together."""
    return type("HttpProtocol", (GatewayHttpProtocol,), {"addresses": addresses})
