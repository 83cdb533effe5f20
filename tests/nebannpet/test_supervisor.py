"""The supervisor with real processes: restart, orderly stop, kill -9 of itself, and foreign servers.

Only the site process runs here beside the servers, for speed; how the supervisor treats it is how it treats all.
"""

import contextlib
import json
import os
import pwd
import random
import re
import secrets
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import psycopg
import pytest
import redis

from nebannpet.launch import CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
from nebannpet.openfiles import ENOUGH
from tests.matching.waiting import until
from tests.openfiles import few_open_files
from tests.servers import Servers, living_processes, wait_until_none_lives
from tests.stack import Stack

SERVERS = ("postgres", "redis-core", "redis-edge")
DSN = "host={} dbname=nebannpet user=nebannpet"


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with few_open_files(), Stack(first_start=True, PROCESSES="site", DEMO_DATA="0") as started:
        yield started


@pytest.fixture
def fresh() -> Iterator[Stack]:
    """One that a test starts and stops by itself."""
    stack = Stack(PROCESSES="site", DEMO_DATA="0")
    yield stack
    stack.stop()


def site(stack: Stack) -> httpx.Client:
    transport = httpx.HTTPTransport(uds=str(stack.paths.site_socket))
    return httpx.Client(transport=transport, base_url="http://localhost", timeout=40)


def test_everything_runs_and_says_where(stack: Stack) -> None:
    assert set(stack.processes()) == {*SERVERS, "site"}
    assert "ready after" in stack.console()
    assert stack.base_url in stack.console()
    assert "\x1b" not in stack.console()


def test_children_may_open_as_many_files_as_the_system_lets_them(stack: Stack) -> None:
    soft, hard = psutil.Process(stack.pid("site")).rlimit(psutil.RLIMIT_NOFILE)
    assert soft == min(hard, ENOUGH)


def test_site_serves_pages_and_static_files_with_the_policy(stack: Stack) -> None:
    with site(stack) as client:
        page = client.get("/account/log-in")
        assert page.status_code == 200
        policy = page.headers["content-security-policy"]
        static = client.get("/static/site/site.css")
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert static.status_code == 200
    assert static.headers["content-type"].startswith("text/css")
    assert static.headers["x-content-type-options"] == "nosniff"
    assert len(static.content) > 100


def test_site_socket_is_closed_to_other_users(stack: Stack) -> None:
    assert stack.paths.site_socket.stat().st_mode & 0o177 == 0


@pytest.mark.parametrize("name", [*SERVERS, "site"])
def test_killed_process_comes_back(stack: Stack, name: str) -> None:
    before = stack.pid(name)
    stack.kill(name)
    stack.wait_ready(name)
    assert stack.pid(name) != before
    assert f"{name} was ended by SIGKILL; starting it again" in stack.console()
    with site(stack) as client:
        assert client.get("/account/log-in").status_code == 200


def test_pages_take_no_connection_that_postgresql_has_ended(stack: Stack) -> None:
    """After a restart all that wait in the pool are dead; no page says because of them that the database is away."""
    mine = "FROM pg_stat_activity WHERE application_name = 'nebannpet-site'"
    dsn = DSN.format(stack.paths.postgres_socket_dir)
    with site(stack) as client, psycopg.connect(dsn, autocommit=True) as database:
        assert client.get("/markets").status_code == 200
        pids = [pid for (pid,) in database.execute(f"SELECT pid {mine}").fetchall()]
        assert pids
        database.execute("SELECT pg_terminate_backend(pid) FROM unnest(%s) AS pid", (pids,))
        until(lambda: not database.execute(f"SELECT 1 {mine} AND pid = ANY(%s)", (pids,)).fetchall())
        assert client.get("/markets").status_code == 200


def test_killed_core_keeps_every_acknowledged_write(stack: Stack) -> None:
    url = f"unix://{stack.paths.redis_socket('redis-core')}"
    with redis.Redis.from_url(url) as client:
        for number in range(200):
            client.xadd("kept", {"n": number})
    stack.kill("redis-core")
    stack.wait_ready("redis-core")
    with redis.Redis.from_url(url) as client:
        assert client.xlen("kept") == 200


def test_manage_runs_in_the_exchanges_environment(stack: Stack) -> None:
    """And without the garbage collector's work on what is imported, which was half of every start."""
    asked = (
        "import gc; from django.conf import settings; print(settings.DATA_DIR, gc.isenabled(), gc.get_freeze_count())"
    )
    directory, collects, frozen = stack.manage("shell", "--command", asked).splitlines()[-1].split()
    assert directory == str(stack.data_dir)
    assert collects == "True"
    assert int(frozen) > 50_000


