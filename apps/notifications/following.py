"""A thread of the site process that follows what PostgreSQL tells: LISTEN, and a look now and then.

Without PostgreSQL what was known last holds, and nothing where nothing was known yet: a page never waits for this.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import psycopg
import structlog

from apps.notifications import shownbanners
from apps.notifications.policy import BANNERS_POLL_S
from apps.outbox import session

log = structlog.get_logger(__name__)

RECONNECT_S: Final = 1.0
# How soon the thread sees that it is to stop.
WAIT_S: Final = 0.5


class Follower:
    def __init__(self) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="follow-banners", daemon=True)

    def start(self) -> None:
        shownbanners.keep(())
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()
        shownbanners.keep(None)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                with session.connect() as connection:
                    self._follow(connection)
            except psycopg.OperationalError as error:
                log.warning("PostgreSQL is away; pages show the banners known last", error=str(error).strip())
                self._stop.wait(RECONNECT_S)

    def _follow(self, connection: psycopg.Connection[Any]) -> None:
        connection.execute(psycopg.sql.SQL("LISTEN {}").format(psycopg.sql.Identifier(shownbanners.CHANNEL)))
        looks_left = 0
        while not self._stop.is_set():
            if looks_left == 0:
                with connection.cursor() as cursor:
                    shownbanners.keep(shownbanners.read(cursor))
                looks_left = int(BANNERS_POLL_S / WAIT_S)
            looks_left -= 1
            for _ in connection.notifies(timeout=WAIT_S, stop_after=1):
                looks_left = 0


@contextmanager
def following() -> Iterator[None]:
    follower = Follower()
    follower.start()
    try:
        yield
    finally:
        follower.stop()
