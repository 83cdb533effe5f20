"""manage.py export_audit: the whole audit log as JSON lines, for docs/verify_audit.py and for other eyes."""

import json
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import IO, Any

import psycopg
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from apps.audit.exporting import export_lines


class Command(BaseCommand):
    help = (
        "Write the entries of the audit log, the oldest first, one JSON object a line, and the newest checkpoint as the"
        " last line. It holds everything that entries say: keep it as you keep the database."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, nargs="?", help="a new file; standard output where there is none")

    def handle(self, *args: Any, file: Path | None, **options: Any) -> None:
        try:
            with psycopg.connect(settings.DATABASE_DSN, autocommit=True, connect_timeout=5) as connection:
                if file is None:
                    self._write(connection, sys.stdout)
                    return
                with file.open("x", encoding="utf-8") as out:
                    file.chmod(0o600)
                    count = self._write(connection, out)
        except FileExistsError as error:
            raise CommandError(f"{file} exists; name a new file. Nothing was written.") from error
        except (psycopg.Error, OSError) as error:
            raise CommandError(f"The export broke off: {str(error).strip()}") from error
        self.stdout.write(f"{count} entries in {file}")

    def _write(self, connection: psycopg.Connection[Any], out: IO[str]) -> int:
        """How many entries."""
        count = 0
        for line in export_lines(connection):
            out.write(json.dumps(line, ensure_ascii=False) + "\n")
            count += "index" in line
        return count
