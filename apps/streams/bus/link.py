"""One connection to redis-core that says what it knows: nothing is ever sent twice, no reconnect goes unnoticed.

redis-py's clients repair a lost connection on their own; a worker must not write through one, because the server behind
it may have another history. So this uses redis-py's connection class alone (its parser, TLS, URL options) and connects
again only at the call *after* the one that reported the loss.
"""

import time
from collections.abc import Sequence
from typing import Any, Final

from redis import connection as redis_connection
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    ConnectionError,
    NoScriptError,
    RedisError,
    ResponseError,
    TimeoutError,
)
from redis.retry import Retry

from apps.streams.bus.errors import AppendUnknown, BusAway, BusRefused
from apps.streams.bus.scripts import TEXT_BY_SHA

CONNECT_TIMEOUT_S: Final = 2.0
# Longer than any fsync of a disk that still works; a reply later than this counts as lost.
ANSWER_TIMEOUT_S: Final = 5.0

_redis: Any = redis_connection  # redis-py's connection layer carries no types

Arguments = Sequence[str | bytes | int]


def _connection_of(url: str) -> Any:
    """Not connected yet, and never repaired by redis-py."""
    options = dict(_redis.parse_url(url))
    kind = options.pop("connection_class", _redis.Connection)
    return kind(
        **options,
        protocol=2,
        retry=Retry(NoBackoff(), 0),
        socket_timeout=ANSWER_TIMEOUT_S,
        socket_connect_timeout=CONNECT_TIMEOUT_S,
    )


class Link:
    """Calls with their answers in order. Not safe for threads. Connects at the first call."""

    def __init__(self, url: str) -> None:
        self._connection = _connection_of(url)

    def close(self) -> None:
        self._connection.disconnect()

    def read(self, *arguments: str | bytes | int) -> Any:
        """The answer of a command without effect; BusAway where there is none."""
        return self._call([arguments], effect=False)[0]

    def write(self, *arguments: str | bytes | int) -> Any:
        """The answer of a command with effect. AppendUnknown: it was sent and not answered. ResponseError: refused."""
        return self.write_all([arguments])[0]

    def write_all(self, commands: Sequence[Arguments]) -> list[Any]:
        """All in one round trip and one fsync; the first refusal is raised after all are answered."""
        answers = self._call(commands, effect=True)
        for answer in answers:
            if isinstance(answer, NoScriptError):
                self._connection.disconnect()  # the next call connects again and loads the scripts
            if isinstance(answer, ResponseError):
                raise answer
        return answers

    def _call(self, commands: Sequence[Arguments], *, effect: bool) -> list[Any]:
        connection = self._connected()
        packed = connection.pack_commands(commands)
        answers: list[Any] = []
        try:
            connection.send_packed_command(packed, check_health=False)
            for _ in commands:
                try:
                    answers.append(connection.read_response())
                except ResponseError as refused:
                    answers.append(refused)
        except (ConnectionError, TimeoutError, OSError) as error:
            connection.disconnect()
            kind = AppendUnknown if effect else BusAway
            raise kind(f"connection to redis-core lost: {error}") from error
        if not effect and isinstance(answers[0], ResponseError):
            raise BusRefused(str(answers[0])) from answers[0]
        return answers

    def _connected(self) -> Any:
        connection = self._connection
        if not connection.is_connected:
            try:
                connection.connect()
                connection.send_packed_command(
                    connection.pack_commands([("SCRIPT", "LOAD", text) for text in TEXT_BY_SHA.values()]),
                    check_health=False,
                )
                for _ in TEXT_BY_SHA:
                    connection.read_response()
            except AuthenticationError as error:
                connection.disconnect()
                raise BusRefused(f"redis-core refuses this user: {error}") from error
            except (RedisError, OSError) as error:
                connection.disconnect()
                raise BusAway(f"no connection to redis-core: {error}") from error
        return connection


class Subscription:
    """One pub/sub channel, on a connection of its own from the first `wait` on. Not safe for threads."""

    def __init__(self, url: str, channel: str) -> None:
        self._connection = _connection_of(url)
        self._channel = channel

    def close(self) -> None:
        self._connection.disconnect()

    def wait(self, timeout_s: float) -> bool:
        """Whether something was said since the call before, or is within `timeout_s`. BusAway: nobody can tell."""
        connection = self._connection
        deadline_s = time.monotonic() + timeout_s
        heard = False
        try:
            if not connection.is_connected:
                connection.connect()
                connection.send_command("SUBSCRIBE", self._channel)
                connection.read_response()
            while connection.can_read(timeout=0 if heard else max(deadline_s - time.monotonic(), 0)):
                connection.read_response()
                heard = True
        except (RedisError, OSError) as error:
            connection.disconnect()
            raise BusAway(f"connection to redis-core lost: {error}") from error
        return heard
