"""docker-compose.two-site.yml, as far as that can be tried without Docker: its services, commands and start scripts."""

import os
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import get_commands

from nebannpet.processes import APPLICATION, BASE_DIR

POSTGRES_STARTED = "docker-entrypoint.sh postgres -c hot_standby_feedback=on\n"
SERVERS = {"postgres", "redis-core", "redis-edge"}


def load(name: str) -> dict[str, Any]:
    return dict(yaml.safe_load((BASE_DIR / name).read_text()))


BASE, OVERLAY = load("docker-compose.yml"), load("docker-compose.two-site.yml")
SERVICES: dict[str, dict[str, Any]] = OVERLAY["services"]


def test_it_changes_only_services_of_the_base_file_and_adds_the_failover() -> None:
    assert set(SERVICES) - set(BASE["services"]) == {"failover"}
    assert set(SERVICES) - SERVERS - {"failover"} <= set(APPLICATION)


def test_every_process_that_tells_of_events_may_read_them_from_the_replica() -> None:
    for name in ("gateway", "settlement", "marketdata"):
        assert SERVICES[name]["environment"] == {"REDIS_CORE_READ_URL": "${REDIS_CORE_READ_URL:-}"}


def test_the_failover_runs_a_command_that_exists_on_the_servers_of_its_own_host() -> None:
    words = SERVICES["failover"]["command"].split()
    assert words[:2] == ["python", "manage.py"]
    assert words[2] in get_commands()
    shared = BASE["services"]["standby"]["environment"]
    for name in ("DATABASE_URL", "REDIS_CORE_URL", "CREDENTIALS_KEY", "SECRET_KEY", "NEBANNPET_DATA"):
        assert SERVICES["failover"]["environment"][name] == shared[name]
    assert SERVICES["failover"]["volumes"] == BASE["services"]["standby"]["volumes"]


def test_redis_core_keeps_every_setting_of_the_base_file() -> None:
    words = BASE["services"]["redis-core"]["command"].split()
    script = SERVICES["redis-core"]["entrypoint"][-1]
    for word in words[words.index("--appendonly") :]:
        assert word in script.split(), word


@pytest.mark.parametrize("name", ["postgres", "redis-core"])
def test_servers_listen_on_the_private_address_only(name: str) -> None:
    (port,) = SERVICES[name]["ports"]
    assert port.startswith("${SITE_ADDRESS:?")


class Host:
    """Runs a start script of the file with its paths in a directory and stand-ins for what the image brings."""

    def __init__(self, directory: Path) -> None:
        self.data = directory / "data"
        self.data.mkdir()
        self._bin = directory / "bin"
        self._bin.mkdir()
        for name in ("docker-entrypoint.sh", "gosu", "install"):
            program = self._bin / name
            program.write_text(f'#!/bin/sh\necho {name} "$@"\n')
            program.chmod(program.stat().st_mode | stat.S_IXUSR)

    def start(self, service: str, **environment: str) -> subprocess.CompletedProcess[str]:
        shell, options, script = SERVICES[service]["entrypoint"]
        script = script.replace("$$", "$").replace("/data", str(self.data))
        own = dict.fromkeys(SERVICES[service]["environment"], "") | {"PASSWORD": "secret", **environment}
        return subprocess.run(
            [shell, options, script], capture_output=True, text=True,
            env={"PATH": f"{self._bin}:{os.environ['PATH']}", "PGDATA": str(self.data / "pg"), **own},
        )  # fmt: skip


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_an_empty_redis_core_is_no_primary_unless_it_is_said_to_be_new(host: Host) -> None:
    refused = host.start("redis-core")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "REDIS_CORE_NEW=1" in refused.stderr
    assert list(host.data.iterdir()) == []

    started = host.start("redis-core", REDIS_CORE_NEW="1")
    assert started.stdout.startswith(f"docker-entrypoint.sh redis-server {host.data}/redis.conf --requirepass secret")
    assert (host.data / "redis.conf").read_text() == ""


def test_a_primary_whose_file_is_gone_does_not_start(host: Host) -> None:
    host.start("redis-core", REDIS_CORE_NEW="1")
    (host.data / "appendonlydir").mkdir()
    assert host.start("redis-core").returncode == 0
    (host.data / "appendonlydir").rmdir()
    assert host.start("redis-core").returncode == 1


def test_a_second_site_follows_until_its_file_says_otherwise(host: Host) -> None:
    assert host.start("redis-core", PRIMARY_HOST="10.0.0.1").returncode == 0
    assert (host.data / "redis.conf").read_text() == "replicaof 10.0.0.1 6379\n"
    # Promoted: CONFIG REWRITE took the line out. PRIMARY_HOST still stands in .env.
    (host.data / "redis.conf").write_text("appendonly yes\n")
    (host.data / "appendonlydir").mkdir()
    assert host.start("redis-core", PRIMARY_HOST="10.0.0.1").returncode == 0
    assert (host.data / "redis.conf").read_text() == "appendonly yes\n"


def test_a_second_postgres_is_copied_once(host: Host) -> None:
    assert host.start("postgres").stdout == POSTGRES_STARTED
    lines = host.start("postgres", PRIMARY_HOST="10.0.0.1").stdout.splitlines()
    assert lines[1].startswith(f"gosu postgres pg_basebackup --pgdata {host.data}/pg --write-recovery-conf")
    assert lines[1].endswith("--dbname host=10.0.0.1 user=nebannpet application_name=second_site")
    (host.data / "pg").mkdir()
    (host.data / "pg" / "PG_VERSION").write_text("18")
    assert host.start("postgres", PRIMARY_HOST="10.0.0.1").stdout == POSTGRES_STARTED
