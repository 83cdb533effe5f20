"""manage.py reconcile: do log, engine and ledger say the same? Exit status 0 equal, 1 different, 2 not possible."""

import json
from argparse import ArgumentParser
from contextlib import closing
from typing import Any

import psycopg
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError

from apps.matching.snapshots import shard_dir
from apps.orders.reconciliation.service import Result, reconcile, save
from apps.streams.bus.errors import BusError
from apps.streams.bus.redis import RedisBus


class Command(BaseCommand):
    help = (
        "Compare the command log, the live engine and PostgreSQL at one sequence number. "
        "Says 'equal', or names every difference."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--full", action="store_true", help="add up the whole history, however long it is")
        parser.add_argument("--json", action="store_true", help="one JSON object instead of text")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            with closing(RedisBus(settings.REDIS_CORE_URL, settings.SHARD)) as bus:
                directory = shard_dir(settings.DATA_DIR, settings.SHARD)
                result = reconcile(bus=bus, directory=directory, shard=settings.SHARD, full=options["full"])
            save(result)
        except (BusError, psycopg.OperationalError, OperationalError) as error:
            raise CommandError(f"Nothing was compared: {error}", returncode=2) from error
        self.stdout.write(_json(result) if options["json"] else _text(result))
        if not result.equal:
            raise SystemExit(1)


def _text(result: Result) -> str:
    counts = ", ".join(f"{count} {name}" for name, count in result.counts.items())
    where = f"engine at {result.engine_seq}, ledger at {result.ledger_seq}"
    if result.equal:
        return f"equal: {where}; {counts}; state hash {result.state_hash}"
    return "\n".join([f"DIFFERENT: {len(result.differences)} differences; {where}; {counts}", *result.differences])


def _json(result: Result) -> str:
    return json.dumps(
        {
            "equal": result.equal,
            "shard": result.shard,
            "engine_seq": result.engine_seq,
            "ledger_seq": result.ledger_seq,
            "state_hash": result.state_hash,
            "counts": result.counts,
            "differences": result.differences,
        }
    )
