"""`manage.py engine_status [--json]`: epoch, sequence, readers, backlog, books and state hash of the shard."""

import json
from dataclasses import asdict
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.common.clock import now_ms
from apps.matching import snapshots
from apps.matching.report import StatusUnavailable, as_text, engine_status
from apps.streams.bus.errors import BusError
from apps.streams.bus.redis import RedisBus


class Command(BaseCommand):
    help = (
        "Show where the engine stands. Asks the active worker for a snapshot and reads the books from it; without one, "
        "from the newest there is. It ends with 1 where there is none."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="one JSON object, for scripts")
        parser.add_argument("--timeout", type=float, default=30.0, help="seconds to wait for the snapshot (default 30)")

    def handle(self, *args: Any, **options: Any) -> None:
        bus = RedisBus(settings.REDIS_CORE_URL, settings.SHARD)
        directory = snapshots.shard_dir(settings.DATA_DIR, settings.SHARD)
        try:
            status = engine_status(bus, directory, now_ms=now_ms(), timeout_s=options["timeout"])
        except (StatusUnavailable, BusError) as error:
            raise CommandError(str(error)) from error
        finally:
            bus.close()
        self.stdout.write(json.dumps(asdict(status), indent=2) if options["json"] else as_text(status))
        if not status.state_hash:
            raise CommandError("No worker is active and there is no snapshot, so no state can be shown.")
