"""A second site for a Stack: its own Redis replica, PostgreSQL standby and standby worker, on loopback.

    site = SecondSite(tmp_path)
    first = Stack(REDIS_CORE_READ_URL=site.core_url, **SHARED)
    with site.replica(redis_core(first.paths).url), first, site.standby(first.dsn):
        ...                                     # every order is answered once both sites have it
        kill_site(first)
        site.promote()                          # manage.py promote
        with site.serving() as second: ...      # the rest of the processes, on this site's data

As on a host of its own: two data directories, one of the servers and one of the processes. Between the sites lie a TCP
line to the first one's redis-core, which can be cut, and its PostgreSQL's socket.
"""

import contextlib
import http.client
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import psutil
import psycopg
import redis

from nebannpet.embedded import Launch, Postgres, redis_core, redis_edge, wait_until_ready
from nebannpet.health import ask_health
from nebannpet.paths import Paths
from tests.stack import BASE_DIR, INHERITED, MANAGE, Stack
from tests.streams.redis_server import Line, running_redis

# What both sites must have in common; the embedded default would be another one in each data directory.
SHARED: Final = {"CREDENTIALS_KEY": secrets.token_hex(32)}
NAME: Final = "second_site"
PATIENCE_S: Final = 60.0
SETTLED: Final = (
    "SELECT seq, (SELECT count(*) FROM outbox_outboxrow WHERE state = 'waiting') FROM matching_watermark"
    " WHERE shard = 'spot' AND reader = 'settlement'"
)
SERVING: Final = "settlement,archive,marketdata,outbox,reconcile,site,gateway"


def until(holds: Callable[[], object], what: str, *, timeout_s: float = PATIENCE_S) -> None:
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline, f"{what}: not within {timeout_s:.0f} s"
        time.sleep(0.02)


