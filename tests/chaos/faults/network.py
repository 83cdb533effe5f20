"""A network that drops, delays and half-closes: a proxy in the place of a server's unix socket.

The server's socket is renamed and the proxy listens at its path, so every process meets it without knowing. The kernel
says which process opened a connection (SO_PEERCRED), so one victim is cut off and all others go on.
"""

import contextlib
import random
import socket
import struct
import threading
import time
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar

import redis

from nebannpet.embedded import redis_core
from tests.chaos.faults.base import Fault
from tests.chaos.rig import Rig

CHUNK = 65_536


class Mode(StrEnum):
    PASS = "pass"
    DROP = "drop"  # both ways: the connection stands and nothing arrives
    DROP_ANSWERS = "drop-answers"  # one way: what the victim sends is done, and it never hears of it
    DELAY = "delay"
    HALF_CLOSE = "half-close"  # the victim reads an end of file, the server does not
    CUT = "cut"  # every connection is closed at once, and every new one


class _Connection:
    def __init__(self, client: socket.socket, server: socket.socket, pid: int) -> None:
        self.client, self.server, self.pid = client, server, pid
        # Bytes were swallowed: going on after them would be a corruption that no network makes.
        self.lossy = False

    def close(self) -> None:
        for end in (self.client, self.server):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


class SocketProxy:
    """Stands in for the server that listens at `path`. `fault` applies to the connections of one process."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._real = path.with_name(path.name + ".real")
        self._listener: socket.socket | None = None
        self._inode = 0
        self._mode, self._victim, self._delay_s = Mode.PASS, 0, 0.0
        self._connections: set[_Connection] = set()
        self._lock = threading.Lock()

    def installed(self) -> bool:
        """False after the server was started again: it makes its socket anew."""
        try:
            return self._listener is not None and self.path.stat().st_ino == self._inode
        except FileNotFoundError:
            return False

    def install(self) -> None:
        self.close()
        self.path.rename(self._real)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(self.path))
        listener.listen(64)
        self._inode = self.path.stat().st_ino
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), name=f"proxy {self.path.name}", daemon=True).start()

    def set(self, mode: Mode, *, victim: int = 0, delay_s: float = 0.0) -> None:
        with self._lock:
            self._mode, self._victim, self._delay_s = mode, victim, delay_s
            connections = [found for found in self._connections if found.pid == victim or found.lossy]
        for found in connections:
            if mode is Mode.CUT or found.lossy:
                found.close()
            elif mode is Mode.HALF_CLOSE:
                found.lossy = True
                with contextlib.suppress(OSError):
                    found.client.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Out of the way again: the server's own socket is back at its path."""
        if self._listener is None:
            return
        if self.installed():
            self._real.rename(self.path)
        else:
            self._real.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._listener = None
        with self._lock:
            connections = tuple(self._connections)
        for found in connections:
            found.close()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            pid = struct.unpack("3i", client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
            server = socket.socket(socket.AF_UNIX)
            try:
                if self._mode_of(pid) is Mode.CUT:
                    raise ConnectionRefusedError
                server.connect(str(self._real))
            except OSError:
                client.close()
                server.close()
                continue
            connection = _Connection(client, server, pid)
            with self._lock:
                self._connections.add(connection)
            for source, target, answers in ((client, server, False), (server, client, True)):
                threading.Thread(target=self._pump, args=(connection, source, target, answers), daemon=True).start()

    def _mode_of(self, pid: int) -> Mode:
        return self._mode if pid == self._victim else Mode.PASS

    def _pump(self, connection: _Connection, source: socket.socket, target: socket.socket, answers: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(CHUNK):
                mode = self._mode_of(connection.pid)
                if mode is Mode.DROP or (answers and mode in (Mode.DROP_ANSWERS, Mode.HALF_CLOSE)):
                    connection.lossy = True
                    continue
                if mode is Mode.DELAY:
                    time.sleep(self._delay_s)
                target.sendall(data)
        connection.close()
        with self._lock:
            self._connections.discard(connection)


@dataclass(slots=True)
class NetworkFault(Fault):
    """One process and one server, redis-core or PostgreSQL, cannot talk as they should for a while."""

    name: ClassVar[str] = "network"
    hold_s: tuple[float, float] = (0.5, 4.0)
    victim: str = ""
    server: str = ""
    mode: Mode | None = None
    proxy: SocketProxy | None = field(default=None, repr=False)

    def inject(self, rig: Rig, draw: random.Random) -> int:
        self.server = self.server or draw.choice(["redis-core", "redis-core", "postgres"])
        self.mode = self.mode or draw.choice([mode for mode in Mode if mode is not Mode.PASS])
        self.victim = self.victim or draw.choice(["active", "gateway", "settlement", "outbox"])
        victim = rig.wait_for_active() if self.victim == "active" else self.victim
        self.proxy = _proxy(rig, self.server)
        if not self.proxy.installed():
            self.proxy.install()
            _disconnect_all(rig, self.server)
            rig.wait_until_trading()
        self.proxy.set(self.mode, victim=rig.pid(victim), delay_s=draw.uniform(0.05, 0.4))
        if victim == "outbox":
            rig.deposit()  # else it would have nothing to send while it is cut off
        return 0

    def heal(self, rig: Rig) -> None:
        assert self.proxy is not None
        self.proxy.set(Mode.PASS)

    def description(self) -> dict[str, Any]:
        return {"fault": self.name, "victim": self.victim, "server": self.server, "mode": str(self.mode)}


def _proxy(rig: Rig, server: str) -> SocketProxy:
    paths = rig.stack.paths
    path = paths.redis_socket("redis-core") if server == "redis-core" else paths.postgres_socket_dir / ".s.PGSQL.5432"
    found = rig.proxies.get(server)
    if found is None:
        found = rig.proxies[server] = SocketProxy(path)
    return found


def _disconnect_all(rig: Rig, server: str) -> None:
    """Whoever was connected without the proxy connects again, through it."""
    if server == "postgres":
        with rig.postgres() as own:
            own.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
            )
        return
    with redis.Redis.from_url(redis_core(rig.stack.paths).url, socket_timeout=5) as core:
        core.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
