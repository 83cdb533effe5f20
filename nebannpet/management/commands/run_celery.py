"""manage.py run_celery: works off Celery's tasks, and sends those that repeat."""

import logging
import threading
import time
import warnings
from typing import Final

from celery.apps.worker import Worker
from celery.beat import EmbeddedService
from celery.exceptions import CPendingDeprecationWarning
from celery.platforms import SecurityWarning
from celery.signals import worker_ready
from django.core.management.base import BaseCommand

from apps.notifications.policy import SWEEP_EVERY_S
from apps.notifications.sweeping import LastSweep
from apps.notifications.tasks import sweep_emails
from nebannpet.celery import app
from nebannpet.health import Health, serve_health

# They wait for mail servers, so threads of one process are as fast as processes and far smaller. What sends the
# repeated tasks is a thread, too; several hosts may all do it, because a sweep twice does nothing twice.
THREADS: Final = 2
# With this many sweeps missed, nothing is worked off.
SILENT_MAX_S: Final = 3 * SWEEP_EVERY_S
# Lines about every task that came and went; the tasks say themselves what they did.
TOLD_TWICE: Final = ("celery.worker.strategy", "celery.app.trace")


class Command(BaseCommand):
    help = "Work off what may wait a moment, such as e-mail. Stops on SIGTERM, when what it has begun is done."
    requires_system_checks: list[str] = []

    def handle(self, *args: object, **options: object) -> None:
        ready = threading.Event()

        def on_ready(**_: object) -> None:
            # What was queued while no worker ran need not wait for the first turn of the schedule.
            sweep_emails.delay()
            ready.set()

        worker_ready.connect(on_ready)
        # That root is dangerous with tasks that carry code; ours are JSON.
        warnings.simplefilter("ignore", SecurityWarning)
        # Of a default that Celery 6 changes; threads cannot be cancelled, so it means nothing here.
        warnings.simplefilter("ignore", CPendingDeprecationWarning)
        for name in TOLD_TWICE:
            logging.getLogger(name).setLevel(logging.WARNING)
        beat = EmbeddedService(app, thread=True, scheduler_cls="celery.beat:Scheduler")
        worker: Worker = app.Worker(
            pool="threads",
            concurrency=THREADS,
            loglevel="INFO",
            quiet=True,
            without_gossip=True,
            without_mingle=True,
            without_heartbeat=True,
        )
        with serve_health("celery", lambda: check(is_ready=ready.is_set())):
            beat.start()
            worker.start()


def check(*, is_ready: bool) -> Health:
    """Working once the first sweep is done, and as long as sweeps come round."""
    swept_at_s = LastSweep.at_s
    if not is_ready or swept_at_s is None:
        return Health(ok=False, details={"state": "waiting for redis-edge or PostgreSQL"})
    ago_s = int(time.monotonic() - swept_at_s)
    state = "working" if ago_s <= SILENT_MAX_S else "nothing is worked off; redis-edge or PostgreSQL may be away"
    return Health(ok=ago_s <= SILENT_MAX_S, details={"state": state, "swept_s_ago": ago_s})
