"""Where things stand inside the data directory, and how short socket paths are found for long ones.

Layout of the data directory (NEBANNPET_DATA): `postgres/`, `redis-core/`, `redis-edge/` (data of the embedded
servers), `logs/<process>.log`, `run/` (process table, unix sockets), `supervisor.lock`.

What belongs to a process is named after it, and on another shard than the first after both (`matching.drill`), so
that the processes of several shards may share a data directory: each shard has a supervisor of its own, the first
one's starts the embedded servers.

A unix socket's path may have at most 107 bytes. When `run/` would make one longer, sockets go to a private directory
with a short name that depends only on the data directory's path, so that every process computes the same one.
"""

import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from apps.streams.shards import DEFAULT_SHARD, SHARD_NUMBERS
from nebannpet.env import ConfigurationError

SOCKET_PATH_BYTES_MAX = 107
LONGEST_SOCKET_NAME = f"marketdata.{max(SHARD_NUMBERS, key=len)}.health.sock"


@dataclass(frozen=True, slots=True)
class Paths:
    data_dir: Path
    shard: str = DEFAULT_SHARD

    def of_shard(self, name: str) -> str:
        """The name of something that every shard has."""
        return name if self.shard == DEFAULT_SHARD else f"{name}.{self.shard}"

    @property
    def run_dir(self) -> Path:
        return self.data_dir / "run"

    @property
    def logs_dir(self) -> Path:
        logs = self.data_dir / "logs"
        return logs if self.shard == DEFAULT_SHARD else logs / self.shard

    @property
    def lock_file(self) -> Path:
        return self.data_dir / f"{self.of_shard('supervisor')}.lock"

    @property
    def process_table(self) -> Path:
        """JSON, replaced atomically: {"supervisor": pid, "address": url, "ready": bool (all that are not stopped are),
        "processes": {name: {"pid": int or null, "state": str, "restarts": int}}}."""
        return self.run_dir / f"{self.of_shard('processes')}.json"

    @property
    def unfinished_restore(self) -> Path:
        """There from the first change of `manage.py restore` until what it restored is proven."""
        return self.data_dir / "restore-unfinished.json"

    @property
    def demo_logins(self) -> Path:
        return self.data_dir / "demo-logins.json"

    @property
    def socket_dir(self) -> Path:
        if len(os.fsencode(self.run_dir / LONGEST_SOCKET_NAME)) <= SOCKET_PATH_BYTES_MAX:
            return self.run_dir
        name = hashlib.sha256(os.fsencode(self.data_dir)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"nebannpet-{os.getuid()}-{name}"

    @property
    def control_socket(self) -> Path:
        """Where the supervisor takes the requests of `manage.py process` (nebannpet/control.py)."""
        return self.socket_dir / f"{self.of_shard('supervisor')}.sock"

    @property
    def postgres_socket_dir(self) -> Path:
        return self.socket_dir / "postgres"

    @property
    def site_socket(self) -> Path:
        """The site's HTTP server; the gateway passes everything that is not trading on to it."""
        return self.socket_dir / f"{self.of_shard('site')}.sock"

    def redis_socket(self, name: str) -> Path:
        return self.socket_dir / f"{name}.sock"

    def health_socket(self, process: str) -> Path:
        """HTTP on a unix socket with /healthz and /metrics (nebannpet/health.py)."""
        return self.socket_dir / f"{self.of_shard(process)}.health.sock"

    def own_sockets(self) -> Iterator[Path]:
        """Sockets of this shard's processes, and on the first shard of the embedded Redis servers."""
        for path in self.socket_dir.glob("*.sock"):
            second = path.name.split(".")[1]
            if (second if second in SHARD_NUMBERS else DEFAULT_SHARD) == self.shard:
                yield path

    def remove_short_socket_dir(self) -> None:
        """Of a stopped exchange whose sockets did not fit below the data directory."""
        if self.socket_dir != self.run_dir and self.shard == DEFAULT_SHARD:
            shutil.rmtree(self.socket_dir, ignore_errors=True)

    def make_private(self) -> None:
        """Create `run/`, `logs/` and the socket directory, closed to other users."""
        for path in (self.run_dir, self.logs_dir, self.socket_dir):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = self.socket_dir.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
            raise ConfigurationError(
                f"{self.socket_dir} belongs to somebody else. Remove it or choose a shorter NEBANNPET_DATA."
            )
        self.socket_dir.chmod(0o711 if os.getuid() == 0 else 0o700)
