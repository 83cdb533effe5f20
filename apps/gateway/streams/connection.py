"""One stream connection: `/ws`, `/ws/<stream>`, `/ws/<anything>`, `/stream`, `/stream?streams=a/b`."""

import time
from collections import deque
from typing import TYPE_CHECKING, Any, Final

import msgspec

from apps.gateway import params
from apps.gateway.asgi import Message, Receive, Scope, Send
from apps.gateway.errors import ApiError
from apps.gateway.metrics import CUT_OFF, SOCKETS
from apps.gateway.policy import CONTROL_MESSAGES_PER_S, STREAMS_PER_CONNECTION_MAX
from apps.gateway.socket import POLICY_VIOLATION, TRY_AGAIN, Socket
from apps.gateway.streams.control import STREAM_NAME, Control, ControlError, parse

if TYPE_CHECKING:
    from apps.gateway.gateway import Gateway
    from apps.gateway.streams.hub import Hub

encode: Final = msgspec.json.Encoder().encode


class StreamConnection:
    """A subscriber of the hub. `combined` wraps messages with their stream's name."""

    def __init__(self, hub: "Hub", socket: Socket, *, combined: bool) -> None:
        self._hub = hub
        self._socket = socket
        self.combined = combined
        self._streams: dict[str, None] = {}
        self._recent: deque[float] = deque(maxlen=CONTROL_MESSAGES_PER_S)

    def deliver(self, text: str, topic: str, *, replaceable: bool) -> None:
        self._socket.push(text, topic, replaceable=replaceable)

    def cut_off_chain(self, topic: str) -> None:
        CUT_OFF.labels("gap").inc()
        self._socket.close(TRY_AGAIN, "depth messages were lost; load a snapshot and connect again")

    def subscribe(self, names: list[str]) -> None:
        """Raises ControlError when there would be too many; then none is added."""
        new = [name for name in dict.fromkeys(names) if name not in self._streams]
        if len(self._streams) + len(new) > STREAMS_PER_CONNECTION_MAX:
            raise ControlError(2, f"Invalid request: at most {STREAMS_PER_CONNECTION_MAX} streams a connection")
        for name in new:
            self._streams[name] = None
            self._hub.subscribe(name, self)

    def unsubscribe(self, names: list[str]) -> None:
        for name in names:
            if name in self._streams:
                del self._streams[name]
                self._hub.unsubscribe(name, self)

    def leave(self) -> None:
        self.unsubscribe(list(self._streams))

    async def on_message(self, message: Message) -> None:
        now = time.monotonic()
        if len(self._recent) == CONTROL_MESSAGES_PER_S and now - self._recent[0] < 1.0:
            CUT_OFF.labels("flood").inc()
            self._socket.close(POLICY_VIOLATION, "Too many requests")
            return
        self._recent.append(now)
        text = message.get("text")
        try:
            if text is None:
                raise ControlError(3, "Invalid JSON: text frames only")
            control = parse(text)
            try:
                answer = {"result": self._obey(control), "id": control.request_id}
            except ControlError as error:
                error.request_id = control.request_id
                raise
        except ControlError as error:
            answer = error.answer()
        self._socket.push(encode(answer).decode())

    def _obey(self, control: Control) -> Any:
        match control.method:
            case "SUBSCRIBE":
                self.subscribe(control.params)
            case "UNSUBSCRIBE":
                self.unsubscribe(control.params)
            case "LIST_SUBSCRIPTIONS":
                return list(self._streams)
            case "SET_PROPERTY":
                self._set_property(control.params)
            case "GET_PROPERTY":
                if control.params != ["combined"]:
                    raise ControlError(0, "Unknown property")
                return self.combined
        return None

    def _set_property(self, parameters: list[Any]) -> None:
        if len(parameters) != 2 or parameters[0] != "combined":
            raise ControlError(0, "Unknown property")
        if not isinstance(parameters[1], bool):
            raise ControlError(1, "Invalid value type: expected Boolean")
        self.combined = parameters[1]


async def serve(gateway: "Gateway", scope: Scope, receive: Receive, send: Send) -> None:
    socket = Socket(scope, receive, send)
    path = scope["path"]
    connection = StreamConnection(gateway.hub, socket, combined=path == "/stream")
    try:
        connection.subscribe(_named_streams(path, scope["query_string"]))
    except (ControlError, ApiError):
        socket.close(POLICY_VIOLATION, "The streams in the address are too many or malformed.")
    gauge = SOCKETS.labels("streams")
    gauge.inc()
    try:
        await socket.run(connection.on_message)
    finally:
        gauge.dec()
        connection.leave()


def _named_streams(path: str, query: bytes) -> list[str]:
    """Streams in the address; what is no stream name (ccxt.pro counts /ws/0, /ws/1, ...) is ignored."""
    if path == "/stream":
        names = params.parse_pairs(query).get("streams", "").split("/")
    else:
        names = path.removeprefix("/ws").split("/")
    return [name for name in names if STREAM_NAME.fullmatch(name) and ("@" in name or name.startswith("!"))]
