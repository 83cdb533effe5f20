"""Processes of the exchange as real children of a test, on the test's database and redis-core; killed with -9."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import psycopg
from django.conf import settings
from psycopg.conninfo import conninfo_to_dict

from nebannpet import roles

ROOT = Path(__file__).resolve().parents[2]


def apply_roles() -> None:
    """Children work with the rights of their own roles."""
    with psycopg.connect(settings.DATABASE_DSN, autocommit=True) as connection:
        roles.apply(connection)


def environment(process: str, redis_core_url: str) -> dict[str, str]:
    found = conninfo_to_dict(settings.DATABASE_DSN)
    url = f"postgresql:///{found['dbname']}?host={quote(str(found['host']), safe='')}&user={found['user']}"
    return os.environ | {
        "DATABASE_URL": url,
        "REDIS_CORE_URL": redis_core_url,
        "NEBANNPET_PROCESS": process,
        "PYTHONPATH": str(ROOT),
    }


@contextmanager
def running(arguments: list[str], process: str, redis_core_url: str, output: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`python <arguments>`; killed with -9 at the end of the block, whatever it is doing."""
    with output.open("ab") as log:
        child = subprocess.Popen(
            [sys.executable, *arguments], env=environment(process, redis_core_url), cwd=ROOT, stdout=log, stderr=log
        )
        try:
            yield child
        finally:
            child.send_signal(signal.SIGKILL)
            child.wait(timeout=60)
