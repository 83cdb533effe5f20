"""manage.py run_archive: both streams of the log into durable segments, before anything is trimmed."""

import signal
import threading
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from apps.matching import snapshots
from apps.orders.archive import segments
from apps.orders.archive.process import ArchiveProcess
from apps.streams.bus.redis import RedisBus
from nebannpet.health import serve_health


class Command(BaseCommand):
    help = "Archive the command and event log in DATA_DIR/archive/<shard>. Stops on SIGTERM after the current round."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--begin-anew",
            action="store_true",
            help="the former archive is lost for good: begin another one with what the log still has",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        process = ArchiveProcess(
            shard=settings.SHARD,
            open_bus=lambda: RedisBus(settings.REDIS_CORE_URL, settings.SHARD),
            directory=segments.shard_dir(settings.DATA_DIR, settings.SHARD),
            snapshots_dir=snapshots.shard_dir(settings.DATA_DIR, settings.SHARD),
            stop=stop,
            keep_days=settings.ARCHIVE_KEEP_DAYS,
            begin_anew=options["begin_anew"],
        )
        with serve_health("archive", process.check):
            process.run()
