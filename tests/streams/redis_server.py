"""A Redis server of one test's own: small, full, frozen, a replica, or behind a line that can be cut.

    with running_redis(tmp_path, maxmemory="4mb") as server:
        RedisBus(server.url, "spot").append_commands(...)
        with server.frozen(): ...

The settings are those of the embedded redis-core; `options` are added to them. It dies with the test process.
REDIS_SERVER=/usr/bin/redis-server runs these tests on another release than the embedded one.
"""

import contextlib
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from nebannpet.embedded import redis_core
from nebannpet.paths import Paths

START_TIMEOUT_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class RedisServer:
    url: str
    pid: int

    def client(self) -> redis.Redis:
        """Never repeats a command."""
        return redis.Redis.from_url(self.url, retry=Retry(NoBackoff(), 0))

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """Answers nothing until the block ends; its connections stay (fault-F10)."""
        with frozen(self.pid):
            yield


@contextlib.contextmanager
def frozen(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@contextlib.contextmanager
def running_redis(directory: Path, **options: str) -> Iterator[RedisServer]:
    """`options` by their names in redis.conf, with '_' for '-': maxmemory="4mb", replicaof="127.0.0.1 7001"."""
    directory.mkdir(exist_ok=True)
    paths = Paths(directory)
    paths.make_private()
    server = redis_core(paths)
    server.prepare()
    configuration = server.directory / "redis.conf"
    lines = [f"{name.replace('_', '-')} {value}\n" for name, value in options.items()]
    configuration.write_text(configuration.read_text() + "".join(lines))
    read_end, write_end = os.pipe()
    log = directory / "redis.log"
    with log.open("wb") as output:
        binary = os.environ.get("REDIS_SERVER") or server.launch.argv[0]
        launch = replace(server.launch, argv=(binary, *server.launch.argv[1:]))
        command = launch.command(parent=os.getpid(), pipe=read_end)
        child = subprocess.Popen(command, pass_fds=(read_end,), stdout=output, stderr=output)
    try:
        deadline = time.monotonic() + START_TIMEOUT_S
        while not server.is_ready():
            assert child.poll() is None, log.read_text(errors="replace")
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.02)
        with redis.Redis.from_url(server.url) as client:
            pid = int(client.info("server")["process_id"])
        yield RedisServer(server.url, pid)
    finally:
        child.kill()
        child.wait(timeout=60)
        os.close(read_end)
        os.close(write_end)
        paths.remove_short_socket_dir()


class Line:
    """A TCP port on loopback that leads to a server's unix socket, until it is cut."""

    def __init__(self, url: str) -> None:
        self._target = unquote(urlsplit(url).path)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._ends: set[socket.socket] = set()
        self._is_cut = False
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Close what is connected and let nothing through until `mend`."""
        with self._lock:
            self._is_cut = True
            for end in self._ends:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def mend(self) -> None:
        with self._lock:
            self._is_cut = False

    def close(self) -> None:
        self.cut()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                with self._lock:
                    if self._is_cut:
                        client.close()
                        continue
                    server = socket.socket(socket.AF_UNIX)
                    try:
                        server.connect(self._target)
                    except OSError:  # nobody is there (yet, or any more)
                        client.close()
                        server.close()
                        continue
                    self._ends |= {client, server}
                for source, sink in ((client, server), (server, client)):
                    threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        with self._lock:
            for end in (source, sink):
                self._ends.discard(end)
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
