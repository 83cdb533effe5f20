"""manage.py promote: this second site becomes the primary one, after its state and its ledger were compared (E13)."""

from argparse import ArgumentParser
from contextlib import ExitStack, closing
from typing import Any

import psycopg
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError, transaction

from apps.audit.actors import acting
from apps.audit.services import record
from apps.matching.snapshots import shard_dir
from apps.orders.promotion.core import CoreSite
from apps.orders.promotion.errors import PromotionRefused
from apps.orders.promotion.heartbeat import Watch
from apps.orders.promotion.postgres import PostgresSite
from apps.orders.promotion.progress import Progress
from apps.orders.promotion.service import Promotion
from apps.streams.bus.errors import BusError
from apps.streams.bus.redis import RedisBus

SILENCE_S = 30


class Command(BaseCommand):
    help = (
        "Run on the second site: compare log, state hash and ledger, then make its PostgreSQL and redis-core the"
        " primary ones. Exit status 0 promoted (or promoted before), 1 refused, 2 a server of this site is away."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--check", action="store_true", help="compare everything and change nothing; any time")
        parser.add_argument(
            "--primary-is-lost", action="store_true", help="do not ask whether the primary site still answers"
        )
        parser.add_argument("--watch", action="store_true", help="wait until the primary is silent, then promote")
        parser.add_argument(
            "--after", type=int, default=SILENCE_S, metavar="SECONDS",
            help=f"with --watch: seconds of silence (default {SILENCE_S}; 0: never)",
        )  # fmt: skip

    def handle(self, *args: Any, **options: Any) -> None:
        if not 0 <= options["after"] <= 86_400:
            raise CommandError("--after must be between 0 and 86400 seconds; 0 never promotes.")
        if options["watch"] and options["after"] == 0:
            self.stdout.write("--after 0: the primary site is not watched. Nothing was changed.")
            return
        try:
            with ExitStack() as stack:
                self._promote(stack, options)
        except PromotionRefused as refusal:
            raise CommandError(f"{refusal.message} [{refusal.code}]", returncode=1) from refusal
        except (BusError, psycopg.OperationalError, OperationalError) as error:
            raise CommandError(
                f"A server of this site is away: {str(error).strip()}. Run this again; it goes on where it stopped.",
                returncode=2,
            ) from error

    def _promote(self, stack: ExitStack, options: dict[str, Any]) -> None:
        bus = stack.enter_context(closing(RedisBus(settings.REDIS_CORE_URL, settings.SHARD)))
        core = stack.enter_context(closing(CoreSite(settings.REDIS_CORE_URL)))
        if options["watch"]:
            Watch(bus, core, after_s=options["after"], say=self._say).wait_for_silence()
            self._say(f"nothing was heard of the primary site for {options['after']} s: promoting this one")
        promotion = Promotion(
            core=core,
            postgres=stack.enter_context(closing(PostgresSite())),
            bus=bus,
            snapshots=shard_dir(settings.DATA_DIR, settings.SHARD),
            progress=Progress(settings.DATA_DIR),
            say=self._say,
            audit=_audit,
        )
        if options["check"]:
            promotion.check()
            self._say("equal: this site could serve. Nothing was changed.")
        else:
            promotion.run(primary_is_lost=options["primary_is_lost"] or options["watch"])

    def _say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()


def _audit() -> None:
    with transaction.atomic():
        record(actor=acting(), action="site.promoted", object=f"shard:{settings.SHARD}")
