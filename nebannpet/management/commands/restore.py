"""`manage.py restore DIRECTORY`: a backup into an empty installation, proven by recovering it."""

import os
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from nebannpet.backup.errors import NotABackup, RestoreFailed, RestoreRefused
from nebannpet.backup.restoring import Wanted, check_set, restore_all, restore_database_only
from nebannpet.management.commands.backup import this_installation
from nebannpet.preflight import PreflightError


class Command(BaseCommand):
    help = "Restore a backup into an empty installation that is not running. Refuses anything else, and says why."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("directory", type=Path, help="what manage.py backup made")
        only = parser.add_mutually_exclusive_group()
        only.add_argument("--check", action="store_true", help="verify the backup and change nothing")
        only.add_argument(
            "--database-only", action="store_true", help="PostgreSQL alone, where log and archive are alive and newer"
        )
        parser.add_argument(
            "--without-credentials", action="store_true", help="also without the key of the API secrets: they are lost"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        here = this_installation()
        wanted = Wanted(
            directory=options["directory"].absolute(),
            # settings.py falls back to the packaged servers in the same way.
            embedded_postgres="DATABASE_URL" not in os.environ,
            embedded_core="REDIS_CORE_URL" not in os.environ,
            without_credentials=options["without_credentials"],
            say=self.stdout.write,
        )
        try:
            if options["check"]:
                manifest = check_set(here, wanted)
                self.stdout.write(
                    f"whole: {len(manifest.files)} files, {manifest.bytes} bytes, made {manifest.made_at}, settled up"
                    f" to event {manifest.database.seq}, log up to event {manifest.log.seq}"
                )
            elif options["database_only"]:
                manifest = restore_database_only(here, wanted)
                self.stdout.write(
                    f"restored: PostgreSQL, settled up to event {manifest.database.seq}. Next:"
                    " docs/backup-and-restore.md,"
                    " 'PostgreSQL from an older backup'"
                )
            else:
                restored = restore_all(here, wanted)
                self.stdout.write(
                    f"restored and recovered: shard {restored.manifest.shard} at event {restored.seq}, state hash"
                    f" {restored.state_hash}. Start the exchange (on servers of your own: manage.py set_up first), then"
                    " manage.py reconcile --full"
                )
        except (NotABackup, RestoreRefused) as refused:
            raise CommandError(f"{refused} Nothing was changed.") from refused
        except PreflightError as refused:
            raise CommandError(f"{refused}", returncode=refused.exit_code) from refused
        except RestoreFailed as failed:
            raise CommandError(str(failed)) from failed
