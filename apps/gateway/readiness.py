"""When a gateway process calls itself ready. From then on the first order and the first GET of a book are answered.

What it does itself is waited for without end: keys and markets are loaded, the events are followed, redis-core was
asked. What others bring, an engine with the lease and marketdata's books on redis-edge, is waited for PEERS_WAIT_S at
most: without them a gateway serves what it can, trading without public data and public data without an engine
(requirements T16), and which of them is missing stands in its health.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Final

import structlog

log = structlog.get_logger("nebannpet.gateway")

# Longer than marketdata and a worker need where all processes start together, and no longer than the processes that
# share a port wait before they take clients (run_gateway).
PEERS_WAIT_S: Final = 10.0
LOOK_AGAIN_S: Final = 0.02


class Readiness:
    """`run()` once; `reached` stays set. `peers`: whether what others bring is there now, by the name for health."""

    def __init__(self, own: Iterable[asyncio.Event], peers: Mapping[str, Callable[[], bool]]) -> None:
        self._own = tuple(own)
        self._peers = peers
        self.reached = asyncio.Event()

    def missing(self) -> list[str]:
        """The names of what others do not bring at the moment."""
        return sorted(name for name, is_there in self._peers.items() if not is_there())

    async def run(self) -> None:
        for event in self._own:
            await event.wait()
        until_s = asyncio.get_running_loop().time() + PEERS_WAIT_S
        while missing := self.missing():
            if asyncio.get_running_loop().time() >= until_s:
                log.warning("ready without what others bring", missing=missing)
                break
            await asyncio.sleep(LOOK_AGAIN_S)
        self.reached.set()
