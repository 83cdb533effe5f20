"""manage.py verify_log: is the archive whole, and does the live log go on from it? Exit status 0 whole, 1 not."""

import json
from argparse import ArgumentParser
from contextlib import closing
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from apps.orders.archive import segments
from apps.orders.archive.verifying import Verified, verify_archive, verify_live
from apps.streams.bus.errors import BusError
from apps.streams.bus.redis import RedisBus


class Command(BaseCommand):
    help = (
        "Read every byte of the archive and lay the live log beside it: digests, chain, gaps, ids, kept snapshots. "
        "Ends with 'whole', or names what is wrong and where."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="one JSON object instead of text")
        parser.add_argument(
            "--archive-only", action="store_true", help="without the live log, for when redis-core is away"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        directory = segments.shard_dir(settings.DATA_DIR, settings.SHARD)
        result = verify_archive(directory)
        if not result.wrong and not options["archive_only"]:
            try:
                with closing(RedisBus(settings.REDIS_CORE_URL, settings.SHARD)) as bus:
                    verify_live(directory, bus, result)
            except BusError as error:
                raise CommandError(
                    f"The archive is whole, but redis-core does not answer: {error}. Without it: --archive-only",
                    returncode=2,
                ) from error
        self.stdout.write(json.dumps(result.as_dict()) if options["json"] else _text(result, options["archive_only"]))
        if result.wrong:
            raise SystemExit(1)


def _text(result: Verified, archive_only: bool) -> str:
    counts = result.counts
    lines = [
        f"{counts.segments} segments, {counts.blocks} blocks, {counts.bytes} bytes, {counts.bases} base snapshots",
        f"{counts.command_entries} command entries with {counts.commands} commands, up to {result.last_command}",
        f"{counts.event_entries} event entries with events {result.first_seq} to {result.last_seq},"
        f" {counts.trades} trades, {counts.skips} skips",
        f"chain {result.chain or '(none)'}",
    ]
    if counts.torn_bytes:
        lines.append(f"{counts.torn_bytes} bytes after the last whole block: a round being written, or cut by a crash")
    if not archive_only:
        lines.append(
            f"live log: {counts.overlap_command_entries} command entries and {counts.overlap_event_entries} event"
            f" entries are in both and equal, {counts.live_events} events are not archived yet"
        )
    lines.append(f"NOT WHOLE: {result.wrong}" if result.wrong else "whole")
    return "\n".join(lines)
