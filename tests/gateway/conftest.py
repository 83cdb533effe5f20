"""One exchange for all tests of this package; accounts are new in each test, so tests do not see each other's money."""

from collections.abc import Iterator
from typing import Any, Final

import psycopg
import pytest
import redis
from django.conf import settings
from django.core.management import call_command
from django.db import connection
from django.test import override_settings
from psycopg.conninfo import make_conninfo

from tests.gateway.client import Client
from tests.gateway.exchange import Exchange

DATABASE: Final = "gateway_tests"
TEMPLATE: Final = "gateway_template"


@pytest.fixture(scope="session")
def migrated(postgres: str, django_db_blocker: Any) -> str:
    """A database with all tables and nothing else, to copy: files of other packages run between those of this one."""
    name_before = connection.settings_dict["NAME"]
    with psycopg.connect(postgres, autocommit=True) as owner:
        owner.execute(f"CREATE DATABASE {TEMPLATE}")
    with django_db_blocker.unblock():
        connection.close()
        connection.settings_dict["NAME"] = TEMPLATE
        try:
            call_command("migrate", verbosity=0)
        finally:
            connection.close()
            connection.settings_dict["NAME"] = name_before
    return TEMPLATE


@pytest.fixture(scope="package")
def exchange(
    postgres: str, migrated: str, django_db_blocker: Any, redis_core_url: str, redis_edge_url: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Exchange]:  # fmt: skip
    """In a database of its own: threads commit here, and nothing is ever flushed under them."""
    before = settings.REDIS_CORE_URL, settings.REDIS_EDGE_URL, settings.DATABASE_ROLE, settings.DATABASE_DSN
    port_before, read_before = settings.PORT, settings.REDIS_CORE_READ_URL
    name_before = connection.settings_dict["NAME"]
    with psycopg.connect(postgres, autocommit=True) as owner:
        owner.execute(f"DROP DATABASE IF EXISTS {DATABASE}")
        owner.execute(f"CREATE DATABASE {DATABASE} TEMPLATE {migrated}")
    settings.REDIS_CORE_URL, settings.REDIS_EDGE_URL, settings.DATABASE_ROLE = redis_core_url, redis_edge_url, ""
    settings.REDIS_CORE_READ_URL = redis_core_url
    settings.DATABASE_DSN = make_conninfo(postgres, dbname=DATABASE)
    for url in (redis_core_url, redis_edge_url):
        redis.Redis.from_url(url).flushall()
    with django_db_blocker.unblock():
        connection.close()
        connection.settings_dict["NAME"] = DATABASE
        try:
            # A password for each of hundreds of accounts; how passwords are kept has tests in tests/accounts.
            with (
                override_settings(PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"]),
                Exchange(redis_core_url, redis_edge_url, tmp_path_factory.mktemp("snapshots")) as running,
            ):
                yield running
        finally:
            connection.close()
            connection.settings_dict["NAME"] = name_before
            settings.REDIS_CORE_URL, settings.REDIS_EDGE_URL, settings.DATABASE_ROLE, settings.DATABASE_DSN = before
            settings.PORT, settings.REDIS_CORE_READ_URL = port_before, read_before


@pytest.fixture
def public(exchange: Exchange) -> Iterator[Client]:
    with Client(exchange.base_url) as client:
        yield client


@pytest.fixture
def alice(exchange: Exchange) -> Iterator[Client]:
    with Client(exchange.base_url, exchange.trader()) as client:
        yield client


@pytest.fixture
def bob(exchange: Exchange) -> Iterator[Client]:
    with Client(exchange.base_url, exchange.trader()) as client:
        yield client
