"""Fixtures every test may use: real PostgreSQL and Redis in a temporary directory, one set for each test process.

`postgres` DSN of an empty database · `redis_core_url`, `redis_edge_url` · `core`, `edge` clients on flushed servers.
Tests marked `django_db` run on the same PostgreSQL; `settings.DATABASE_DSN` then names the migrated test database.
"""

import os
import re
import shutil
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from redis.backoff import NoBackoff
from redis.retry import Retry

from nebannpet.loading import load_django
from tests.collecting import collect_only_what_is_young, keep_for_good
from tests.hashing import hash_cheaply
from tests.longest import longest_first
from tests.prepared import VARIABLE as RUN_DIR_VARIABLE
from tests.prepared import make_run_dir
from tests.security.listed import EXPRESSION as SECURITY_EXPRESSION
from tests.security.listed import listed
from tests.servers import Servers, running_servers
from tests.temporary import make_temporary_dir

TEMPORARY_DIR = make_temporary_dir()
# Before Django's settings are read: this session's own data directory, whatever the shell's environment says.
DATA_DIR = Path(tempfile.mkdtemp(prefix="data-"))
for name in (
    "DATABASE_URL", "REDIS_CORE_URL", "REDIS_CORE_READ_URL", "REDIS_EDGE_URL", "NEBANNPET_ROLE", "NEBANNPET_PROCESS",
    "PORT",
):  # fmt: skip
    os.environ.pop(name, None)
os.environ |= {
    "DJANGO_SETTINGS_MODULE": "nebannpet.settings",
    "NEBANNPET_ENV": "development",
    "NEBANNPET_DATA": str(DATA_DIR),
    "SIMULATOR": "0",
}
# How fast a machine makes or runs examples is no matter of any test.
hypothesis_settings.register_profile("any speed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
hypothesis_settings.load_profile("any speed")
# Test modules import models at the top, so the apps must be loaded before they are collected.
load_django()
collect_only_what_is_young()
hash_cheaply()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes(config: pytest.Config, specs: list[Any]) -> None:
    """Workers inherit this process's environment; with a settings module in it pytest-django would read the settings
    before this file has chosen the worker's own data directory."""
    for spec in specs:
        spec.env["DJANGO_SETTINGS_MODULE"] = ""


RUN_DIR = pytest.StashKey[Path | None]()
MIGRATED = "migrated"
WHOLE_EXCHANGE = ("flows", "browser", "clients")
STACK_EXPRESSION = "stack and not long"
OF_THREATS = listed()
STACK_WORDS = re.compile(r"\bStack\b|\bmark\.stack\b")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """`make test` reads and multiplies out the parallel part's eight thousand tests once, not a second time to leave
    them out: of its other part, files without a word that can give a test the mark (below) are not even imported.
    Nor does `make security` read files of which docs/threats.md names no test."""
    if config.option.markexpr == SECURITY_EXPRESSION and collection_path.suffix == ".py":
        below = collection_path.relative_to(Path(__file__).parent).as_posix()
        return None if below.endswith("__init__.py") or OF_THREATS.has_file(below) else True
    if config.option.markexpr != STACK_EXPRESSION or collection_path.suffix != ".py":
        return None
    if collection_path.relative_to(Path(__file__).parent).parts[0] in WHOLE_EXCHANGE:
        return None
    return True if STACK_WORDS.search(collection_path.read_text()) is None else None


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    with keep_for_good():
        return (yield)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what starts a whole exchange or a browser: `make test` runs these after the rest, not beside it, since each
    of them is a dozen processes; and what docs/threats.md names. And put the longest files first."""
    tests = Path(__file__).parent
    for item in items:
        folder = item.path.relative_to(tests).parts[0]
        if folder in WHOLE_EXCHANGE or hasattr(getattr(item, "module", None), "Stack"):
            item.add_marker("stack")
        if OF_THREATS.has(item.path.relative_to(tests).as_posix(), item.name.partition("[")[0]):
            item.add_marker("security")
    longest_first(items, tests)


def pytest_configure(config: pytest.Config) -> None:
    """What runs for hours may also fill gigabytes, which do not belong in memory."""
    config.stash[RUN_DIR] = make_run_dir(in_memory=config.option.markexpr != "long")


def pytest_unconfigure(config: pytest.Config) -> None:
    if made := config.stash.get(RUN_DIR, None):
        shutil.rmtree(made, ignore_errors=True)
        del os.environ[RUN_DIR_VARIABLE]
    if TEMPORARY_DIR:
        shutil.rmtree(TEMPORARY_DIR, ignore_errors=True)


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    with running_servers(DATA_DIR) as started:
        from tests.emptying import leave_deleted_rows

        leave_deleted_rows(started.postgres.dsn())
        yield started


@pytest.fixture(scope="session")
def postgres(servers: Servers) -> str:
    """libpq connection string of an empty database named nebannpet; its user may create others."""
    return servers.postgres.dsn()


@pytest.fixture(scope="session")
def postgres_dsn(postgres: str) -> str:
    return postgres


@pytest.fixture(scope="session")
def redis_core_url(servers: Servers) -> str:
    return servers.core.url


@pytest.fixture(scope="session")
def redis_edge_url(servers: Servers) -> str:
    return servers.edge.url


def _flushed(url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(url, retry=Retry(NoBackoff(), 0)) as client:
        client.flushall()
        yield client


@pytest.fixture
def core(redis_core_url: str) -> Iterator[redis.Redis]:
    """Client of redis-core, emptied before the test; answers bytes, never retries."""
    yield from _flushed(redis_core_url)


@pytest.fixture
def edge(redis_edge_url: str) -> Iterator[redis.Redis]:
    yield from _flushed(redis_edge_url)


@pytest.fixture(scope="session")
def django_db_modify_db_settings(servers: Servers) -> None:
    """pytest-django's hook that runs before it makes the test database: the servers must be up by then."""


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any, postgres: str) -> Iterator[None]:
    """pytest-django makes the test database only when a collected test is marked `django_db`; those that copy it need
    it without one, too."""
    from django.conf import settings
    from django.db import connection
    from django.db.backends.base.creation import TEST_DATABASE_PREFIX
    from django.test.utils import setup_databases, teardown_databases
    from psycopg.conninfo import make_conninfo

    from tests.emptying import empty_only_what_has_rows

    made = []
    with django_db_blocker.unblock():
        if not connection.settings_dict["NAME"].startswith(TEST_DATABASE_PREFIX):
            made = setup_databases(verbosity=0, interactive=False)
        connection.close()
    name = connection.settings_dict["NAME"]
    with psycopg.connect(postgres, autocommit=True) as owner:
        owner.execute(f"CREATE DATABASE {MIGRATED} TEMPLATE {name}")
    settings.DATABASE_DSN = make_conninfo(settings.DATABASE_DSN, dbname=name)
    empty_only_what_has_rows()
    yield
    with django_db_blocker.unblock():
        teardown_databases(made, verbosity=0)


@pytest.fixture(scope="session")
def migrated(django_db_setup: None) -> str:
    """A database with all tables as just made, to copy."""
    return MIGRATED
