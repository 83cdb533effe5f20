"""The way down: sockets are told first, so that their clients connect elsewhere before this process closes them.

Order: `begin` (no new sockets from now on, readiness is red, every open socket gets `serverShutdown`), `over` when all
clients have gone or their time is over, and then the server may close what is left. uvicorn closes sockets before any
hook of the application, so whoever stops this process begins the drain: the supervisor by a signal, else SIGTERM.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterator

import structlog

from apps.common.clock import now_ms

log = structlog.get_logger("nebannpet.gateway.draining")

# Tells one client, with the time of the event.
Tell = Callable[[int], None]


class Drain:
    """All sockets of this process. Belongs to the event loop. Clients have `time_s` to leave."""

    def __init__(self, time_s: float) -> None:
        self._time_s = time_s
        self._open: dict[Tell, None] = {}
        self._began_s: float | None = None
        self._all_gone = asyncio.Event()

    @property
    def is_draining(self) -> bool:
        return self._began_s is not None

    @property
    def sockets(self) -> int:
        return len(self._open)

    @contextlib.contextmanager
    def socket(self, tell: Tell) -> Iterator[None]:
        """One open socket. It may have been on its way here when the drain began, and is told as well."""
        self._open[tell] = None
        if self.is_draining:
            self._all_gone.clear()
            tell(now_ms())
        try:
            yield
        finally:
            del self._open[tell]
            if self.is_draining and not self._open:
                self._all_gone.set()

    def begin(self) -> None:
        """Nothing more after the first time."""
        if self.is_draining:
            return
        self._began_s = asyncio.get_running_loop().time()
        log.info("draining", sockets=self.sockets)
        time_ms = now_ms()
        for tell in tuple(self._open):
            tell(time_ms)
        if not self._open:
            self._all_gone.set()

    async def over(self) -> None:
        """All clients have gone, or had their time for it."""
        assert self._began_s is not None, "begin() comes first"
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(self._began_s + self._time_s):
                await self._all_gone.wait()
