"""The open sockets of one site process, and who of them is to be told what.

Everything here runs in the process's event loop; other threads use `call`. Sockets are counted, so that nobody keeps
others out: in all, for each session, and of visitors who are not logged in together and for each network.

Hints that a user has new notices come over Channels (redis-edge), once for the process. Banners and ends of sessions
come from PostgreSQL (following.py). So without redis-edge sockets open as always; only the hints are missing.
"""

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any, Final, Protocol, TypeVar

import structlog
from channels.layers import get_channel_layer
from redis.exceptions import RedisError

from apps.notifications.live.visitors import Visitor
from apps.notifications.policy import (
    LIVE_ENDS_KEPT_S,
    LIVE_HINTS_RETRY_S,
    LIVE_SOCKETS_MAX,
    LIVE_SOCKETS_PER_NETWORK_MAX,
    LIVE_SOCKETS_PER_SESSION_MAX,
    LIVE_SOCKETS_WITHOUT_SESSION_MAX,
)

log = structlog.get_logger(__name__)

GROUP: Final = "live"
Key = TypeVar("Key")


class LiveSocket(Protocol):
    visitor: Visitor

    def wake(self) -> None:
        """Banners may be others than before."""

    def tell_notices(self) -> None:
        """The user's notices are others than before."""

    def end(self) -> None:
        """Its session is over, or may be: it closes, and the page comes back as whoever it is now."""


class Hub:
    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._hints: asyncio.Task[None] | None = None
        self._all: set[LiveSocket] = set()
        self._of_user: defaultdict[int, set[LiveSocket]] = defaultdict(set)
        self._of_session: defaultdict[str, set[LiveSocket]] = defaultdict(set)
        self._of_network: Counter[str] = Counter()
        # When (time.monotonic) the session, or those of the user, ended; the oldest first.
        self._ended: dict[str | int, float] = {}
        self._unknown_at_s = 0.0

    def join(self, socket: LiveSocket) -> bool:
        """False where there are too many already, and where the session ended after it was begun to be looked up."""
        self._listen()
        visitor = socket.visitor
        if len(self._all) >= LIVE_SOCKETS_MAX or not (
            self._has_session(visitor) if visitor.session else self._has_room_without_session(visitor)
        ):
            return False
        self._all.add(socket)
        if visitor.user_id is not None:
            self._of_user[visitor.user_id].add(socket)
            self._of_session[visitor.session].add(socket)
        else:
            self._of_network[visitor.network] += 1
        return True

    def _has_session(self, visitor: Visitor) -> bool:
        assert visitor.user_id is not None, "sessions without a user are none"
        ends = (self._ended.get(visitor.session, 0.0), self._ended.get(visitor.user_id, 0.0), self._unknown_at_s)
        return (
            max(ends) < visitor.looked_up_at_s
            and len(self._of_session.get(visitor.session, ())) < LIVE_SOCKETS_PER_SESSION_MAX
        )

    def _has_room_without_session(self, visitor: Visitor) -> bool:
        return (
            self._of_network[visitor.network] < LIVE_SOCKETS_PER_NETWORK_MAX
            and self._of_network.total() < LIVE_SOCKETS_WITHOUT_SESSION_MAX
        )

    def leave(self, socket: LiveSocket) -> None:
        if socket not in self._all:
            return
        self._all.remove(socket)
        visitor = socket.visitor
        if visitor.user_id is None:
            self._of_network[visitor.network] -= 1
            if not self._of_network[visitor.network]:
                del self._of_network[visitor.network]
            return
        _take_out(self._of_user, visitor.user_id, socket)
        _take_out(self._of_session, visitor.session, socket)

    def __len__(self) -> int:
        return len(self._all)

    # -- what happened ------------------------------------------------------------------------------------------------
    def banners_changed(self) -> None:
        for socket in tuple(self._all):
            socket.wake()

    def notices_changed(self, user_ids: list[int]) -> None:
        for user_id in user_ids:
            for socket in tuple(self._of_user.get(user_id, ())):
                socket.tell_notices()

    def session_ended(self, session: str) -> None:
        self._keep_end(session)
        for socket in tuple(self._of_session.get(session, ())):
            socket.end()

    def sessions_of_user_ended(self, user_id: int) -> None:
        self._keep_end(user_id)
        for socket in tuple(self._of_user.get(user_id, ())):
            socket.end()

    def sessions_unknown(self) -> None:
        """Ends of sessions may have been missed."""
        self._unknown_at_s = time.monotonic()
        for sockets in tuple(self._of_session.values()):
            for socket in tuple(sockets):
                socket.end()

    def _keep_end(self, whose: str | int) -> None:
        now_s = time.monotonic()
        while self._ended and self._ended[oldest := next(iter(self._ended))] < now_s - LIVE_ENDS_KEPT_S:
            del self._ended[oldest]
        # At the end, also if it is there already.
        self._ended.pop(whose, None)
        self._ended[whose] = now_s

    def call(self, what: Callable[[], None]) -> None:
        """From any thread; nothing where no socket was ever opened."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(what)

    # -- hints over Channels ------------------------------------------------------------------------------------------
    def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        if self._loop is not loop or self._hints is None or self._hints.done():
            self._loop = loop
            self._hints = loop.create_task(self._take_hints(get_channel_layer()))

    async def _take_hints(self, layer: Any) -> None:
        while True:
            try:
                channel = await layer.new_channel()
                await layer.group_add(GROUP, channel)
                break
            except (RedisError, OSError) as error:
                log.warning("no hints of new notices without redis-edge", error=str(error))
                await asyncio.sleep(LIVE_HINTS_RETRY_S)
        while True:
            # The layer itself connects again when redis-edge was away.
            message = await layer.receive(channel)
            self.notices_changed(message["users"])


def _take_out(sockets: dict[Key, set[LiveSocket]], key: Key, socket: LiveSocket) -> None:
    sockets[key].discard(socket)
    if not sockets[key]:
        del sockets[key]


HUB: Final = Hub()
