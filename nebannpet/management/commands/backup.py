"""`manage.py backup DIRECTORY`: one consistent set of PostgreSQL, redis-core's log, snapshots and archive."""

import signal
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from nebannpet.backup.errors import BackupFailed
from nebannpet.backup.installation import Installation
from nebannpet.backup.making import make_backup


def this_installation() -> Installation:
    return Installation(
        paths=settings.PATHS,
        shard=settings.SHARD,
        dsn=settings.DATABASE_DSN,
        core_url=settings.REDIS_CORE_URL,
        credentials_key=settings.CREDENTIALS_KEY,
    )


class Command(BaseCommand):
    help = "Back the running exchange up into a new or empty directory, at one consistent point. Trading goes on."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("directory", type=Path, help="new or empty; best on another disk, then on another machine")

    def handle(self, *args: Any, **options: Any) -> None:
        signal.signal(signal.SIGTERM, _end)
        started_s = time.monotonic()
        directory: Path = options["directory"].absolute()
        try:
            made = make_backup(this_installation(), directory)
        except BackupFailed as failure:
            raise CommandError(str(failure)) from failure
        self.stdout.write(
            f"backup of {made.shard} in {directory}: PostgreSQL settled up to event {made.database.seq}, log up to"
            f" event {made.log.seq} ({made.log.event_entries} entries of events, {made.log.command_entries} of"
            f" commands), {len(made.snapshots)} snapshots, {len(made.files)} files, {made.bytes} bytes,"
            f" {time.monotonic() - started_s:.1f} s"
        )
        if made.other_shards:
            self.stdout.write(
                f"the logs of other shards are not in it: {', '.join(made.other_shards)}. Back them up as well"
            )
        if settings.CREDENTIALS_KEY:
            self.stdout.write("CREDENTIALS_KEY is not in it: keep it elsewhere, without it all API keys are lost")
            self.stdout.write("the file of AUDIT_KEY_FILE is not in it either: keep it in that place, too")


def _end(number: int, frame: FrameType | None) -> None:
    """As Ctrl-C: what was written is removed on the way out."""
    sys.exit(128 + number)
