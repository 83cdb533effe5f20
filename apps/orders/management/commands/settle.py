"""manage.py settle --from archive: bring a PostgreSQL that was restored from an older backup up to the log."""

import json
import sys
from argparse import ArgumentParser
from contextlib import closing
from typing import Any

import psycopg
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from apps.orders.archive import segments
from apps.orders.archive.errors import ArchiveDamaged, RestoreRefused
from apps.orders.archive.reader import Archive
from apps.orders.archive.resettling import Resettled, resettle
from apps.orders.errors import SettlementStopped
from apps.orders.settlement.process import connect
from apps.streams.bus.errors import BusError
from apps.streams.bus.redis import RedisBus


class Command(BaseCommand):
    help = (
        "Settle the archived events after PostgreSQL's watermark, then the live log up to its end, and make again the"
        " outbox rows, assets and markets that the restored database does not have. Stop the other processes first."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--from", dest="source", choices=("archive",), required=True)
        parser.add_argument(
            "--archive-only", action="store_true", help="up to the end of the archive, for when redis-core is away"
        )
        parser.add_argument("--json", action="store_true", help="one JSON object instead of text")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            archive = Archive(segments.shard_dir(settings.DATA_DIR, settings.SHARD))
            with closing(RedisBus(settings.REDIS_CORE_URL, settings.SHARD)) as bus, connect() as connection:
                result = resettle(
                    connection=connection, archive=archive, live=None if options["archive_only"] else bus,
                    shard=settings.SHARD, progress=_progress if sys.stderr.isatty() else lambda _seq, _end: None,
                )  # fmt: skip
        except (RestoreRefused, ArchiveDamaged, SettlementStopped) as reason:
            raise CommandError(str(reason)) from reason
        except BusError as error:
            raise CommandError(
                f"redis-core does not answer: {error}. Up to the end of the archive only: --archive-only", returncode=2
            ) from error
        except (psycopg.OperationalError, DatabaseError) as error:
            raise CommandError(f"PostgreSQL: {error}. What was settled stays; run this again.", returncode=2) from error
        self.stdout.write(json.dumps(result.as_dict()) if options["json"] else _text(result))


def _progress(seq: int, end: int) -> None:
    print(f"\rsettled up to {seq} of {end}", end="", file=sys.stderr, flush=True)


def _text(result: Resettled) -> str:
    restored = result.restored
    lines = [
        f"settled events {result.from_seq + 1} to {result.to_seq}"
        if result.to_seq > result.from_seq
        else f"nothing to settle: PostgreSQL is at event {result.to_seq}",
        f"outbox rows made again: {restored.rows}; rows of the backup that had been sent since: {restored.numbered}",
    ]
    for name, found in (("assets", restored.assets), ("markets", restored.markets)):
        if found:
            lines.append(f"{name} made again: {', '.join(found)}")
    if restored.requests:
        lines.append(f"requests of staff made again, without who asked and why: {restored.requests}")
    if restored.unknown_accounts:
        lines.append(
            "accounts of the log without an owner in this database (signed up after the backup; their balances are"
            f" settled, their numbers stay theirs): {', '.join(map(str, restored.unknown_accounts))}"
        )
    lines.append("done: start the processes, then run manage.py reconcile --full")
    return "\n".join(lines)
