"""What REST and WebSocket API have in common: a pool of connections, a queue for what finds none free, time limits."""

import asyncio
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, ClassVar, Final, Protocol

from apps.gateway.loadgen.plan import Plan, PlanError
from apps.gateway.loadgen.traffic import Request

CONNECT_TIMEOUT_S: Final = 10
RECONNECT_PAUSE_S: Final = 0.25
SWEEP_S: Final = 0.25
MS_NS: Final = 1_000_000

# Why there is no answer, instead of a status.
UNSENT: Final = -1
UNANSWERED: Final = -2

# Told the HTTP status and the JSON of an answer; the status may be UNSENT or UNANSWERED.
Done = Callable[[int, bytes], None]


class Waiting:
    """A request and whom to tell. `deadline_ns` is on the monotonic clock."""

    __slots__ = ("deadline_ns", "done", "request")

    def __init__(self, request: Request, done: Done, deadline_ns: int) -> None:
        self.request = request
        self.done = done
        self.deadline_ns = deadline_ns


class Link(ABC):
    """One connection of a pool: it tells `pool.free(self)` that it can take one more, `pool.lost(self)` at its end."""

    # So many requests at a time.
    room: ClassVar[int] = 1

    @abstractmethod
    def send(self, waiting: Waiting) -> None: ...

    @abstractmethod
    def expire(self, now_ns: int) -> None:
        """Give up what has waited beyond its time."""

    @abstractmethod
    def close(self) -> None: ...


class Transport(Protocol):
    """What the driver needs: a pool, or several of them. `due_ns` is on the monotonic clock."""

    @property
    def reconnects(self) -> int: ...

    async def open(self) -> None: ...

    def send(self, request: Request, done: Done, due_ns: int) -> None: ...

    async def close(self) -> None: ...


class Pool(ABC):
    """Connections that take any request of the pool; `free` lists those that have room."""

    def __init__(self, plan: Plan, size: int) -> None:
        self.plan = plan
        self.size = size
        self._reconnects = 0
        self._ready: deque[Link] = deque()
        self._links: set[Link] = set()
        self._queue: deque[Waiting] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = False

    @abstractmethod
    async def connect(self) -> Link:
        """One more connection, ready to use. OSError, TimeoutError or PlanError when that fails."""

    async def open(self) -> None:
        """All connections; PlanError when one of them fails, since the run would not be what was asked for."""
        links = []
        for _ in range(self.size):
            try:
                links.append(await self.connect())
            except (OSError, TimeoutError) as error:
                raise PlanError(f"Connecting to {self.plan.url} failed: {error or type(error).__name__}.") from error
        self._links.update(links)
        # In turns, so that requests spread over all connections.
        for _ in range(links[0].room):
            for link in links:
                self.free(link)
        self._start(self._sweep())

    def send(self, request: Request, done: Done, due_ns: int) -> None:
        waiting = Waiting(request, done, due_ns + self.plan.timeout_ms * MS_NS)
        if self._ready:
            self._ready.popleft().send(waiting)
        else:
            self._queue.append(waiting)

    @property
    def reconnects(self) -> int:
        return self._reconnects

    def free(self, link: Link) -> None:
        """The connection has room for one more request."""
        if self._queue:
            link.send(self._queue.popleft())
        else:
            self._ready.append(link)

    def lost(self, link: Link) -> None:
        if link not in self._links:
            return
        self._links.discard(link)
        self._ready = deque(each for each in self._ready if each is not link)
        if not self._closing:
            self._start(self._replace())

    async def close(self) -> None:
        self._closing = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for link in tuple(self._links):
            link.close()
        while self._queue:
            self._queue.popleft().done(UNSENT, b"")

    async def _replace(self) -> None:
        while True:
            await asyncio.sleep(RECONNECT_PAUSE_S)
            try:
                link = await self.connect()
            except (OSError, TimeoutError, PlanError):
                # The exchange is away just now; its absence shows in the requests that go unsent.
                continue
            self._reconnects += 1
            self._links.add(link)
            for _ in range(link.room):
                self.free(link)
            return

    async def _sweep(self) -> None:
        """Time limits, looked at a few times a second: a timer a request would cost more than the request."""
        while True:
            await asyncio.sleep(SWEEP_S)
            now_ns = time.monotonic_ns()
            while self._queue and self._queue[0].deadline_ns <= now_ns:
                self._queue.popleft().done(UNSENT, b"")
            for link in tuple(self._links):
                link.expire(now_ns)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
