"""One exchange for all tests of this package; accounts are new in each test, so tests do not see each other's money."""

from collections.abc import Iterator
from typing import Any, Final

import psycopg
import pytest
import redis
from django.conf import settings
from django.core.management import call_command
from django.db import connection
from psycopg.conninfo import make_conninfo

from tests.gateway.client import Client
from tests.gateway.exchange import Exchange

DATABASE: Final = "gateway_tests"


@pytest.fixture(scope="package")
def exchange(
    postgres: str, django_db_blocker: Any, redis_core_url: str, redis_edge_url: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Exchange]:  # fmt: skip
    """In a database of its own: threads commit here, and nothing is ever flushed under them."""
    before = settings.REDIS_CORE_URL, settings.REDIS_EDGE_URL, settings.DATABASE_ROLE, settings.DATABASE_DSN
    port_before, read_before = settings.PORT, settings.REDIS_CORE_READ_URL
    name_before = connection.settings_dict["NAME"]
    with psycopg.connect(postgres, autocommit=True) as owner:
        owner.execute(f"DROP DATABASE IF EXISTS {DATABASE}")
        owner.execute(f"CREATE DATABASE {DATABASE}")
    settings.REDIS_CORE_URL, settings.REDIS_EDGE_URL, settings.DATABASE_ROLE = redis_core_url, redis_edge_url, ""
    settings.REDIS_CORE_READ_URL = redis_core_url
    settings.DATABASE_DSN = make_conninfo(postgres, dbname=DATABASE)
    for url in (redis_core_url, redis_edge_url):
        redis.Redis.from_url(url).flushall()
    with django_db_blocker.unblock():
        connection.close()
        connection.settings_dict["NAME"] = DATABASE
        try:
            call_command("migrate", verbosity=0)
            with Exchange(redis_core_url, redis_edge_url, tmp_path_factory.mktemp("snapshots")) as running:
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
    with Client(exchange.base_url, exchange.account(BTC="10", ETH="100", USDT="1000000")) as client:
        yield client


@pytest.fixture
def bob(exchange: Exchange) -> Iterator[Client]:
    with Client(exchange.base_url, exchange.account(BTC="10", ETH="100", USDT="1000000")) as client:
        yield client
