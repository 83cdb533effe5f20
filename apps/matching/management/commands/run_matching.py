"""The matching process: `manage.py run_matching [--name standby]`. SIGTERM hands over (apps/matching/worker.py)."""

import signal
import sys
from typing import Any

import structlog
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.common import crashpoints
from apps.matching import snapshots
from apps.matching.authority import PostgresAuthority
from apps.matching.engines import HOW_TO_BUILD, NATIVE, PLAIN, NotBuilt, chosen_engine
from apps.matching.errors import LeaseLost, TakeoverLost
from apps.matching.faults import faulty
from apps.matching.shards import numbered
from apps.matching.status import Phase
from apps.matching.worker import Worker
from apps.streams.bus.errors import Fenced
from apps.streams.bus.redis import RedisBus
from nebannpet.health import Health, serve_health

log = structlog.get_logger(__name__)

EXIT_REPLACED = 3


class Command(BaseCommand):
    help = "Match orders of the shard, or follow the worker that does and take over when its lease ends. Until SIGTERM."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--name", default="matching", help="tells workers of one machine apart (default matching)")

    def handle(self, *args: Any, **options: Any) -> None:
        shard, name = settings.SHARD, options["name"]
        # With a standby installed, following is as good as being active; alone, a worker that follows nobody is not.
        healthy = {Phase.ACTIVE, Phase.FOLLOWING} if settings.STANDBY else {Phase.ACTIVE}
        try:
            chosen = chosen_engine(settings.ENGINE)
        except NotBuilt as error:
            raise CommandError(str(error)) from error
        if chosen.NAME == NATIVE or settings.ENGINE == PLAIN:
            log.info("engine", engine=chosen.NAME)
        else:
            log.warning("the slower plain engine matches: the compiled one is not built", how=HOW_TO_BUILD)
        engine = numbered(chosen, shard)
        worker = Worker(
            RedisBus(settings.REDIS_CORE_URL, shard),
            PostgresAuthority(settings.DATABASE_DSN, shard, settings.DATABASE_ROLE),
            # Under the chaos rig, which production refuses, orders can be told to break the engine (fault-F22).
            faulty(engine) if crashpoints.allowed() else engine,
            snapshots.shard_dir(settings.DATA_DIR, shard),
            name=name,
        )
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: worker.stop())

        def check() -> Health:
            return Health(ok=worker.status.phase in healthy, details=worker.status.details())

        with serve_health(name, check):
            try:
                worker.run()
            except (Fenced, LeaseLost, TakeoverLost) as error:
                log.warning("another worker is active; this one ends", reason=str(error))
                sys.exit(EXIT_REPLACED)
        log.info("stopped")