def test_orderly_stop_leaves_nothing_and_starts_again(fresh: Stack) -> None:
    fresh.start()
    started_at = time.monotonic()
    fresh.stop_processes(signal.SIGINT)
    assert time.monotonic() - started_at < 30
    assert living_processes(fresh.data_dir) == []
    assert list(fresh.paths.socket_dir.glob("*.sock")) == []
    postgres_log = fresh.log("postgres")
    assert "database system is shut down" in postgres_log
    fresh.start()
    assert "was not properly shut down" not in fresh.log("postgres")
    # Asked twice, it waits for nothing.
    os.kill(fresh.supervisor_pid, signal.SIGINT)
    fresh.stop_processes(signal.SIGTERM)
    assert "stopping now, without waiting" in fresh.console()
    assert living_processes(fresh.data_dir) == []


def test_stop_during_the_start(fresh: Stack) -> None:
    starting = threading.Thread(target=_start_ignoring_the_end, args=(fresh,))
    starting.start()
    deadline = time.monotonic() + 60
    while "setup: manage.py set_up" not in fresh.console() and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(fresh.supervisor_pid, signal.SIGTERM)
    starting.join()
    fresh.stop_processes()
    assert wait_until_none_lives(fresh.data_dir) == []


def _start_ignoring_the_end(stack: Stack) -> None:
    with pytest.raises(AssertionError, match="ended with code 0"):
        stack.start()


def test_nothing_outlives_a_killed_supervisor_and_the_next_start_recovers(fresh: Stack) -> None:
    fresh.start()
    dsn = DSN.format(fresh.paths.postgres_socket_dir)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("CREATE TABLE kept (n int)")
        connection.execute("INSERT INTO kept VALUES (1)")
    busy = threading.Thread(target=_busy_backend, args=(dsn,))
    busy.start()
    while not _is_sleeping(dsn):
        time.sleep(0.02)
    assert len(living_processes(fresh.data_dir)) > 8
    fresh.kill_supervisor()
    busy.join()
    assert wait_until_none_lives(fresh.data_dir) == []
    fresh.start()
    with psycopg.connect(dsn) as connection:
        assert connection.execute("SELECT n FROM kept").fetchall() == [(1,)]


