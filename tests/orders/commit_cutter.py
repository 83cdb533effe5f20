"""A line to PostgreSQL that loses the reply to a commit: the server has done it, the client never hears of it."""

import contextlib
import select
import socket
import threading
from collections.abc import Iterator

from psycopg.conninfo import conninfo_to_dict, make_conninfo

COMMIT = b"COMMIT\0"


class CommitCutter:
    """A TCP port on loopback that leads to PostgreSQL's unix socket and cuts the next `cuts` commits."""

    def __init__(self, dsn: str, cuts: int) -> None:
        found = conninfo_to_dict(dsn)
        self._target = f"{found['host']}/.s.PGSQL.{found.get('port') or 5432}"
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.dsn = make_conninfo(dsn, host="127.0.0.1", port=self._listener.getsockname()[1], sslmode="disable")
        self._left = cuts
        self.done = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(self._target)
                threading.Thread(target=self._serve, args=(client, server), daemon=True).start()

    def _serve(self, client: socket.socket, server: socket.socket) -> None:
        with client, server, contextlib.suppress(OSError):
            while True:
                readable, _, _ = select.select([client, server], [], [])
                if server in readable:
                    data = server.recv(65536)
                    if not data:
                        return
                    client.sendall(data)
                if client in readable:
                    data = client.recv(65536)
                    if not data:
                        return
                    server.sendall(data)
                    if COMMIT in data and self._left:
                        server.recv(65536)  # it is committed now
                        self._left -= 1
                        self.done += 1
                        return


@contextlib.contextmanager
def cutting_commits(dsn: str, cuts: int) -> Iterator[CommitCutter]:
    cutter = CommitCutter(dsn, cuts)
    try:
        yield cutter
    finally:
        cutter.close()
