"""One exchange for all tests of this package; accounts are new in each test, so tests do not see each other's money."""

from collections.abc import Iterator
from typing import Any, Final

import psycopg
import pytest
import redis
from django.conf import settings
from django.db import connection
from django.test import override_settings
from psycopg.conninfo import make_conninfo

from apps.gateway.settled import Settled
from tests.gateway.client import Client
from tests.gateway.exchange import Exchange

DATABASE: Final = "gateway_tests"
PATIENCE_S: Final = 30


def be_patient(patch: pytest.MonkeyPatch) -> None:
    """Widen the time limits that make a gateway refuse, or leave unanswered, what a busy machine only delays."""
    for limit in (
        "core.PIPE_SILENT_MAX_S", "coremonitor.CORE_SILENT_MAX_S", "coremonitor.POLL_AGE_MAX_S",
        "database.POOL_TIMEOUT_S", "database.QUERY_TIMEOUT_S", "pastevents.TIMEOUT_S", "userdata.LOAD_TIMEOUT_S",
    ):  # fmt: skip
        patch.setattr(f"apps.gateway.{limit}", PATIENCE_S)
    # How long a private read waits for settlement. Its default is taken when the method is made.
    patch.setattr(Settled.wait, "__defaults__", (PATIENCE_S,))
    # A test that waits for this one in vain waits as long as it was when the last order came in.
    patch.setattr("apps.gateway.batcher.REPLY_TIMEOUT_S", 8)


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
            # A busy machine holds threads up for seconds, and no order is refused for that: what is about these limits
            # sets them.
            with (
                override_settings(ENGINE_SILENT_MAX_S=PATIENCE_S, EVENTS_BEHIND_MAX_S=PATIENCE_S),
                pytest.MonkeyPatch.context() as patch,
            ):
                be_patient(patch)
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
def alice(request: pytest.FixtureRequest, exchange: Exchange) -> Iterator[Client]:
    account = exchange.trader()
    with Client(exchange.base_url, account) as client:
        yield client
    if "unchanged" in request.fixturenames:
        exchange.give_back(account)


@pytest.fixture
def bob(exchange: Exchange) -> Iterator[Client]:
    with Client(exchange.base_url, exchange.trader()) as client:
        yield client


@pytest.fixture
def unchanged(alice: Client, exchange: Exchange) -> Iterator[None]:
    """What the test asks changes nothing in the engine, so alice's account is as good as new for the next one."""
    before = exchange.seq(), exchange.state_hash()
    yield
    assert (exchange.seq(), exchange.state_hash()) == before
