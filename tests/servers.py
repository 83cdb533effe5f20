"""The embedded servers for one test session, gone at its end whatever happens to it."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

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
                wait_until_ready(server, timeout_s=30)
            servers.postgres.ensure_database()
        except Exception:
            print(servers.log.read_text())
            raise
        yield servers
    finally:
        for server, child in zip((servers.postgres, servers.core, servers.edge), children, strict=False):
            child.send_signal(server.launch.death_signal)
        for child in children:
            child.wait(timeout=20)
        os.close(read_end)
        os.close(write_end)
        shutil.rmtree(data_dir, ignore_errors=True)
