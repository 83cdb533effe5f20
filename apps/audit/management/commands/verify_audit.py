"""manage.py verify_audit: is the audit log what was written? Names the first damaged row."""

import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import psycopg
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from apps.audit.errors import KeyNotGiven, LogDamaged, NotACheckpoint
from apps.audit.notes import read_verifier_key
from apps.audit.verifying import Verified, verify_log


class Command(BaseCommand):
    help = (
        "Compute the audit log anew from its records and compare: chain, tree, every checkpoint, the writers' counters."
        " Exit status 0 whole, 1 damaged (the first damaged row is named), 2 it could not be read."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--checkpoint", type=Path, metavar="FILE", help="a checkpoint that was kept elsewhere")
        parser.add_argument(
            "--key", action="append", default=[], metavar="KEY",
            help="a verifier key as you saw it first (/audit/key), or that was announced; may be given several times."
                 " Without it every key that the log names is trusted, and printed",
        )  # fmt: skip

    def handle(self, *args: Any, checkpoint: Path | None, key: list[str], **options: Any) -> None:
        try:
            outside = checkpoint.read_text("utf-8") if checkpoint is not None else None
            keys = [read_verifier_key(text) for text in key]
            with psycopg.connect(settings.DATABASE_DSN, autocommit=True, connect_timeout=5) as connection:
                verified = verify_log(connection, outside=outside, keys=keys, progress=_progress)
        except LogDamaged as damage:
            raise CommandError(f"DAMAGED: {damage.message}", returncode=1) from damage
        except NotACheckpoint as error:
            raise CommandError(f"The checkpoint or key that was given: {error.message}", returncode=2) from error
        except KeyNotGiven as error:
            raise CommandError(error.message, returncode=2) from error
        except (psycopg.Error, OSError, UnicodeDecodeError) as error:
            raise CommandError(f"The log could not be read: {str(error).strip()}", returncode=2) from error
        self.stdout.write(_text(verified))
        for signer in verified.keys:
            self.stdout.write(f"signed by {signer}{'' if key else ' (named by the log itself)'}")


def _progress(size: int) -> None:
    if sys.stderr.isatty():
        print(f"\r{size} entries", end="", file=sys.stderr, flush=True)


def _text(verified: Verified) -> str:
    told = f", {verified.gaps} gaps that the log itself tells of" if verified.gaps else ""
    return (
        f"whole: {verified.size} entries, {verified.checkpoints} checkpoints, {verified.pending} records pending{told},"
        f" root {verified.root.hex()}"
    )
