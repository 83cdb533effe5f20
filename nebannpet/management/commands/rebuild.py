"""`manage.py rebuild snapshot` or `log`: out of the archive, when the snapshots or redis-core's data are lost."""

import os
from typing import Any

import psycopg
from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.matching.authority import AuthorityAway
from apps.matching.errors import EngineFailed, Halt
from apps.orders.archive.errors import ArchiveDamaged, ArchiveStopped
from apps.streams.bus.errors import BusError
from nebannpet.backup.errors import RestoreRefused
from nebannpet.backup.rebuilding import rebuild_log, rebuild_snapshot
from nebannpet.backup.restoring import alone
from nebannpet.management.commands.backup import this_installation
from nebannpet.preflight import PreflightError


class Command(BaseCommand):
    help = (
        "snapshot: replay the archive and the live log, and write a snapshot at its end; the exchange runs, its worker "
        "is halted. log: fill an empty redis-core from the archive; the exchange is stopped. See "
        "docs/backup-and-restore.md."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("what", choices=("snapshot", "log"))
        parser.add_argument(
            "--what-is-missing-is-lost",
            action="store_true",
            help="needed for log: what was acknowledged after the archive's end is given up",
        )

    def handle(self, *args: Any, what: str, what_is_missing_is_lost: bool, **options: Any) -> None:
        try:
            if what == "snapshot":
                self.stdout.write(f"written: {rebuild_snapshot(this_installation())}")
                self.stdout.write("Now: manage.py process restart matching (and standby, if it halted too)")
            else:
                self._rebuild_log(sure=what_is_missing_is_lost)
        except PreflightError as refused:
            raise CommandError(str(refused), returncode=refused.exit_code) from refused
        except (RestoreRefused, ArchiveDamaged, ArchiveStopped, Halt, EngineFailed) as refused:
            raise CommandError(f"Nothing was rebuilt: {refused}") from refused
        except (BusError, AuthorityAway, psycopg.Error, OSError) as error:
            raise CommandError(f"Nothing was rebuilt: {str(error).strip()}") from error

    def _rebuild_log(self, *, sure: bool) -> None:
        if not sure:
            raise CommandError(
                "A log from the archive ends at the archive's end; what was acknowledged after that is lost for good. "
                "First try every better copy (docs/runbooks/log-behind-postgres.md). If there is none, add "
                "--what-is-missing-is-lost."
            )
        here = this_installation()
        with alone(
            here,
            "manage.py rebuild",
            postgres="DATABASE_URL" not in os.environ,
            core="REDIS_CORE_URL" not in os.environ,
        ):
            made = rebuild_log(here)
        self.stdout.write(
            f"rebuilt and recovered: {made.events} events up to {made.recovered.position.seq}, settled up to"
            f" {made.settled_seq}, state hash {made.recovered.core.state_hash()}"
        )
        if made.moved_to is not None:
            self.stdout.write(f"the snapshots of before are in {made.moved_to}")
