"""One stream connection: `/ws`, `/ws/<stream>`, `/ws/<anything>`, `/stream`, `/stream?streams=a/b`.

With `timeUnit=MICROSECOND` in the address all times in its messages are microseconds.
"""

import time
from collections import deque
from typing import TYPE_CHECKING, Any, Final

import msgspec

from apps.gateway import handshake, params
from apps.gateway.asgi import Message, Receive, Scope, Send
from apps.gateway.errors import ApiError
from apps.gateway.http import address_of
from apps.gateway.metrics import CUT_OFF, SOCKETS
from apps.gateway.policy import CONTROL_MESSAGES_PER_S, STREAMS_PER_CONNECTION_MAX, WRITE_BYTES_MAX
from apps.gateway.socket import POLICY_VIOLATION, TRY_AGAIN, Socket
from apps.gateway.streams.backlog import Place
from apps.gateway.streams.control import STREAM_NAME, Control, ControlError, parse
from apps.gateway.streams.shared import COMBINED, MICROSECONDS
from apps.gateway.streams.topic import Topic, missed_frames
from apps.gateway.streams.userstreams import UserStreams, is_listen_key
from apps.gateway.timeunit import is_microseconds

if TYPE_CHECKING:
    from apps.gateway.gateway import Gateway

encode: Final = msgspec.json.Encoder().encode


class StreamConnection:
    """A subscriber of the hub. `combined` wraps messages with their stream's name."""

    def __init__(
        self, gateway: "Gateway", scope: Scope, receive: Receive, send: Send, *, combined: bool,
        microseconds: bool = False,
    ) -> None:  # fmt: skip
        self._hub = gateway.hub
        self.socket = Socket(scope, receive, send, missed=lambda: missed_frames(self, WRITE_BYTES_MAX))
        self.places: dict[Topic, Place] = {}
        self.user_streams = UserStreams(
            gateway, self.socket, is_combined=lambda: self.combined, is_alone=lambda: not self._streams,
            in_microseconds=microseconds, address=address_of(scope),
        )  # fmt: skip
        self.lane = self._hub.enter((COMBINED if combined else 0) | (MICROSECONDS if microseconds else 0))
        self._streams: dict[str, None] = {}
        self._recent: deque[float] = deque(maxlen=CONTROL_MESSAGES_PER_S)

    @property
    def combined(self) -> bool:
        return bool(self.lane.form & COMBINED)

    def cut_off_chain(self) -> None:
        CUT_OFF.labels("gap").inc()
        self.socket.close(TRY_AGAIN, "depth messages were lost; load a snapshot and connect again")

    async def subscribe(self, names: list[str]) -> None:
        """Raises ControlError when there would be too many, or for a listen key that is none; then none is added."""
        of_users = self.user_streams.names
        new = [name for name in dict.fromkeys(names) if name not in self._streams and name not in of_users]
        if len(self._streams) + len(of_users) + len(new) > STREAMS_PER_CONNECTION_MAX:
            raise ControlError(2, f"Invalid request: at most {STREAMS_PER_CONNECTION_MAX} streams a connection")
        await self.user_streams.begin([name for name in new if is_listen_key(name)])
        for name in new:
            if is_listen_key(name):
                continue
            self._streams[name] = None
            self._hub.subscribe(name, self)

    def unsubscribe(self, names: list[str]) -> None:
        self._catch_up()
        for name in names:
            if name in self._streams:
                del self._streams[name]
                self._hub.unsubscribe(name, self)
            self.user_streams.end(name)

    def _catch_up(self) -> None:
        """What was missed goes out before anything changes, as it would have."""
        self.socket.add_missed(missed_frames(self))

    def leave(self) -> None:
        self._hub.leave(self._streams, self)
        self._streams.clear()
        self.user_streams.leave()

    def count_frame(self) -> None:
        """A message, ping or pong came. The sixth within a second ends the connection."""
        now = time.monotonic()
        if len(self._recent) == CONTROL_MESSAGES_PER_S and now - self._recent[0] < 1.0 and not self.socket.closed:
            CUT_OFF.labels("flood").inc()
            self.socket.close(POLICY_VIOLATION, "Too many requests")
        self._recent.append(now)

    async def on_message(self, message: Message) -> None:
        self.count_frame()
        if self.socket.closed:
            return
        text = message.get("text")
        try:
            if text is None:
                raise ControlError(3, "Invalid JSON: text frames only")
            control = parse(text)
            try:
                answer = {"result": await self._obey(control), "id": control.request_id}
            except ControlError as error:
                error.request_id = control.request_id
                raise
        except ControlError as error:
            answer = error.answer()
        self.socket.push(encode(answer).decode())
        self.user_streams.release()

    async def _obey(self, control: Control) -> Any:
        match control.method:
            case "SUBSCRIBE":
                await self.subscribe(control.params)
            case "UNSUBSCRIBE":
                self.unsubscribe(control.params)
            case "LIST_SUBSCRIPTIONS":
                return [*self._streams, *self.user_streams.names]
            case "SET_PROPERTY":
                self._catch_up()
                form = self.lane.form & ~COMBINED | (COMBINED if control.params[1] else 0)
                self._hub.change_form(self._streams, self, form)
            case "GET_PROPERTY":
                return self.combined
        return None


async def serve(gateway: "Gateway", scope: Scope, receive: Receive, send: Send) -> None:
    path = scope["path"]
    try:
        asked = params.parse_pairs(scope["query_string"])
        microseconds = is_microseconds(asked["timeUnit"]) if "timeUnit" in asked else False
    except ApiError as error:
        await handshake.refuse(receive, send, error)
        return
    connection = StreamConnection(
        gateway, scope, receive, send, combined=path == "/stream", microseconds=microseconds
    )  # fmt: skip
    socket = connection.socket
    gauge = SOCKETS.labels("streams")
    gauge.inc()
    try:
        try:
            await connection.subscribe(_named_streams(path, asked.get("streams", "")))
        except ControlError as error:
            socket.close(POLICY_VIOLATION, error.message)
        connection.user_streams.release()
        with gateway.drain.socket(lambda time_ms: socket.push(f'{{"e":"serverShutdown","E":{time_ms}}}')):
            # A client that is behind is read from all the same: it may be about to unsubscribe.
            await socket.run(connection.on_message, on_control_frame=connection.count_frame)
    finally:
        gauge.dec()
        connection.leave()


def _named_streams(path: str, streams: str) -> list[str]:
    """Streams in the address; what is no stream name (ccxt.pro counts /ws/0, /ws/1, ...) is ignored."""
    # A plus sign in a query means a space, and of stream names only @kline_1d@+08:00 and its like have one.
    names = streams.replace(" ", "+").split("/") if path == "/stream" else path.removeprefix("/ws").split("/")
    return [
        name
        for name in names
        if STREAM_NAME.fullmatch(name) and ("@" in name or name.startswith("!") or is_listen_key(name))
    ]