class SecondSite:
    def __init__(self, directory: Path) -> None:
        self._servers = Paths(directory / "servers")
        self.paths = Paths(directory / "processes")
        for paths in (self._servers, self.paths):
            paths.data_dir.mkdir(parents=True)
            paths.make_private()
        self.postgres = Postgres(self._servers)
        self.core_url = redis_core(self._servers).url
        self._edge = redis_edge(self._servers)
        self.line: Line | None = None
        self.environment = {name: os.environ[name] for name in INHERITED if name in os.environ} | {
            "NEBANNPET_ENV": "development",
            "NEBANNPET_DATA": str(self.paths.data_dir),
            "DATABASE_URL": self.postgres.url,
            "REDIS_CORE_URL": self.core_url,
            "REDIS_EDGE_URL": self._edge.url,
            "STANDBY": "1",
            **SHARED,
        }

    # -- set-up, as docs/two-sites.md has it --------------------------------------------------------------------------
    @contextlib.contextmanager
    def replica(self, primary_url: str) -> Iterator[None]:
        """A replica of the redis-core at `primary_url`, which need not run yet; and this site's own redis-edge."""
        self.line = Line(primary_url)
        with contextlib.ExitStack() as stack:
            stack.callback(self.line.close)
            replicaof = f"127.0.0.1 {self.line.port}"
            stack.enter_context(running_redis(self._servers.data_dir, replicaof=replicaof))
            self._edge.prepare()
            stack.enter_context(self._running(self._edge.launch, "redis-edge"))
            yield

    @contextlib.contextmanager
    def standby(self, primary_dsn: str) -> Iterator[None]:
        """A streaming standby for which the primary's commits wait from now on, and the standby worker."""
        self._copy_postgres(primary_dsn)
        self.postgres.prepare()
        with contextlib.ExitStack() as stack:
            stack.enter_context(self._running(self.postgres.launch, "postgres"))
            wait_until_ready(self.postgres, timeout_s=PATIENCE_S)
            with psycopg.connect(primary_dsn, autocommit=True) as owner:
                owner.execute(f"ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 ({NAME})'")
                owner.execute("SELECT pg_reload_conf()")
                until(
                    lambda: owner.execute("SELECT sync_state FROM pg_stat_replication").fetchall() == [("quorum",)],
                    "synchronous standby",
                )
            worker = Launch(
                (sys.executable, MANAGE, "run_matching", "--name", "standby"), signal.SIGTERM, signal.SIGKILL
            )
            stack.enter_context(self._running(worker, "standby"))
            until(lambda: self.worker().get("phase") == "following", "the standby worker follows")
            yield

    def _copy_postgres(self, primary_dsn: str) -> None:
        """pg_basebackup with everything that a standby needs (-R), as the user that PostgreSQL runs as."""
        self.postgres.directory.mkdir(mode=0o700)
        if self.postgres.user is not None:
            os.chown(self.postgres.directory, *self.postgres.user)
        program = Path(self.postgres.launch.argv[0]).with_name("pg_basebackup")
        conninfo = f"{primary_dsn} application_name={NAME}"
        arguments = ("-D", str(self.postgres.directory), "-d", conninfo, "-R", "-X", "stream", "-c", "fast")
        launch = Launch((str(program), *arguments), signal.SIGTERM, signal.SIGKILL, self.postgres.user)
        with self._running(launch, "pg_basebackup") as copy:
            assert copy.wait(timeout=PATIENCE_S) == 0, self.log("pg_basebackup")

    # -- the operator's commands --------------------------------------------------------------------------------------
    def promote(self, *arguments: str, timeout_s: float = 120.0) -> tuple[int, str]:
        """(exit status, output) of manage.py promote on this site."""
        done = subprocess.run(
            [sys.executable, MANAGE, "promote", *arguments],
            cwd=BASE_DIR, env=self.environment, capture_output=True, text=True, timeout=timeout_s,
        )  # fmt: skip
        return done.returncode, done.stdout + done.stderr

    @contextlib.contextmanager
    def watching(self, after_s: int) -> Iterator[subprocess.Popen[bytes]]:
        """promote --watch, once it has heard the primary; its lines are in log('watch')."""
        launch = Launch(
            (sys.executable, MANAGE, "promote", "--watch", "--after", str(after_s)), signal.SIGTERM, signal.SIGKILL
        )
        with self._running(launch, "watch") as watch:
            until(lambda: "the primary site is heard" in self.log("watch"), "the watch hears the primary")
            yield watch

    @contextlib.contextmanager
    def serving(self, **environment: str) -> Iterator[Stack]:
        """The rest of the processes on this site, after its promotion. The standby worker is the active one then."""
        own = {name: self.environment[name] for name in self.environment if name.endswith(("_URL", "_KEY"))}
        with _ServingStack(self, **{"PROCESSES": SERVING, **own, **environment}) as stack:
            yield stack

    def worker(self) -> dict[str, Any]:
        """Health of the standby worker; empty while it does not answer."""
        try:
            return ask_health(self.paths.health_socket("standby"))[1]
        except (OSError, http.client.HTTPException, ValueError):
            return {}

    def wait_until_settled(self) -> None:
        """PostgreSQL has every event and every outbox row is answered, on the promoted site."""
        with redis.Redis.from_url(self.core_url) as core, psycopg.connect(self.postgres.dsn(), autocommit=True) as rows:
            until(
                lambda: rows.execute(SETTLED).fetchone() == (int(core.hget("{spot}:head", "seq") or 0), 0),
                "everything is settled",
            )

    def core_config(self) -> Path:
        return redis_core(self._servers).directory / "redis.conf"

    def log(self, name: str) -> str:
        return (self._servers.logs_dir / f"{name}.log").read_text(errors="replace")

    @contextlib.contextmanager
    def _running(self, launch: Launch, name: str) -> Iterator[subprocess.Popen[bytes]]:
        read_end, write_end = os.pipe()
        with (self._servers.logs_dir / f"{name}.log").open("ab") as log:
            child = subprocess.Popen(
                launch.command(parent=os.getpid(), pipe=read_end),
                pass_fds=(read_end,), stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.environment,
                cwd=BASE_DIR,
            )  # fmt: skip
        os.close(read_end)
        try:
            yield child
        except BaseException:
            print(f"----- {name} of the second site\n" + "\n".join(self.log(name).splitlines()[-60:]))
            raise
        finally:
            if child.poll() is None:
                child.send_signal(launch.death_signal)
            child.wait(timeout=PATIENCE_S)
            os.close(write_end)


class _ServingStack(Stack):
    """Only processes; the servers are the site's."""

    def __init__(self, site: SecondSite, **environment: str) -> None:
        super().__init__(data_dir=site.paths.data_dir, **environment)
        self._site = site

    @property
    def dsn(self) -> str:
        return self._site.postgres.dsn()


def processes_of(stack: Stack) -> list[psutil.Process]:
    """The supervisor first, so that nothing is started again, then all that it started."""
    supervisor = psutil.Process(stack.supervisor_pid)
    return [supervisor, *supervisor.children(recursive=True)]


def kill_site(stack: Stack) -> None:
    """kill -9 of supervisor, servers and processes, all at once, as the loss of the machine."""
    lost = processes_of(stack)
    for process in lost:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    stack.kill_supervisor()
    _, alive = psutil.wait_procs(lost, timeout=PATIENCE_S)
    assert not alive, alive


@contextlib.contextmanager
def paused(stack: Stack) -> Iterator[None]:
    """SIGSTOP of everything, as a machine that froze or was cut off, and SIGCONT at the end of the block."""
    frozen = processes_of(stack)
    for process in frozen:
        process.suspend()
    try:
        yield
    finally:
        for process in reversed(frozen):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.resume()
