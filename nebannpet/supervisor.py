"""`make run`: starts every process of the exchange, keeps it running, and stops it cleanly. docs/decisions/0006.

Order: preflight (data directory, lock, port), embedded servers, database set-up, application processes. Ctrl-C or
SIGTERM stops them in the order of processes.STOP_ORDER; a second one kills what is left. When this process itself is
killed, the kernel ends every child (nebannpet/launch.py), so nothing is orphaned.

Exit codes: 0 stopped as asked · 1 the exchange could not be started · 2 configuration · 3 already running ·
4 port taken · 5 data directory unusable.
"""

import asyncio
import contextlib
import json
import os
import signal
import sys
import time

from apps.streams.shards import DEFAULT_SHARD
from nebannpet import env
from nebannpet.children import Child, DeathPipe, State
from nebannpet.console import Console
from nebannpet.control import Control, process_table
from nebannpet.env import ConfigurationError
from nebannpet.openfiles import raise_limit
from nebannpet.paths import Paths
from nebannpet.preflight import (
    EXIT_CONFIGURATION,
    EXIT_FAILED,
    FREE_BYTES_MIN,
    PreflightError,
    check_data_directory,
    check_port,
    lock_data_directory,
    remove_stale_run_files,
)
from nebannpet.preparation import Preparation, StartError
from nebannpet.processes import (
    APPLICATION,
    STOP_ORDER,
    Process,
    application_processes,
    embedded_servers,
)

READY_TIMEOUT_S = 120.0


