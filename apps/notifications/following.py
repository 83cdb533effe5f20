"""A thread of the site process that follows what PostgreSQL tells: banners, and ends of sessions for open sockets.

Without PostgreSQL what was known last holds, and nothing where nothing was known yet: a page never waits for this.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

import psycopg
import structlog

from apps.notifications import shownbanners
from apps.notifications.live.hub import HUB
from apps.notifications.policy import BANNERS_POLL_S
from apps.outbox import session

log = structlog.get_logger(__name__)

# Triggers of apps/accounts/migrations tell of sessions there: 'session:<hash of its key>', or 'user:<number>' where all
# of a user's may be over.
SESSIONS: Final = "sessions"
RECONNECT_S: Final = 1.0
# How soon the thread sees that it is to stop.
WAIT_S: Final = 0.5


class Follower:
    def __init__(self) -> None:
        self._stop = threading.Event()
        self._was_away = False
        self._banners: shownbanners.Banners = ()
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
            except psycopg.Error as error:
                self._was_away = True
                if isinstance(error, psycopg.ProgrammingError):
                    what = "PostgreSQL lacks what this release reads: run manage.py set_up"
                else:
                    what = "PostgreSQL is away"
                log.warning(f"{what}; pages show the banners known last", error=str(error).strip())
                self._stop.wait(RECONNECT_S)

    def _follow(self, connection: psycopg.Connection[Any]) -> None:
        for channel in (shownbanners.CHANNEL, SESSIONS):
            connection.execute(psycopg.sql.SQL("LISTEN {}").format(psycopg.sql.Identifier(channel)))
        if self._was_away:
            HUB.call(HUB.sessions_unknown)
        next_look_at_s = 0.0
        while not self._stop.is_set():
            if (now_s := time.monotonic()) >= next_look_at_s:
                self._look(connection)
                next_look_at_s = now_s + BANNERS_POLL_S
            for notice in connection.notifies(timeout=WAIT_S, stop_after=1):
                if notice.channel == SESSIONS:
                    _tell_end(notice.payload)
                else:
                    next_look_at_s = 0.0

    def _look(self, connection: psycopg.Connection[Any]) -> None:
        with connection.cursor() as cursor:
            # Each may have thousands of recipients.
            if shownbanners.read_ids(cursor) == {banner.id for banner in self._banners}:
                return
            self._banners = shownbanners.read(cursor)
        shownbanners.keep(self._banners)
        HUB.call(HUB.banners_changed)


def _tell_end(payload: str) -> None:
    kind, _, which = payload.partition(":")
    if kind == "user":
        HUB.call(partial(HUB.sessions_of_user_ended, int(which)))
    else:
        HUB.call(partial(HUB.session_ended, which))


@contextmanager
def following() -> Iterator[None]:
    follower = Follower()
    follower.start()
    try:
        yield
    finally:
        follower.stop()
