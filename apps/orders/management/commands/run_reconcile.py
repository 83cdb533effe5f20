"""manage.py run_reconcile: reconciliation on a schedule; the result is a metric, a log line and a row in the admin.

Beside it, in a thread, the work of once a day.
"""

import signal
import threading

from django.conf import settings
from django.core.management.base import BaseCommand

from apps.matching.snapshots import shard_dir
from apps.orders.daily import DailyWork, jobs
from apps.orders.reconciliation.process import ReconcileProcess
from apps.streams.bus.redis import RedisBus
from apps.streams.shards import DEFAULT_SHARD
from nebannpet.health import Health, serve_health


class Command(BaseCommand):
    help = (
        "Reconcile log, engine and ledger every few minutes; fee tiers and old sessions once a day. Stops on SIGTERM."
    )
    requires_system_checks: list[str] = []

    def handle(self, *args: object, **options: object) -> None:
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())

        def open_bus() -> RedisBus:
            return RedisBus(settings.REDIS_CORE_URL, settings.SHARD)

        process = ReconcileProcess(
            shard=settings.SHARD,
            open_bus=open_bus,
            directory=shard_dir(settings.DATA_DIR, settings.SHARD),
            stop=stop,
        )
        # Users and their fee tiers are of the whole installation: one shard's process sees to them.
        daily = DailyWork(jobs=jobs(open_bus) if settings.SHARD == DEFAULT_SHARD else {}, stop=stop)
        thread = threading.Thread(target=daily.run, name="daily")

        def check() -> Health:
            reconciled, done = process.check(), daily.check()
            return Health(ok=reconciled.ok and done.ok, details={**reconciled.details, **done.details})

        with serve_health("reconcile", check):
            thread.start()
            try:
                process.run()
            finally:
                stop.set()
                thread.join()
