"""The embedded servers keep what they promise: durable core, checksummed cluster, sockets only, coping with crashes."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import psutil
import psycopg
import pytest
import redis

from nebannpet.embedded import Postgres
from nebannpet.embedded.launching import LAUNCHER
from nebannpet.embedded.postgres import closed_to_others
from nebannpet.env import ConfigurationError
from nebannpet.paths import SOCKET_PATH_BYTES_MAX, Paths
from tests.servers import Servers, living_processes, running_servers, wait_until_none_lives


def test_postgres_has_checksums_and_no_port(postgres: str) -> None:
    with psycopg.connect(postgres) as connection:
        shown = {
            name: connection.execute(f"SHOW {name}").fetchone()[0]  # type: ignore[index]
            for name in ("data_checksums", "listen_addresses", "synchronous_commit", "server_encoding")
        }
    assert shown == {
        "data_checksums": "on",
        "listen_addresses": "",
        "synchronous_commit": "on",
        "server_encoding": "UTF8",
    }


def test_redis_core_fsyncs_every_write_and_evicts_nothing(core: redis.Redis) -> None:
    wanted = {"appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction", "save": "", "port": "0"}
    assert {name: core.config_get(name)[name] for name in wanted} == wanted
    assert int(core.config_get("maxmemory")["maxmemory"]) > 0


def test_redis_edge_writes_no_file(edge: redis.Redis) -> None:
    assert edge.config_get("appendonly")["appendonly"] == "no"
    assert edge.config_get("save")["save"] == ""


def test_sockets_are_closed_to_other_users(servers: Servers) -> None:
    paths = servers.core.paths
    assert paths.redis_socket("redis-core").stat().st_mode & 0o077 == 0
    assert paths.postgres_socket_dir.stat().st_mode & 0o077 == 0


def test_long_path_gets_a_short_private_socket_directory(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100) / "data with a space"
    paths = Paths(deep)
    assert paths.socket_dir != paths.run_dir
    assert len(os.fsencode(paths.postgres_socket_dir / ".s.PGSQL.5432.lock")) <= SOCKET_PATH_BYTES_MAX
    with running_servers(deep) as started, psycopg.connect(started.postgres.dsn()) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    assert not paths.socket_dir.exists()


def test_socket_directory_of_somebody_else_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = Paths(tmp_path)
    monkeypatch.setattr(os, "getuid", lambda: 4_000_000)
    with pytest.raises(ConfigurationError, match="belongs to somebody else"):
        paths.make_private()


def test_cluster_of_another_version_is_refused(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    paths.make_private()
    cluster = tmp_path / "postgres"
    cluster.mkdir()
    (cluster / "PG_VERSION").write_text("12\n")
    with pytest.raises(ConfigurationError, match="made by PostgreSQL 12"):
        Postgres(paths).prepare()


def test_stale_lock_naming_a_living_stranger_is_cleared(tmp_path: Path) -> None:
    """After a container restart another program can have the pid that postmaster.pid names."""
    paths = Paths(tmp_path)
    paths.make_private()
    server = Postgres(paths, durable=False)
    server.prepare()
    lock = server.directory / "postmaster.pid"
    lock.write_text(f"{os.getpid()}\n{server.directory}\n1\n5432\n\n\n")
    server.prepare()
    assert not lock.exists()


def test_nobody_connects_before_the_server_says_that_it_is_ready(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each attempt would be a line `the database system is starting up` in its log, many a second."""
    server = Postgres(Paths(tmp_path))
    server.directory.mkdir()
    attempts: list[str] = []

    def connect(dsn: str, **options: object) -> None:
        attempts.append(dsn)
        raise psycopg.OperationalError

    monkeypatch.setattr(psycopg, "connect", connect)
    lock = server.directory / "postmaster.pid"
    assert not server.is_ready()
    for status in ("starting", "stopping"):
        lock.write_text(f"1\n{server.directory}\n1\n5432\n\n\n  1 2\n{status}\n")
        assert not server.is_ready()
    assert attempts == []
    lock.write_text(f"1\n{server.directory}\n1\n5432\n\n\n  1 2\nready   \n")
    assert not server.is_ready()
    assert len(attempts) == 1


def test_directories_that_nobody_else_may_enter_are_named(tmp_path: Path) -> None:
    inner = tmp_path / "home" / "shop"
    inner.mkdir(parents=True)
    inner.parent.chmod(0o700)
    inner.chmod(0o755)
    assert inner.parent in closed_to_others(inner / "data", inner / "bin" / "initdb")
    assert inner not in closed_to_others(inner / "data")
    inner.parent.chmod(0o711)
    assert inner.parent not in closed_to_others(inner / "data")


STARTER = """
    import os, sys, time
    from pathlib import Path
    from tests.servers import running_servers
    with running_servers(Path(sys.argv[1])) as servers:
        import psycopg
        connection = psycopg.connect(servers.postgres.dsn())
        print("ready", flush=True)
        time.sleep(60)
"""


def test_no_server_or_backend_outlives_a_killed_starter(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    starter = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(STARTER), str(data_dir)], stdout=subprocess.PIPE, text=True
    )
    assert starter.stdout is not None
    assert starter.stdout.readline() == "ready\n"
    assert len(living_processes(data_dir)) > 5
    starter.send_signal(signal.SIGKILL)
    starter.wait()
    assert wait_until_none_lives(data_dir) == []


def test_guard_ends_the_child_when_the_pipe_closes() -> None:
    """What launch.py does where the kernel has no parent-death signal."""
    read_end, write_end = os.pipe()
    launcher = Path(LAUNCHER)
    guard = subprocess.Popen(
        [
            *(sys.executable, "-I", "-S", str(launcher), "--parent", str(os.getpid()), "--signal", "15"),
            *("--pipe", str(read_end), "--guard", "--", sys.executable, "-c"),
            "import time; print('up', flush=True); time.sleep(60)",
        ],
        pass_fds=(read_end,),
        stdout=subprocess.PIPE,
        text=True,
    )
    os.close(read_end)
    assert guard.stdout is not None
    assert guard.stdout.readline() == "up\n"
    children = psutil.Process(guard.pid).children()
    assert len(children) == 1
    os.close(write_end)
    assert guard.wait(timeout=60) == 128 + signal.SIGTERM
    assert not children[0].is_running()