class Supervisor:
    def __init__(
        self, *, paths: Paths, address: str, simulator: bool, standby: bool, demo_data: bool, dsn: str,
        console: Console, gateways: int = 1,
    ) -> None:  # fmt: skip
        self._paths = paths
        self._address = address
        self._demo_data = demo_data
        self._console = console
        self._pipe = DeathPipe()
        self._environment = os.environ | {
            "NEBANNPET_DATA": str(paths.data_dir),
            "PYTHONUNBUFFERED": "1",
            "DJANGO_SETTINGS_MODULE": "nebannpet.settings",
        }
        self._environment.pop("NEBANNPET_PROCESS", None)
        # Another shard uses the servers that the first one's supervisor keeps, or those of the environment.
        first_shard = paths.shard == DEFAULT_SHARD
        embedded_postgres = first_shard and "DATABASE_URL" not in os.environ
        self._preparation = Preparation(
            paths=paths,
            dsn=dsn,
            embedded_postgres=embedded_postgres,
            console=console,
            pipe=self._pipe,
            environment=self._environment,
        )
        self._servers = [
            self._child(process)
            for process in embedded_servers(
                paths,
                postgres=embedded_postgres,
                core=first_shard and "REDIS_CORE_URL" not in os.environ,
                edge=first_shard and "REDIS_EDGE_URL" not in os.environ,
            )
        ]
        self._application = [
            self._child(process)
            for process in application_processes(
                paths,
                chosen=env.words("PROCESSES", APPLICATION),
                simulator=simulator,
                standby=standby,
                gateways=gateways,
            )
        ]
        self._children = {child.name: child for child in (*self._servers, *self._application)}
        self._control = Control(self._children, not_now=self._why_nothing_may_change)
        self._stop = asyncio.Event()
        self._started = False
        self._said_low = False

    def _child(self, process: Process) -> Child:
        return Child(
            process,
            console=self._console,
            pipe=self._pipe,
            environment=self._environment,
            changed=self._write_process_table,
        )

    async def run(self) -> None:
        """Until a signal asks to stop; StartError if the exchange cannot be started."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._on_signal, number)
        start = asyncio.create_task(self._start())
        stop = asyncio.create_task(self._stop.wait())
        try:
            async with self._control.serve(self._paths.control_socket):
                await asyncio.wait([start, stop], return_when=asyncio.FIRST_COMPLETED)
                if start.done():
                    start.result()
                    await self._watch(stop)
        finally:
            start.cancel()
            await asyncio.gather(start, return_exceptions=True)
            await self._stop_all()

    def _why_nothing_may_change(self) -> str:
        if self._stop.is_set():
            return "The exchange is stopping."
        return "" if self._started else "The exchange is still starting. Try again when it says that it is ready."

    def _on_signal(self, number: signal.Signals) -> None:
        if self._stop.is_set():
            self._console.say("stopping now, without waiting")
            for child in self._children.values():
                child.kill()
            return
        self._console.say(f"{number.name}: stopping")
        self._stop.set()

    async def _start(self) -> None:
        started_at = time.monotonic()
        if missing := await self._start_group("servers", self._servers):
            raise StartError(self._describe_missing(missing))
        await self._preparation.set_up()
        simulator = [child for child in self._application if child.name == "simulator"]
        others = [child for child in self._application if child.name != "simulator"]
        missing = await self._start_group("processes", others)
        missing += await self._start_group("the simulated market", simulator)
        self._started = True
        if missing:
            # What fails does not take the rest down (requirements T16); its restarts go on.
            self._console.say(f"{self._describe_missing(missing)}. The others run: {self._address}")
        else:
            self._console.say(f"ready after {time.monotonic() - started_at:.1f} s: {self._address}")
        # After the console has it: whoever sees it here may look there.
        self._write_process_table()
        if self._demo_data and env.flag("DEMO_LOGINS", True):
            await self._preparation.show_demo_logins()
        self._console.say("Ctrl-C stops everything")

    async def _start_group(self, title: str, children: list[Child]) -> list[Child]:
        """Start them together and wait; returns those that are not ready after READY_TIMEOUT_S."""
        if not children:
            return []
        self._console.say(f"starting {title}: {', '.join(child.name for child in children)}")
        for child in children:
            child.start()
        deadline = time.monotonic() + READY_TIMEOUT_S
        while missing := [child for child in children if not child.ready.is_set()]:
            for child in missing:
                if error := child.failed():
                    raise StartError(f"{child.name} cannot be started: {error}")
            if time.monotonic() > deadline:
                return missing
            await asyncio.sleep(0.02)
        return []

    def _describe_missing(self, missing: list[Child]) -> str:
        names = ", ".join(child.name for child in missing)
        return f"not ready after {READY_TIMEOUT_S:.0f} s: {names}. Their logs: {self._paths.logs_dir}"

    async def _watch(self, stop: asyncio.Task[bool]) -> None:
        """Wait for the signal; a fault in the keeping of a child is a fault of ours and ends everything."""
        while not stop.done():
            await asyncio.wait([stop], timeout=1.0)
            for child in self._children.values():
                if error := child.failed():
                    raise StartError(f"{child.name} cannot be kept running: {error}")
            with contextlib.suppress(OSError):
                stats = os.statvfs(self._paths.data_dir)
                self._say_when_low(stats.f_bavail * stats.f_frsize)

    def _say_when_low(self, free_bytes: int) -> None:
        low = free_bytes < FREE_BYTES_MIN
        if low and not self._said_low:
            self._console.say(f"the disk of {self._paths.data_dir} is nearly full: {free_bytes // 1_000_000} MB free")
        self._said_low = low

    async def _stop_all(self) -> None:
        started_at = time.monotonic()
        for group in STOP_ORDER:
            members = [child for child in self._children.values() if child.process.kind in group]
            await asyncio.gather(*(child.stop() for child in members))
        self._write_process_table()
        self._pipe.close()
        self._console.say(f"stopped after {time.monotonic() - started_at:.1f} s")

    def _write_process_table(self) -> None:
        """For tests and operators: which process has which pid now. What an operator stopped is not missing."""
        table = process_table(self._children)
        running = self._started and not self._stop.is_set()
        ready = running and all(entry["state"] in (State.READY, State.STOPPED) for entry in table.values())
        head = {"supervisor": os.getpid(), "address": self._address, "ready": ready}
        fresh = self._paths.process_table.with_suffix(".new")
        try:
            fresh.write_text(json.dumps({**head, "processes": table}))
            fresh.replace(self._paths.process_table)
        except OSError as error:
            self._console.say(f"{self._paths.process_table} cannot be written: {error}")


def main() -> int:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "nebannpet.settings")
    try:
        from django.conf import settings

        paths: Paths = settings.PATHS
        address: str = settings.PUBLIC_ORIGIN
        check_data_directory(paths)
        with lock_data_directory(paths, address), contextlib.ExitStack() as at_the_end:
            at_the_end.callback(paths.remove_short_socket_dir)
            check_port(settings.HOST, settings.PORT)
            # Every child has it too.
            raise_limit()
            remove_stale_run_files(paths)
            console = Console(paths.logs_dir)
            at_the_end.callback(console.close)
            console.say(f"data directory {paths.data_dir}; logs in {paths.logs_dir}")
            try:
                supervisor = Supervisor(
                    paths=paths,
                    address=address,
                    simulator=settings.SIMULATOR,
                    standby=settings.STANDBY,
                    demo_data=settings.DEMO_DATA,
                    dsn=settings.DATABASE_DSN,
                    console=console,
                    gateways=settings.WEB_CONCURRENCY,
                )
                asyncio.run(supervisor.run())
            except StartError as error:
                console.say(f"cannot go on: {error}")
                return EXIT_FAILED
    except ConfigurationError as error:
        print(f"nebannpet: {error}", file=sys.stderr)  # noqa: T201
        return EXIT_CONFIGURATION
    except PreflightError as error:
        print(f"nebannpet: {error}", file=sys.stderr)  # noqa: T201
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
