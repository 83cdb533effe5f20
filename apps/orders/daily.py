"""Work of once a day, a thread of the process `run_reconcile`: fee tiers, e-mail about API keys that
expire, and what has expired goes.

Each job is done once by a process for each UTC day, from DAILY_AT on, and may be done again without effect: a restart,
a second site or `manage.py update_fee_tiers` by hand cost one reading. What is not ready yet (settlement behind, a
server away) is tried again a minute later. The thread works with a database role of its own, so that reconciliation
itself can only read.
"""

import threading
from collections.abc import Callable, Mapping
from contextlib import closing
from datetime import UTC, date, datetime
from typing import Final

import psycopg
import structlog
from django.conf import settings
from django.contrib.sessions.backends.db import SessionStore
from django.db import OperationalError, connection, connections
from prometheus_client import Gauge
from psycopg import sql

from apps.accounts.services.forgetting import forget_devices_and_log_ins, forget_links_and_attempts
from apps.accounts.services.keyexpiry import tell_of_ends
from apps.common.errors import DomainError
from apps.markets.services.forgetting import forget_second_candles
from apps.notifications.forgetting import forget_ended, forget_notices
from apps.orders.errors import SettlementBehind
from apps.orders.fee_tiers import check_settled, update_fee_tiers
from apps.orders.policy import DAILY_AT, DAILY_POLL_S
from apps.streams.bus.base import Bus
from apps.streams.bus.errors import BusError
from nebannpet.health import Health
from nebannpet.roles import ROLE_OF_PROCESS

log = structlog.get_logger(__name__)

DONE: Final = Gauge("daily_work_done_seconds", "When a job of once a day was done last, seconds since 1970", ["job"])

Job = Callable[[date], Mapping[str, object]]


def jobs(open_bus: Callable[[], Bus]) -> dict[str, Job]:
    """By name, in the order in which they are done; each takes the UTC day and says what it did."""

    def fee_tiers(day: date) -> Mapping[str, object]:
        with closing(open_bus()) as bus:
            check_settled(bus)
        computed = update_fee_tiers(day=day)
        return {"accounts": computed.accounts, "changed": len(computed.changes)}

    def keys_that_expire(day: date) -> Mapping[str, object]:
        return {f"{days}_days": told for days, told in tell_of_ends(today=day).items()}

    def expired_sessions(_: date) -> Mapping[str, object]:
        SessionStore.clear_expired()
        return {}

    def old_links(_: date) -> Mapping[str, object]:
        links, lock_links, attempts = forget_links_and_attempts()
        return {"links": links, "lock_links": lock_links, "attempts": attempts}

    def old_devices(_: date) -> Mapping[str, object]:
        devices, log_ins = forget_devices_and_log_ins()
        return {"devices": devices, "log_ins": log_ins}

    def old_emails(_: date) -> Mapping[str, object]:
        return {"emails": forget_ended()}

    def old_candles(_: date) -> Mapping[str, object]:
        return {"candles": forget_second_candles()}

    def old_notices(_: date) -> Mapping[str, object]:
        return {"notices": forget_notices()}

    return {
        "fee tiers": fee_tiers,
        "keys that expire": keys_that_expire,
        "expired sessions": expired_sessions,
        "old links": old_links,
        "old devices": old_devices,
        "old e-mails": old_emails,
        "old notices": old_notices,
        "old candles": old_candles,
    }


class DailyWork:
    """Runs until `stop` is set. `check` may be called from another thread."""

    def __init__(self, *, jobs: Mapping[str, Job], stop: threading.Event) -> None:
        self._jobs = jobs
        self._stop = stop
        self._done: dict[str, date] = {}
        self._failing: dict[str, str] = {}

    def check(self) -> Health:
        """Failing while a job ends in an error that nobody expected."""
        done = {name: day.isoformat() for name, day in list(self._done.items())}
        return Health(ok=not self._failing, details={"daily": done, **dict(self._failing)})

    def run(self) -> None:
        while not self._stop.wait(DAILY_POLL_S):
            self.look(datetime.now(UTC))

    def look(self, now: datetime) -> None:
        """Do what is due at this time and has not been done today."""
        today = now.date()
        if now.time() < DAILY_AT:
            return
        due = {name: job for name, job in self._jobs.items() if self._done.get(name) != today}
        try:
            for name, job in due.items():
                self._do(name, job, today)
        finally:
            if due:
                connections.close_all()

    def _do(self, name: str, job: Job, today: date) -> None:
        try:
            _take_role()
            did = job(today)
        except (SettlementBehind, BusError, psycopg.OperationalError, OperationalError) as error:
            log.warning("put off", job=name, error=str(error).strip())
            return
        except DomainError as refusal:
            # It will not be otherwise today; the day counts as done.
            log.warning("refused", job=name, error=refusal.message)
        except Exception as error:
            self._failing[name] = str(error)
            log.exception("DAILY WORK FAILED; tried again in a minute", job=name)
            return
        else:
            log.info("daily work done", job=name, **did)
            DONE.labels(name).set_to_current_time()
        self._done[name] = today
        self._failing.pop(name, None)


def _take_role() -> None:
    """In a process of a running exchange; by hand and in tests the user's own rights are the ones."""
    if settings.DATABASE_ROLE:
        with connection.cursor() as cursor:
            cursor.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(ROLE_OF_PROCESS["daily"])))
