"""The processes of the exchange, their start order and their stop order (architecture.md section 2)."""

import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from nebannpet.embedded import READER_NICENESS, Launch, Postgres, Redis, redis_core, redis_edge
from nebannpet.env import ConfigurationError
from nebannpet.health import has_drained, is_healthy
from nebannpet.paths import Paths

BASE_DIR = Path(__file__).resolve().parent.parent
MANAGE = str(BASE_DIR / "manage.py")

# Matching writes and proves a snapshot at the head before it ends: about 10 s with a million orders.
# The gateway tells its clients to connect elsewhere (apps/gateway/draining.py) and says in its health when they have.
DRAIN_SIGNAL = signal.SIGUSR1
DRAIN_DEFAULT_S = 2
DRAINS = ("gateway",)
# Celery finishes the e-mail that it is sending.
GRACE_S = {"matching": 30.0, "standby": 30.0, "celery": 15.0}
USUAL_GRACE_S = 5.0
# The engine first, its readers next, what brings it work last. The simulator trades through the public API.
APPLICATION = (
    "matching", "standby", "settlement", "archive", "marketdata", "outbox", "reconcile", "celery", "site", "gateway",
    "simulator",
)  # fmt: skip

# Each group stops together, after the one before it: first what brings work, then the engine, then its readers, which
# so see the last events, then the servers.
STOP_ORDER = (
    ("simulator",),
    ("gateway",),
    ("site", "outbox", "celery"),
    ("standby",),
    ("matching",),
    ("settlement", "archive", "marketdata", "reconcile"),
    ("redis-edge", "redis-core", "postgres"),
)

# A second worker of the shard: the same program. Which of the two is active is told by their health.
COMMANDS = {"standby": ("run_matching", "--name", "standby")}

# They give way to the order path (embedded/launching.py), as PostgreSQL does.
READERS = ("settlement", "archive", "marketdata", "celery", "simulator")


def _nothing() -> None:
    """Most processes need no preparation."""


@dataclass(frozen=True, slots=True)
class Process:
    """`prepare` runs before every start, also after a crash; `is_ready` may block a moment (it runs in a thread).

    `is_drained` too; with it, DRAIN_SIGNAL comes before the stop signal.
    """

    name: str
    launch: Launch
    is_ready: Callable[[], bool]
    prepare: Callable[[], None] = _nothing
    grace_s: float = USUAL_GRACE_S
    is_drained: Callable[[], bool] | None = None
    # The process of which this is one more.
    original: str | None = None

    @property
    def kind(self) -> str:
        """The name that it has in STOP_ORDER."""
        return self.original or self.name


def server_process(name: str, server: Postgres | Redis) -> Process:
    return Process(name, server.launch, server.is_ready, server.prepare)


def embedded_servers(paths: Paths, *, postgres: bool, core: bool, edge: bool) -> list[Process]:
    """Those that the environment does not replace by servers of its own."""
    chosen: list[Process] = []
    if postgres:
        chosen.append(server_process("postgres", Postgres(paths)))
    if core:
        chosen.append(server_process("redis-core", redis_core(paths)))
    if edge:
        chosen.append(server_process("redis-edge", redis_edge(paths)))
    return chosen


def manage_launch(*arguments: str, niceness: int = 0) -> Launch:
    """A command of manage.py. If the supervisor is killed it dies at once: every process survives that by design."""
    return Launch((sys.executable, MANAGE, *arguments), signal.SIGTERM, signal.SIGKILL, niceness=niceness)


def application_processes(
    paths: Paths, *, chosen: tuple[str, ...], simulator: bool, standby: bool = False, gateways: int = 1
) -> list[Process]:
    """Those of `chosen`, in start order; simulator and standby only if they are on. Further gateways have numbers."""
    unknown = [name for name in chosen if name not in APPLICATION]
    if unknown:
        raise ConfigurationError(f"PROCESSES names {', '.join(unknown)}; known are {', '.join(APPLICATION)}.")
    off = {name for name, on in (("simulator", simulator), ("standby", standby)) if not on}
    wanted = [name for name in APPLICATION if name in chosen and name not in off]
    found = []
    for kind in wanted:
        names = [kind, *(f"{kind}-{number}" for number in range(2, gateways + 1) if kind == "gateway")]
        found += [_application_process(name, kind, paths.health_socket(name)) for name in names]
    return found


def _application_process(name: str, kind: str, health_socket: Path) -> Process:
    def is_ready() -> bool:
        return is_healthy(health_socket)

    command = COMMANDS.get(kind, (f"run_{kind}",))
    if name != kind:
        command = (*command, "--name", name)
    launch = manage_launch(*command, niceness=READER_NICENESS if kind in READERS else 0)

    def is_drained() -> bool:
        return has_drained(health_socket)

    return Process(
        name,
        launch,
        is_ready,
        grace_s=GRACE_S.get(kind, USUAL_GRACE_S),
        is_drained=is_drained if kind in DRAINS else None,
        original=kind,
    )
