"""The gateway process: the trading API on PORT and the pass-through to the site."""

import asyncio
import gc
import signal
from typing import Any

import structlog
import uvicorn
import uvloop
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.gateway.app import GatewayApp
from apps.gateway.gateway import Gateway, GatewayConfig
from apps.gateway.httpprotocol import Addresses, http_protocol
from apps.gateway.limits.tiers import tiers
from apps.gateway.listening import shared_sockets
from apps.gateway.policy import (
    CONNECTIONS_MAX,
    OTHER_FILES,
    SITE_CONNECTIONS_MAX,
    SITE_SOCKETS_MAX,
    WS_FRAME_BYTES_MAX,
    WS_PING_S,
    WS_PONG_TIMEOUT_S,
)
from apps.gateway.pressure import Limits
from apps.gateway.wsprotocol import GatewayWebSocketProtocol
from nebannpet import env
from nebannpet.env import ConfigurationError
from nebannpet.health import Health, serve_health
from nebannpet.openfiles import raise_limit
from nebannpet.processes import DRAIN_DEFAULT_S, DRAIN_SIGNAL

log = structlog.get_logger("nebannpet.gateway")

KEEP_ALIVE_S = 65
GRACEFUL_S = 3
# Allocations before a collection, and collections before a longer one. Hundreds of requests are under way at once, none
# of which is in a cycle: Python's 700 would look at them all, again and again. So many take a millisecond at most.
COLLECT_EVERY = (10_000, 20, 50)
# A gateway that is not ready by then serves all the same, and says 503: the others may be no better off.
READY_S = 10
# A socket of the site is two files, the client's and ours to the site.
FILES_NEEDED = CONNECTIONS_MAX + 2 * SITE_SOCKETS_MAX + SITE_CONNECTIONS_MAX + OTHER_FILES


class Command(BaseCommand):
    help = "Serve the trading API on HOST:PORT and pass other paths on to the site."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--name", default="gateway", help="tells gateways of one machine apart (default gateway)")

    def handle(self, *args: Any, **options: Any) -> None:
        gateway_failed = uvloop.run(_serve(options["name"]))
        if gateway_failed:
            raise CommandError("The gateway stopped because its background work failed; the log says why.")


async def _serve(name: str) -> bool:
    """Serve until SIGTERM or SIGINT; True when it ended because of a failure of our own."""
    say_when_files_are_few(raise_limit())
    gateway = Gateway(gateway_config())
    server = uvicorn.Server(server_config(GatewayApp(gateway), host=settings.HOST, port=settings.PORT))
    failed = False

    def stop() -> None:
        nonlocal failed
        failed = True
        server.should_exit = True
        stopping.set()

    stopping = handle_signals(gateway, server)
    gateway.on_failure = stop

    def check() -> Health:
        ok, details = gateway.health()
        return Health(ok=ok and server.started, details=details)

    # With one process only nobody may share the port: a second exchange on it is a mistake.
    sockets = shared_sockets(settings.HOST, settings.PORT) if settings.WEB_CONCURRENCY > 1 else None
    with serve_health(name, check):
        async with gateway:
            if sockets is not None:
                # From here on the kernel sends clients here, and the others may know what this one does not know yet.
                await ready_or_stopping(gateway, stopping)
            # What was loaded by now stays for good: the collector need not walk it in the middle of an order.
            gc.freeze()
            gc.set_threshold(*COLLECT_EVERY)
            if not stopping.is_set():
                # Not `serve`, which would take the signals: it closes sockets at the first one.
                await server._serve(sockets)
    return failed


def say_when_files_are_few(limit: int) -> None:
    """Beyond the limit of open files clients are not refused but left waiting, and so is what this process opens."""
    if limit < FILES_NEEDED:
        log.warning(
            "the limit of open files is too low for all connections that may come: raise the hard limit (ulimit -Hn)",
            limit=limit, needed=FILES_NEEDED, connections_max=CONNECTIONS_MAX,
        )  # fmt: skip


