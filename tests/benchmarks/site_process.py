"""The site process alone, with the servers that it needs: what the gateway passes on comes to it directly."""

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import psycopg

from tests.benchmarks.bench_settlement import migrated
from tests.ports import free_port
from tests.stack import MANAGE

LISTENS_WITHIN_S = 60.0


@contextmanager
def site_servers() -> Iterator[Path]:
    """The data directory of PostgreSQL and both Redis servers, with all tables and roles; Django is set up for it."""
    from nebannpet import roles
    from tests.servers import running_servers

    data_dir = Path(tempfile.mkdtemp(prefix="nebannpet-bench-"))
    with running_servers(data_dir, durable=True) as servers:
        with psycopg.connect(migrated(servers.postgres.dsn(), data_dir)) as owner:
            roles.apply(owner)
        yield data_dir
        from django.db import connections

        connections.close_all()


@contextmanager
def running_site(data_dir: Path) -> Iterator[tuple[psutil.Process, int]]:
    """A `manage.py run_site` that listens, and its port. It believes X-Forwarded-For, as behind the gateway."""
    port = free_port()
    environment = os.environ | {"NEBANNPET_DATA": str(data_dir), "NEBANNPET_ENV": "development", "LOG_LEVEL": "WARNING"}
    with subprocess.Popen([sys.executable, MANAGE, "run_site", "--tcp", f"127.0.0.1:{port}"], env=environment) as site:
        try:
            _wait_for(port)
            yield psutil.Process(site.pid), port
        finally:
            site.terminate()


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + LISTENS_WITHIN_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            assert time.monotonic() < deadline, "the site does not listen"
            time.sleep(0.1)
