"""`/healthz` and `/metrics` of one process, over HTTP on the unix socket NEBANNPET_DATA/run/<name>.health.sock.

    with serve_health("settlement", check):        # `check` is called in the health thread, for each request
        run()

    def check() -> Health:
        return Health(ok=lag < LIMIT, details={"lag_events": lag, "seq": seq})

`/healthz` answers 200 or 503 with {"status": "ok" | "failing", "process": name, "pid": pid, ...details}; the supervisor
takes a process for started at its first 200, so `check` says ok only when the process does its work. `/metrics` is the
default registry of prometheus_client. A check that raises counts as failing, with the error in the answer and the log.

The thread answers while the process computes, but needs the interpreter's lock: a check reads a few attributes and
never waits for anything (SELECT 1 with a time-out is the most it may do).
"""

import contextlib
import http.client
import json
import os
import socket
import socketserver
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import structlog
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from nebannpet.paths import Paths

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Health:
    ok: bool
    details: Mapping[str, object] = field(default_factory=dict)


Check = Callable[[], Health]


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    name: str
    check: Check

    def handle_error(self, request: object, client_address: object) -> None:
        """Whoever asked did not wait for the answer, or our own code failed; only the second is worth a line."""
        error = sys.exception()
        if not isinstance(error, ConnectionError | TimeoutError):
            log.error("health request failed", error=repr(error))


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = 5

    def do_GET(self) -> None:
        if self.path == "/healthz":
            health = _checked(self.server.check)
            body = {"status": "ok" if health.ok else "failing", "process": self.server.name, "pid": os.getpid()}
            self._answer(200 if health.ok else 503, "application/json", json.dumps({**health.details, **body}).encode())
        elif self.path == "/metrics":
            self._answer(200, CONTENT_TYPE_LATEST, generate_latest())
        else:
            self._answer(404, "text/plain", b"/healthz or /metrics\n")

    def _answer(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Requests are not logged: the supervisor and Prometheus ask all the time."""


def _checked(check: Check) -> Health:
    try:
        return check()
    except Exception as error:  # noqa: BLE001  the top of a request; the reason is answered and logged
        log.warning("health check failed", error=repr(error))
        return Health(ok=False, details={"error": repr(error)})


@contextlib.contextmanager
def serve_health(name: str, check: Check, paths: Paths | None = None) -> Iterator[Path]:
    """Serve until the block ends. `paths` defaults to the settings' data directory. Yields the socket's path."""
    if paths is None:
        from django.conf import settings

        paths = settings.PATHS
    paths.make_private()
    path = paths.health_socket(name)
    path.unlink(missing_ok=True)
    with _Server(str(path), _Handler) as server:
        path.chmod(0o600)
        server.name = name
        server.check = check
        thread = threading.Thread(target=server.serve_forever, name="health", daemon=True)
        thread.start()
        try:
            yield path
        finally:
            server.shutdown()
            thread.join()
            path.unlink(missing_ok=True)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def ask_health(path: Path, *, timeout_s: float = 2.0) -> tuple[int, dict[str, object]]:
    """Status and body of /healthz; OSError or HTTPException when nobody answers."""
    connection = _UnixConnection(path, timeout_s)
    try:
        connection.request("GET", "/healthz")
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


@dataclass(frozen=True, slots=True)
class Said:
    """What a process says of itself, for a person: `word` such as 'active' or 'FAILING: halted'; `why` may be long."""

    word: str
    why: str = ""


def what_it_says(path: Path, *, timeout_s: float = 2.0) -> Said:
    """Its health in words; an empty word where nobody listens on `path`, as servers and stopped processes do not."""
    try:
        status, body = ask_health(path, timeout_s=timeout_s)
    except (FileNotFoundError, ConnectionRefusedError):
        return Said("")
    except (OSError, http.client.HTTPException, ValueError) as error:
        return Said("NO ANSWER", f"its health check does not answer: {str(error) or type(error).__name__}")
    word = str(body.get("phase") or body.get("state") or "")
    if status == 200:
        return Said(word)
    details = {name: value for name, value in body.items() if name not in ("status", "process", "pid")}
    why = str(body.get("explanation") or body.get("error") or json.dumps(details))
    return Said(f"FAILING: {word}" if word else "FAILING", why)


def has_drained(path: Path) -> bool:
    """Whether it is on its way down and all its clients have gone; also when it does not answer any more."""
    try:
        _, body = ask_health(path)
    except (OSError, http.client.HTTPException, ValueError):
        return True
    return bool(body.get("draining")) and not body.get("sockets")


def is_healthy(path: Path) -> bool:
    try:
        return ask_health(path)[0] == 200
    except (OSError, http.client.HTTPException, ValueError):
        return False
