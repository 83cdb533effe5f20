"""The site process: Django pages and staff admin over HTTP on a unix socket; the gateway passes requests on to it."""

import asyncio
import os
import signal
import socket
from pathlib import Path
from typing import Any

import uvicorn
from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser
from django.db import connection

from apps.notifications.following import following
from nebannpet.health import Health, serve_health

GRACE_S = 3


def ask_database() -> None:
    """Raises while PostgreSQL does not answer. The connection goes back to the pool, a broken one too: only the pool
    can replace it, and without it each failed check would cost one of its places.
    """
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    finally:
        connection.close()


class Command(BaseCommand):
    help = "Serve the site on the unix socket NEBANNPET_DATA/run/site.sock, or on HOST:PORT with --tcp."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--tcp", metavar="HOST:PORT", help="listen there instead, for a gateway on another machine")

    def handle(self, *args: Any, **options: Any) -> None:
        from nebannpet.asgi import application

        config = uvicorn.Config(
            application,
            loop="uvloop",
            http="httptools",
            ws="websockets-sansio",
            # A page sends nothing.
            ws_max_size=1_024,
            ws_per_message_deflate=False,
            # The gateway looks after the other end; between it and us is a unix socket.
            ws_ping_interval=None,
            lifespan="off",
            log_config=None,
            access_log=False,
            # Only the gateway can reach this socket, and it sets X-Forwarded-* itself.
            proxy_headers=True,
            forwarded_allow_ips="*",
            server_header=False,
            timeout_graceful_shutdown=GRACE_S,
        )
        server = uvicorn.Server(config)
        listener = _tcp_listener(options["tcp"]) if options["tcp"] else _unix_listener(settings.PATHS.site_socket)

        def check() -> Health:
            ask_database()
            return Health(ok=server.started, details={"listening": str(listener.getsockname())})

        with serve_health("site", check), following():
            config.load()
            # uvicorn handles both, and raises them again once it has stopped; an orderly stop is no error here.
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, signal.SIG_IGN)
            with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
                runner.run(server.serve(sockets=[listener]))
        settings.PATHS.site_socket.unlink(missing_ok=True)


def _unix_listener(path: Path) -> socket.socket:
    """A socket that only this user may connect to; one left by a crash is replaced."""
    settings.PATHS.make_private()
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    before = os.umask(0o177)
    try:
        listener.bind(str(path))
    finally:
        os.umask(before)
    return listener


def _tcp_listener(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    listener = socket.create_server((host, int(port)), backlog=2048)
    listener.set_inheritable(True)
    return listener
