"""The embedded servers for the length of a command, where no supervisor runs them."""

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator
from typing import IO, Final

from nebannpet.backup.errors import RestoreRefused
from nebannpet.embedded import Postgres, Redis, redis_core
from nebannpet.paths import Paths

READY_TIMEOUT_S: Final = 60.0
STOP_TIMEOUT_S: Final = 60.0
POLL_S: Final = 0.05


@contextlib.contextmanager
def running(paths: Paths, *, postgres: bool, core: bool) -> Iterator[None]:
    """The chosen servers, ready, inside the block; the caller holds the data directory's lock. Stopped after it.

    RestoreRefused where one does not start. They die with this process, as under the supervisor.
    """
    servers: list[Postgres | Redis] = []
    if postgres:
        servers.append(Postgres(paths))
    if core:
        servers.append(redis_core(paths))
    if not servers:
        yield
        return
    paths.make_private()
    read_end, write_end = os.pipe()
    children: list[tuple[Postgres | Redis, subprocess.Popen[bytes]]] = []
    log_path = paths.logs_dir / "restore-servers.log"
    try:
        with log_path.open("ab") as log:
            for server in servers:
                children.append((server, _start(server, log, read_end)))
            for server, child in children:
                _wait(server, child, str(log_path))
            for server in servers:
                if isinstance(server, Postgres):
                    server.ensure_database()
        yield
    finally:
        for server, child in reversed(children):
            _stop(server, child)
        os.close(read_end)
        os.close(write_end)
        paths.remove_short_socket_dir()


def _start(server: Postgres | Redis, log: IO[bytes], pipe: int) -> subprocess.Popen[bytes]:
    server.prepare()
    return subprocess.Popen(
        server.launch.command(parent=os.getpid(), pipe=pipe),
        pass_fds=(pipe,),
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
    )


def _wait(server: Postgres | Redis, child: subprocess.Popen[bytes], log: str) -> None:
    deadline = time.monotonic() + READY_TIMEOUT_S
    while not server.is_ready():
        if child.poll() is not None:
            raise RestoreRefused(f"The embedded {server.directory.name} ended with code {child.returncode}; see {log}.")
        if time.monotonic() > deadline:
            raise RestoreRefused(f"The embedded {server.directory.name} did not answer in time; see {log}.")
        time.sleep(POLL_S)


def _stop(server: Postgres | Redis, child: subprocess.Popen[bytes]) -> None:
    if child.poll() is None:
        child.send_signal(server.launch.stop_signal)
    try:
        child.wait(timeout=STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        child.send_signal(server.launch.death_signal)
        child.wait()
