"""Everything one gateway process holds, wired together. The order of the fields is the order of dependence."""

import asyncio
import math
import time
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import structlog

from apps.accounts.credentials import CREDENTIALS_CHANNEL
from apps.common.clock import now_ms
from apps.controls.following import SWITCHES_CHANNEL, SwitchBoard
from apps.gateway import registry
from apps.gateway.amending import Amendments
from apps.gateway.batcher import Batcher
from apps.gateway.blockorders import BlockOrders
from apps.gateway.core import CorePipe
from apps.gateway.coremonitor import CoreMonitor
from apps.gateway.database import Follower, make_pool
from apps.gateway.draining import Drain
from apps.gateway.feedage import FeedAge
from apps.gateway.heldframes import HeldBytes
from apps.gateway.history import History
from apps.gateway.keys import Credentials
from apps.gateway.limits.admission import Admission
from apps.gateway.limits.counting import VIOLATIONS_MAX
from apps.gateway.limits.script import ADMIT
from apps.gateway.limits.tiers import Tier
from apps.gateway.listenkeys import ListenKeys
from apps.gateway.markets import MARKETS_CHANNEL, Markets
from apps.gateway.metrics import MARKET_DATA_AGE
from apps.gateway.orderlists import OrderLists
from apps.gateway.orders import Orders
from apps.gateway.ownhistory import OwnHistory
from apps.gateway.passthrough import Site
from apps.gateway.pastevents import PastEvents
from apps.gateway.pasttrades import PastTrades
from apps.gateway.pressure import MB, Limits
from apps.gateway.publicfeed import PublicFeed
from apps.gateway.readiness import Readiness
from apps.gateway.reads import Reads
from apps.gateway.replacing import Replacements
from apps.gateway.settled import Settled
from apps.gateway.streams.hub import Hub
from apps.gateway.tail import EventTail
from apps.gateway.userdata import UserData
from apps.streams.bus.scripts import APPEND_COMMANDS
from apps.streams.names import ShardKeys

log = structlog.get_logger("nebannpet.gateway")

CANCEL_AGAIN_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class GatewayConfig:
    """`origins`: the exact origins from which pages may log on to a trading socket. `limits` is back-pressure, `tiers`
    are rate limits, and so many refusals by these within two minutes are a ban. `drain_s`: what clients have to leave.

    Commands go to `core_url`; events are read from `core_read_url`, the same server or a replica of it. What only the
    replica lacks was not acknowledged to anybody.
    """

    shard: str
    database_dsn: str
    database_role: str
    core_url: str
    core_read_url: str
    edge_url: str
    site_socket: Path
    origins: frozenset[str]
    limits: Limits
    tiers: Mapping[str, Tier]
    drain_s: float
    violations_max: int = VIOLATIONS_MAX


