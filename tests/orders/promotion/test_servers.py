"""The two servers of a second site, real ones: their roles, the signs of their primary, and their promotion."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
import redis
from psycopg.conninfo import make_conninfo

from apps.orders.promotion.core import CoreAway, CoreSite, NotPermitted
from apps.orders.promotion.errors import CheckFailed, PromotionRefused
from apps.orders.promotion.postgres import PostgresSite
from tests.matching.waiting import until
from tests.streams.redis_server import Line, RedisServer, running_redis


@pytest.fixture
def line(core: redis.Redis, redis_core_url: str) -> Iterator[Line]:
    core.ping()
    made = Line(redis_core_url)
    yield made
    made.close()


@pytest.fixture
def replica(line: Line, tmp_path: Path) -> Iterator[RedisServer]:
    with running_redis(tmp_path / "replica", replicaof=f"127.0.0.1 {line.port}") as server:
        with server.client() as client:
            until(lambda: client.info("replication")["master_link_status"] == "up")
        yield server


def test_a_replica_is_promoted_and_stays_so(replica: RedisServer, line: Line, tmp_path: Path) -> None:
    with closing(CoreSite(replica.url)) as site:
        assert site.is_replica()
        assert site.primary_answers()
        site.check_durable()
        line.cut()
        assert not site.primary_answers()
        site.promote()
        assert not site.is_replica()
        assert site.persist()
    configuration = (tmp_path / "replica" / "redis-core" / "redis.conf").read_text()
    assert "replicaof" not in configuration
    assert "appendfsync always" in configuration


def test_a_primary_that_is_frozen_does_not_answer(
    replica: RedisServer, core: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its connections stand, also the one that the replica has; only an answer counts."""
    pid = int(core.info("server")["process_id"])
    with closing(CoreSite(replica.url)) as site:
        until(site.primary_answers)
        with monkeypatch.context() as hurried, RedisServer("", pid).frozen():
            hurried.setattr("apps.orders.promotion.core.PING_TIMEOUT_S", 0.3)
            assert not site.primary_answers()
        until(site.primary_answers)


@pytest.mark.parametrize(("name", "value"), [("appendfsync", "everysec"), ("appendonly", "no")])
def test_a_server_that_may_forget_does_not_serve(replica: RedisServer, name: str, value: str) -> None:
    with replica.client() as client, closing(CoreSite(replica.url)) as site:
        client.config_set(name, value)
        with pytest.raises(CheckFailed, match=f"{name} is '{value}'") as refused:
            site.check_durable()
        assert refused.value.check == "durability"
        assert site.is_replica()


def test_a_user_without_the_rights_is_told_which(replica: RedisServer) -> None:
    with replica.client() as client:
        client.execute_command("ACL", "SETUSER", "reader", "on", "nopass", "~*", "+@read", "+info", "+auth")
        url = replica.url.replace("unix://", "unix://reader:x@")
        with closing(CoreSite(url)) as site:
            assert site.is_replica()
            for refused in (site.check_durable, site.promote):
                with pytest.raises(NotPermitted, match="REPLICAOF"):
                    refused()
            assert not site.persist()
            assert site.is_replica()


def test_a_server_that_is_away_is_said_so(tmp_path: Path) -> None:
    with closing(CoreSite(f"unix://{tmp_path}/nowhere.sock")) as site, pytest.raises(CoreAway):
        site.is_replica()


# -- PostgreSQL (its standby is rehearsed in tests/flows/test_two_sites.py) -------------------------------------------
def test_a_primary_is_no_standby_and_follows_nobody(postgres: str) -> None:
    with closing(PostgresSite(postgres)) as site:
        assert not site.is_standby()
        assert not site.primary_answers()


def test_a_primary_that_accepts_connections_answers(postgres: str) -> None:
    with psycopg.connect(postgres, autocommit=True) as owner, closing(PostgresSite(postgres)) as site:
        try:
            owner.execute(psycopg.sql.SQL("ALTER SYSTEM SET primary_conninfo = {}").format(postgres))
            owner.execute("SELECT pg_reload_conf()")
            until(site.primary_answers)
            owner.execute("ALTER SYSTEM SET primary_conninfo = 'host=/nowhere'")
            owner.execute("SELECT pg_reload_conf()")
            until(lambda: not site.primary_answers())
        finally:
            owner.execute("ALTER SYSTEM RESET primary_conninfo")
            owner.execute("SELECT pg_reload_conf()")


def test_names_of_standbys_are_forgotten(postgres: str) -> None:
    with psycopg.connect(postgres, autocommit=True) as owner, closing(PostgresSite(postgres)) as site:
        try:
            owner.execute("ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 (second_site)'")
            owner.execute("SELECT pg_reload_conf()")
            until(lambda: owner.execute("SHOW synchronous_standby_names").fetchone() != ("",))
            site.forget_standbys()
            assert owner.execute("SHOW synchronous_standby_names").fetchone() == ("",)
        finally:
            owner.execute("ALTER SYSTEM RESET synchronous_standby_names")
            owner.execute("SELECT pg_reload_conf()")


def test_a_database_user_without_the_rights_is_told_which(postgres: str) -> None:
    with psycopg.connect(postgres, autocommit=True) as owner:
        owner.execute("CREATE ROLE promoter LOGIN")
        try:
            with closing(PostgresSite(make_conninfo(postgres, user="promoter"))) as site:
                for refused in (site.forget_standbys, site.promote):
                    with pytest.raises(PromotionRefused, match="GRANT EXECUTE ON FUNCTION pg_promote"):
                        refused()
        finally:
            owner.execute("DROP ROLE promoter")
