"""A gateway as a process of its own on the servers of an `Exchange`, kept by a supervisor's `Child` in a thread."""

import asyncio
import contextlib
import io
import os
import threading
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from psycopg.conninfo import conninfo_to_dict

from nebannpet.children import Child, DeathPipe, State
from nebannpet.console import Console
from nebannpet.health import ask_health
from nebannpet.paths import Paths
from nebannpet.processes import application_processes
from tests.gateway.exchange import Exchange, wait_until
from tests.ports import free_port


class GatewayProcess:
    """`states` are the child's, in the order in which it had them."""

    def __init__(self, exchange: Exchange, data_dir: Path) -> None:
        self.port = free_port()
        self.paths = Paths(data_dir)
        self.paths.make_private()
        self.states: list[State] = []
        self.shown = io.StringIO()
        database = conninfo_to_dict(settings.DATABASE_DSN)
        self.environment = os.environ | {
            "NEBANNPET_ENV": "development",
            "NEBANNPET_DATA": str(data_dir),
            "DJANGO_SETTINGS_MODULE": "nebannpet.settings",
            "PYTHONUNBUFFERED": "1",
            "PORT": str(self.port),
            "DATABASE_URL": "postgresql:///?" + urlencode({name: str(value) for name, value in database.items()}),
            # The tests' database has no roles of processes.
            "NEBANNPET_ROLE": str(database["user"]),
            "REDIS_CORE_URL": exchange.core_url,
            "REDIS_EDGE_URL": exchange.edge_url,
        }
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="keeps the gateway", daemon=True)
        self._pipe = DeathPipe()
        self._console = Console(self.paths.logs_dir, self.shown)
        self.child: Child

    def do(self, what: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(what, self._loop).result(90)

    @contextlib.contextmanager
    def running(self) -> Iterator["GatewayProcess"]:
        self._thread.start()
        [process] = application_processes(self.paths, chosen=("gateway",), simulator=False)
        self.child = Child(
            process, console=self._console, pipe=self._pipe, environment=self.environment,
            changed=lambda: self.states.append(self.child.state),
        )  # fmt: skip
        try:
            self.do(self._start())
            wait_until(self.child.ready.is_set, timeout_s=80, what=self.shown.getvalue)
            yield self
        finally:
            self.do(self.child.stop())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(40)
            self._loop.close()
            self._console.close()
            self._pipe.close()
            self.paths.remove_short_socket_dir()

    async def _start(self) -> None:
        self.child.start()

    def health(self) -> tuple[int, dict[str, Any]]:
        return ask_health(self.paths.health_socket("gateway"))