def test_supervisor_killed_at_any_moment_of_its_start(tmp_path: Path) -> None:
    """initdb, a half-made cluster, a migration: whatever it was doing, nothing stays and the next start gets on."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    stack = Stack(data_dir=tmp_path, PROCESSES="site", DEMO_DATA="0")
    for longest_s in (0.5, 1.0, 2.0, 4.0):
        starting = threading.Thread(target=_start_until_killed, args=(stack,))
        starting.start()
        while not stack.is_started:
            time.sleep(0.01)
        time.sleep(chance.uniform(0.0, longest_s))
        os.kill(stack.supervisor_pid, signal.SIGKILL)
        starting.join()
        stack.stop_processes()
        assert wait_until_none_lives(tmp_path) == []
    stack.start()
    stack.stop_processes()


def _start_until_killed(stack: Stack) -> None:
    with contextlib.suppress(AssertionError):
        stack.start()


def _busy_backend(dsn: str) -> None:
    """A backend in the middle of a query, which notices nothing by itself."""
    with psycopg.connect(dsn, autocommit=True) as connection, pytest.raises(psycopg.OperationalError):
        connection.execute("SELECT pg_sleep(60)")


def _is_sleeping(dsn: str) -> bool:
    with psycopg.connect(dsn) as connection:
        row = connection.execute("SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'").fetchone()
    return row is not None


@pytest.mark.skipif(os.geteuid() != 0, reason="every other test here runs as an ordinary user already")
def test_ordinary_user_runs_it_too(tmp_path: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    os.chown(tmp_path, nobody.pw_uid, nobody.pw_gid)
    with Stack(data_dir=tmp_path, user=(nobody.pw_uid, nobody.pw_gid), PROCESSES="site", DEMO_DATA="0") as stack:
        owners = {name: psutil.Process(stack.pid(name)).uids().effective for name in stack.processes()}
        assert owners == dict.fromkeys((*SERVERS, "site"), nobody.pw_uid)
        with site(stack) as client:
            assert client.get("/account/log-in").status_code == 200


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has rights to give away")
def test_root_gives_postgres_the_least_it_needs(stack: Stack) -> None:
    """PostgreSQL refuses root; it may pass directories and read files, so that a closed home does not stop it."""
    postgres = psutil.Process(stack.pid("postgres"))
    assert postgres.uids().effective == pwd.getpwnam("nobody").pw_uid
    status = Path(f"/proc/{postgres.pid}/status").read_text()
    effective = int(status.partition("CapEff:")[2].split()[0], 16)
    assert effective in {1 << CAP_DAC_READ_SEARCH, 1 << CAP_DAC_OVERRIDE, 0}


def test_production_on_foreign_servers_instead_of_the_embedded_ones(servers: Servers, tmp_path: Path) -> None:
    with psycopg.connect(servers.postgres.dsn("postgres"), autocommit=True) as connection:
        connection.execute("CREATE DATABASE production_exchange")
    try:
        stack = Stack(
            data_dir=tmp_path,
            NEBANNPET_ENV="production",
            PROCESSES="site",
            STATIC_ROOT=str(tmp_path / "static"),
            SECRET_KEY=secrets.token_urlsafe(50),
            CREDENTIALS_KEY=secrets.token_hex(32),
            AUDIT_KEY_FILE=str(tmp_path / "audit-checkpoint.key"),
            EMAIL_URL="smtp://127.0.0.1:9",
            DEFAULT_FROM="exchange@exchange.example",
            SUPPORT_EMAIL="support@exchange.example",
            ALLOWED_HOSTS="exchange.example",
            PUBLIC_ORIGIN="https://exchange.example",
            DATABASE_URL=servers.postgres.url.replace("/nebannpet?", "/production_exchange?"),
            REDIS_CORE_URL=servers.core.url,
            REDIS_EDGE_URL=servers.edge.url,
        )
        stack.manage("collectstatic", "--no-input", "--verbosity", "0")
        with stack, site(stack) as client:
            assert set(stack.processes()) == {"site"}
            assert not (tmp_path / "postgres").exists()
            with psycopg.connect(servers.postgres.dsn("production_exchange")) as connection:
                assert connection.execute("SELECT count(*) > 0 FROM django_migrations").fetchone() == (True,)
            asked = {"Host": "exchange.example", "X-Forwarded-Proto": "https"}
            page = client.get("/account/log-in", headers=asked)
            assert page.status_code == 200
            assert "max-age" in page.headers["strict-transport-security"]
            assert all("Secure" in cookie for cookie in page.headers.get_list("set-cookie"))
            assert page.headers.get_list("set-cookie") != []
            (stylesheet,) = re.findall(r'href="(/static/site/site\.[0-9a-f]+\.css)"', page.text)
            served = client.get(stylesheet, headers=asked)
            assert served.status_code == 200
            assert "immutable" in served.headers["cache-control"]
            assert client.get("/account/log-in", headers=asked | {"Host": "evil.example"}).status_code == 400
            plain = client.get("/account/log-in", headers={"Host": "exchange.example"})
            assert (plain.status_code, plain.headers["location"]) == (301, "https://exchange.example/account/log-in")
            assert "demo login" not in stack.console()
    finally:
        with psycopg.connect(servers.postgres.dsn("postgres"), autocommit=True) as connection:
            connection.execute("DROP DATABASE production_exchange WITH (FORCE)")


def test_set_up_that_fails_stops_everything_and_says_why(fresh: Stack) -> None:
    """The database belongs to a newer release: its tables exist already, so the migrations cannot run."""
    fresh.start()
    with psycopg.connect(DSN.format(fresh.paths.postgres_socket_dir), autocommit=True) as connection:
        connection.execute("DELETE FROM django_migrations")
    fresh.stop_processes()
    with pytest.raises(AssertionError, match="ended with code 1"):
        fresh.start()
    fresh.stop_processes()
    assert "cannot go on: manage.py set_up" in fresh.console()
    assert living_processes(fresh.data_dir) == []


def test_demo_logins_are_shown_and_stay_the_same() -> None:
    shown = []
    with Stack(DEMO_LOGINS="1", PROCESSES="matching,settlement,outbox") as stack:
        for again in (True, False):
            stack.wait_for_console("Ctrl-C stops everything")
            lines = [line for line in stack.console().splitlines() if "demo login: " in line]
            shown.append([line.split("demo login: ")[1] for line in lines])
            if again:
                stack.stop_processes()
                # As an older release left it, which made one of staff.
                stack.paths.demo_logins.write_text(json.dumps(json.loads(stack.paths.demo_logins.read_text())[:2]))
                stack.start()
        logins = json.loads(stack.paths.demo_logins.read_text())
        assert not any(login["api_secret"] in stack.console() for login in logins)
    assert [login.split("@")[0] for login in shown[0]] == ["trader", "staff", "second-staff"]
    assert shown[1] == [*shown[0], *shown[0][:2], shown[1][-1]], "only the one that was not kept is made"
    assert shown[1][-1].split("@")[0] == "second-staff"


def test_operator_stops_and_starts_single_processes(stack: Stack) -> None:
    """T16: each process can be stopped alone, stays down, and does not count as failing."""
    before = {name: stack.pid(name) for name in SERVERS}
    stack.stop_process("site")
    now = stack.processes()["site"]
    assert (now["pid"], now["state"]) == (None, "stopped")
    assert json.loads(stack.paths.process_table.read_text())["ready"] is True
    assert "stopped" in next(line for line in stack.manage("process", "list").splitlines() if line.startswith("site"))
    with site(stack) as client, pytest.raises(httpx.ConnectError):
        client.get("/account/log-in")
    stack.start_process("site")
    with site(stack) as client:
        assert client.get("/account/log-in").status_code == 200
    assert "redis-edge is ready" in stack.manage("process", "restart", "redis-edge")
    assert {name for name in SERVERS if stack.pid(name) != before[name]} == {"redis-edge"}
    with pytest.raises(AssertionError, match=r"There is no process 'tea' here\. Known: postgres"):
        stack.stop_process("tea")
