"""manage.py run_reconcile: reconciliation on a schedule; the result is a metric, a log line and a row in the admin."""

import signal
import threading

from django.conf import settings
from django.core.management.base import BaseCommand

from apps.matching.snapshots import shard_dir
from apps.orders.reconciliation.process import ReconcileProcess
from apps.streams.bus.redis import RedisBus
from nebannpet.health import serve_health


class Command(BaseCommand):
    help = "Reconcile log, engine and ledger every few minutes. Stops on SIGTERM."

    def handle(self, *args: object, **options: object) -> None:
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        process = ReconcileProcess(
            shard=settings.SHARD,
            open_bus=lambda: RedisBus(settings.REDIS_CORE_URL, settings.SHARD),
            directory=shard_dir(settings.DATA_DIR, settings.SHARD),
            stop=stop,
        )
        with serve_health("reconcile", process.check):
            process.run()
