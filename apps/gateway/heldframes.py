"""Frames of one subscription that wait: for the answer to it, then for room in the connection's queue.

What a resumed subscription gets at once may be more than the queue of a slow client may hold; a client that reads gets
all of it. Later events stand behind, so that order is kept. A subscription that ends drops what waits.

What all of them hold is bounded too (`HeldBytes`): from half of it on nobody may resume, and who would have more than
all of it held is cut off. Whatever happens to a subscription, `release` or `drop` gives its part back.
"""

import asyncio
from collections import deque
from collections.abc import Iterable
from typing import Final

from apps.gateway.metrics import CUT_OFF
from apps.gateway.policy import CLIENT_QUEUE_BYTES_MAX
from apps.gateway.socket import POLICY_VIOLATION, Socket

# A part of the queue, so that other messages of the connection find room too.
ROOM_BYTES: Final = CLIENT_QUEUE_BYTES_MAX // 4
# The past of one resumption (pastevents.EVENTS_OF_ACCOUNT_MAX), in frames of half a kilobyte, and as much again.
HELD_MAX: Final = 20_000
HELD_BYTES_MAX: Final = 8 * 1024 * 1024
# Of all subscriptions of the process: 32 clients that take nothing of the most that one may have.
ALL_HELD_BYTES_MAX: Final = 256 * 1024 * 1024
LOOK_AGAIN_S: Final = 0.01


class HeldBytes:
    """What waits in all `HeldFrames` of a process."""

    def __init__(self) -> None:
        self.count = 0

    @property
    def is_half_full(self) -> bool:
        return self.count >= ALL_HELD_BYTES_MAX // 2

    @property
    def is_over(self) -> bool:
        return self.count > ALL_HELD_BYTES_MAX


class HeldFrames:
    def __init__(self, socket: Socket, of_all: HeldBytes) -> None:
        self._socket = socket
        self._of_all = of_all
        self._frames: deque[str] = deque()
        self._bytes = 0
        self._is_held = True
        self._is_dropped = False

    def add(self, frames: Iterable[str]) -> None:
        """Behind all that waits; straight on where nothing does."""
        if self._is_dropped or self._socket.closed:
            return
        if not self._is_held:
            for frame in frames:
                self._socket.push(frame)
            return
        for frame in frames:
            self._frames.append(frame)
            self._count(len(frame))
        if len(self._frames) > HELD_MAX or self._bytes > HELD_BYTES_MAX or self._of_all.is_over:
            CUT_OFF.labels("slow").inc()
            self._socket.close(POLICY_VIOLATION, "too slow")
            self.drop()

    def release(self) -> None:
        """The answer is on its way. May be called again."""
        while self._frames and self._socket.queued_bytes < ROOM_BYTES:
            frame = self._frames.popleft()
            self._count(-len(frame))
            self._socket.push(frame)
        if self._frames and not self._socket.closed:
            asyncio.get_running_loop().call_later(LOOK_AGAIN_S, self.release)
        else:
            self._is_held = False
            self._clear()

    def drop(self) -> None:
        """Nothing of what waits is sent, and nothing more comes. May be called again."""
        self._is_dropped = True
        self._clear()

    def _clear(self) -> None:
        self._frames.clear()
        self._count(-self._bytes)

    def _count(self, more: int) -> None:
        self._bytes += more
        self._of_all.count += more