class Gateway:
    """`async with gateway:` runs its background work; a failure there ends the block with the error."""

    def __init__(self, config: GatewayConfig) -> None:
        keys = ShardKeys(config.shard)
        self.config = config
        self.registry = registry.load()
        self.markets = Markets(config.shard)
        self.pool = make_pool(config.database_dsn, config.database_role)
        self.credentials = Credentials(self.pool)
        self.listen_keys = ListenKeys(self.pool)
        self.switches = SwitchBoard()
        self.follower = Follower(
            config.database_dsn,
            config.database_role,
            (CREDENTIALS_CHANNEL, MARKETS_CHANNEL, SWITCHES_CHANNEL),
            (self.credentials, self.listen_keys, self.markets, self.switches),
            self.pool,
        )
        self.pipe = CorePipe(config.core_url, scripts=(APPEND_COMMANDS,))
        same = config.core_read_url == config.core_url
        self.events_pipe = self.pipe if same else CorePipe(config.core_read_url)
        self.tail = EventTail(config.core_read_url, keys, of_replica=not same)
        self.monitor = CoreMonitor(self.pipe, self.tail, keys, config.limits)
        self.settled = Settled(config.core_url, self.pipe, self.events_pipe, keys)
        self.reads = Reads(self.pool, self.settled, self.markets, config.shard, self.tail.labelled)
        self.tail.labelled.read = self.reads.labelled_accounts
        self.own_history = OwnHistory(self.reads)
        self.batcher = Batcher(self.pipe, self.tail, keys)
        self.orders = Orders(self.markets, self.batcher, self.monitor, self.reads)
        self.replacements = Replacements(self.markets, self.batcher, self.reads, self.orders)
        self.lists = OrderLists(self.markets, self.batcher, self.monitor, self.reads)
        self.blocks = BlockOrders(self.markets, self.orders, self.reads)
        self.amendments = Amendments(self.markets, self.batcher, self.monitor, self.reads, self.own_history)
        self.public = PublicFeed(config.edge_url, config.shard, self.markets, FeedAge(lambda: self.tail.seq))
        self.history = History(self.reads, self.public)
        self.past_trades = PastTrades(self.reads, self.public)
        self.hub = Hub(self.markets, self.public.known, self.public.age.stale_since_ms)
        self.public.listeners.append(self.hub)
        self.markets.state_listeners.append(self.hub.on_mirrored_state)
        self.past_pipe = CorePipe(config.core_read_url, server="past events of redis-core:")
        self.held_bytes = HeldBytes()
        self.user_data = UserData(
            self.tail, self.reads, self.markets, PastEvents(self.past_pipe, keys, of_replica=not same)
        )
        self.site = Site(config.site_socket)
        self.edge_pipe = CorePipe(config.edge_url, scripts=(ADMIT,), server="redis-edge")
        self.drain = Drain(config.drain_s)
        self.limits = Admission(self.edge_pipe, config.tiers, config.violations_max)
        self.tail.on_own_command = self.limits.credit
        self._stack = AsyncExitStack()
        self._tasks: list[asyncio.Task[None]] = []
        self._readiness = Readiness(
            (self.follower.started, self.tail.started, self.monitor.started),
            {"engine": self.monitor.alive, "books": self.public.has_every_book},
        )
        self._starting: asyncio.Task[None] | None = None
        self.on_failure: Callable[[], None] | None = None

    async def __aenter__(self) -> Self:
        MARKET_DATA_AGE.set_function(self.public.age.age_s)
        await self.pool.open(wait=False)
        self._stack.push_async_callback(self.pool.close)
        self._stack.push_async_callback(self.site.close)
        work = [
            self.follower.run, self.pipe.run, self.tail.run, self.monitor.run, self.settled.run, self.public.run,
            self.edge_pipe.run, self.past_pipe.run, self.hub.run, self.credentials.end_expired,
            self.credentials.last_uses.run, self.tail.labelled.run,
        ]  # fmt: skip
        if self.events_pipe is not self.pipe:
            work.append(self.events_pipe.run)
        for run in work:
            task = asyncio.create_task(run(), name=f"{type(run.__self__).__name__}.run")  # type: ignore[attr-defined]
            task.add_done_callback(self._ended)
            self._tasks.append(task)
        self._starting = asyncio.create_task(self._readiness.run(), name="Readiness.run")
        self._starting.add_done_callback(self._started)
        return self

    def _started(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            self._ended(task)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Background work never ends by itself: without it this process would answer from an unknown state."""
        if task.cancelled():
            return
        log.critical("the gateway stops: its background work failed", task=task.get_name(), exc_info=task.exception())
        if self.on_failure is not None:
            self.on_failure()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Until they have ended: a library may swallow a cancellation (asyncio.wait_for of Python 3.11 does).
        assert self._starting is not None, "it was entered"
        left = {*self._tasks, self._starting}
        while left:
            for task in left:
                task.cancel()
            _, left = await asyncio.wait(left, timeout=CANCEL_AGAIN_S)
        await self.credentials.last_uses.write()
        await self._stack.aclose()

    async def ready(self) -> None:
        """What readiness.py says was reached."""
        await self._readiness.reached.wait()

    def health(self) -> tuple[bool, dict[str, Any]]:
        """Ready to serve: started, and what it follows was fresh moments ago. A stopped engine is not our illness."""
        readings = self.monitor.readings
        refreshed_s = self.follower.refreshed_s
        details: dict[str, Any] = {
            "database_age_s": round(time.monotonic() - refreshed_s, 1) if math.isfinite(refreshed_s) else None,
            "switches_version": self.switches.version,
            "missing": self._readiness.missing(),
            "core": self.pipe.connected,
            "events": self.tail.connected,
            "edge": self.public.connected,
            "market_data_age_s": round(self.public.age.age_s(), 1),
            "counts_with_others": self.edge_pipe.connected,
            "engine": self.monitor.alive(),
            "lease": self.monitor.lease,
            "refuses_new_orders": sorted(self.monitor.pressure.causes),
            "seq": self.tail.seq,
            "backlog": readings.backlog_frames,
            "unsettled_events": readings.unsettled_events,
            "settlement_lag_s": round(readings.settlement_lag_s, 1),
            "core_memory_percent": readings.memory_percent,
            "disk_free_mb": readings.disk_free_bytes // MB if readings.disk_free_bytes is not None else None,
            "engine_silent_s": round(readings.engine_silent_s, 1),
            "events_behind_s": round(readings.events_behind_s, 1),
            "draining": self.drain.is_draining,
            "sockets": self.drain.sockets,
            "time_ms": now_ms(),
        }
        return self.started and not self.drain.is_draining and all(not task.done() for task in self._tasks), details

    @property
    def started(self) -> bool:
        return self._readiness.reached.is_set()
