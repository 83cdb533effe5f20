"""manage.py run_outbox: the relay from outbox rows to the engine's command stream."""

import signal
import threading

from django.conf import settings
from django.core.management.base import BaseCommand

from apps.outbox.process import RelayProcess
from apps.streams.bus.redis import RedisBus
from nebannpet.health import serve_health


class Command(BaseCommand):
    help = "Send outbox rows to the engine, in order and without losing one. Stops on SIGTERM."

    def handle(self, *args: object, **options: object) -> None:
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        process = RelayProcess(
            shard=settings.SHARD, open_bus=lambda: RedisBus(settings.REDIS_CORE_URL, settings.SHARD), stop=stop
        )
        with serve_health("outbox", process.check):
            process.run()