async def ready_or_stopping(gateway: Gateway, stopping: asyncio.Event) -> None:
    """For READY_S at most: a process that is asked to stop before it is ready has nobody to wait for."""
    waits = [asyncio.create_task(gateway.ready()), asyncio.create_task(stopping.wait())]
    await asyncio.wait(waits, timeout=READY_S, return_when=asyncio.FIRST_COMPLETED)
    for wait in waits:
        wait.cancel()
    await asyncio.gather(*waits, return_exceptions=True)


def handle_signals(gateway: Gateway, server: uvicorn.Server) -> asyncio.Event:
    """DRAIN_SIGNAL begins the drain; SIGTERM and SIGINT begin it too, and end the process after it, or at the second.

    For the running event loop. The process ends by itself after that, with code 0. Set once it was asked to end.
    """
    loop = asyncio.get_running_loop()
    stopping = asyncio.Event()
    leaving: list[asyncio.Task[None]] = []

    async def leave() -> None:
        gateway.drain.begin()
        await gateway.drain.over()
        server.should_exit = True

    def on_stop() -> None:
        stopping.set()
        if leaving:
            server.should_exit = server.force_exit = True
        else:
            leaving.append(loop.create_task(leave()))

    loop.add_signal_handler(DRAIN_SIGNAL, gateway.drain.begin)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_stop)
    return stopping


def gateway_config() -> GatewayConfig:
    """From the settings. On plain HTTP (development) a page may come from any allowed host name at our port."""
    origins = set(settings.CSRF_TRUSTED_ORIGINS)
    if settings.PUBLIC_ORIGIN.startswith("http://"):
        origins |= {f"http://{host}:{settings.PORT}" for host in settings.ALLOWED_HOSTS}
    return GatewayConfig(
        shard=settings.SHARD,
        database_dsn=settings.DATABASE_DSN,
        database_role=settings.DATABASE_ROLE,
        core_url=settings.REDIS_CORE_URL,
        core_read_url=settings.REDIS_CORE_READ_URL,
        edge_url=settings.REDIS_EDGE_URL,
        site_socket=settings.PATHS.site_socket,
        origins=frozenset(origins),
        limits=Limits(
            backlog_frames_max=settings.BACKLOG_FRAMES_MAX,
            unsettled_events_max=settings.UNSETTLED_EVENTS_MAX,
            settlement_lag_s_max=settings.SETTLEMENT_LAG_MAX_S,
            memory_percent_max=settings.CORE_MEMORY_PERCENT_MAX,
            disk_free_mb_min=settings.DISK_FREE_MIN_MB,
            engine_silent_s_max=settings.ENGINE_SILENT_MAX_S,
            events_behind_s_max=settings.EVENTS_BEHIND_MAX_S,
        ),
        tiers=tiers(settings.RATE_LIMIT_FACTOR),
        drain_s=env.integer("DRAIN_S", DRAIN_DEFAULT_S, minimum=0, maximum=600),
    )


def server_config(app: GatewayApp, **address: Any) -> uvicorn.Config:
    """Forwarded addresses are believed only from TRUSTED_PROXIES (threat-T19); without it, from nobody."""
    proxies = list(env.words("TRUSTED_PROXIES"))
    try:
        addresses = Addresses(settings.HTTP_CONNECTIONS_PER_ADDRESS_MAX, exempt=proxies)
    except ValueError as error:
        raise ConfigurationError(f"TRUSTED_PROXIES must hold addresses or networks: {error}.") from error
    return uvicorn.Config(
        app,
        **address,
        http=http_protocol(addresses),
        ws=GatewayWebSocketProtocol,
        ws_max_size=WS_FRAME_BYTES_MAX,
        ws_ping_interval=WS_PING_S,
        ws_ping_timeout=WS_PONG_TIMEOUT_S - WS_PING_S,
        ws_per_message_deflate=False,
        lifespan="off",
        access_log=False,
        log_config=None,
        # Lines about single requests would hold what clients sent, signatures included (threat-T27).
        log_level="warning",
        proxy_headers=bool(proxies),
        forwarded_allow_ips=proxies,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=GRACEFUL_S,
        backlog=2048,
    )
