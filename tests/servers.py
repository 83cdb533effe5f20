"""The embedded servers for one test session, gone at its end whatever happens to it."""

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from nebannpet.embedded import Postgres, Redis, redis_core, redis_edge, wait_until_ready
from nebannpet.paths import Paths


@dataclass(frozen=True, slots=True)
class Servers:
    postgres: Postgres
    core: Redis
    edge: Redis
    log: Path


@contextlib.contextmanager
def running_servers(data_dir: Path, *, durable: bool = False) -> Iterator[Servers]:
    """PostgreSQL and both Redis servers in `data_dir`. `durable=False` saves PostgreSQL's fsyncs, not redis-core's."""
    paths = Paths(data_dir)
    paths.make_private()
    servers = Servers(
        Postgres(paths, durable=durable), redis_core(paths), redis_edge(paths), paths.logs_dir / "servers.log"
    )
    read_end, write_end = os.pipe()
    children: list[subprocess.Popen[bytes]] = []
    try:
        with servers.log.open("wb") as log:
            for server in (servers.postgres, servers.core, servers.edge):
                server.prepare()
                command = server.launch.command(parent=os.getpid(), pipe=read_end)
                children.append(subprocess.Popen(command, pass_fds=(read_end,), stdout=log, stderr=log))
        try:
            for server in (servers.postgres, servers.core, servers.edge):
                wait_until_ready(server, timeout_s=60)
            servers.postgres.ensure_database()
        except Exception:
            print(servers.log.read_text())
            raise
        yield servers
    finally:
        for server, child in zip((servers.postgres, servers.core, servers.edge), children, strict=False):
            child.send_signal(server.launch.death_signal)
        for child in children:
            child.wait(timeout=60)
        os.close(read_end)
        os.close(write_end)
        paths.remove_short_socket_dir()
        shutil.rmtree(data_dir, ignore_errors=True)


def living_processes(data_dir: Path) -> list[str]:
    """'pid command' of every process that names `data_dir` in its command line, works in it or runs with it."""
    needle = str(data_dir)
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            if process.status() == psutil.STATUS_ZOMBIE or process.pid == os.getpid():
                continue
            line = " ".join(process.cmdline())
            if needle in line or needle in process.cwd() or process.environ().get("NEBANNPET_DATA") == needle:
                found.append(f"{process.pid} {line}")
    return found


def wait_until_none_lives(data_dir: Path, *, timeout_s: float = 60.0) -> list[str]:
    """What is still there after at most `timeout_s`; empty is good."""
    deadline = time.monotonic() + timeout_s
    while (left := living_processes(data_dir)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left
