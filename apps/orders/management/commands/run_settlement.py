"""manage.py run_settlement: the permanent record, one transaction a batch of events (T13)."""

import signal
import sys
import threading

import structlog
from django.conf import settings
from django.core.management.base import BaseCommand

from apps.orders.errors import SettlementStopped
from apps.orders.settlement.process import SettlementProcess
from apps.streams.bus.replicated import event_bus
from nebannpet.health import serve_health

log = structlog.get_logger(__name__)


class Command(BaseCommand):
    help = "Settle the engine's events into PostgreSQL, exactly once. Stops on SIGTERM after the current batch."
    requires_system_checks: list[str] = []

    def handle(self, *args: object, **options: object) -> None:
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        process = SettlementProcess(
            shard=settings.SHARD,
            open_bus=lambda: event_bus(settings.REDIS_CORE_URL, settings.REDIS_CORE_READ_URL, settings.SHARD),
            stop=stop,
        )
        with serve_health("settlement", process.check):
            try:
                process.run()
            except SettlementStopped as reason:
                log.critical("settlement stopped; nothing was changed", reason=str(reason), seq=process.seq)
                sys.exit(1)
