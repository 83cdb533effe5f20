"""manage.py replay: the engine's state at any event, made again from the commands of the archive or of the live log."""

import json
from argparse import ArgumentParser
from contextlib import closing
from dataclasses import asdict
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from apps.matching import snapshots
from apps.matching.errors import Halt
from apps.orders.archive import segments
from apps.orders.archive.errors import ArchiveDamaged, ReplayRefused
from apps.orders.archive.log import ArchivedLog
from apps.orders.archive.reader import Archive
from apps.orders.archive.replaying import Replayed, replay_archive, replay_live
from apps.streams.bus.base import EntryId
from apps.streams.bus.errors import BusError
from apps.streams.bus.redis import RedisBus


class Command(BaseCommand):
    help = "Apply the commands again, compare every event with the log's chain, and print the state hash."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--from", dest="source", choices=("archive", "log"), default="archive")
        parser.add_argument("--to", type=int, metavar="SEQ", help="the event to stop at (default: the last one)")
        parser.add_argument(
            "--through", metavar="MS-N", help="and on to this command entry, where a snapshot of the engine stands"
        )
        parser.add_argument("--json", action="store_true", help="one JSON object instead of text")

    def handle(self, *args: Any, **options: Any) -> None:
        replayed = self._from_archive if options["source"] == "archive" else self._live
        try:
            through = EntryId.parse(options["through"]) if options["through"] else None
        except ValueError as error:
            raise CommandError(f"--through takes a command entry's id, such as 1700000000000-0: {error}") from error
        try:
            found = replayed(options["to"], through)
        except (ReplayRefused, ArchiveDamaged) as refusal:
            raise CommandError(str(refusal)) from refusal
        except Halt as halt:
            raise CommandError(f"replay and log differ ({halt.reason}): {halt}") from halt
        except BusError as error:
            raise CommandError(f"redis-core does not answer: {error}. The archive: --from archive") from error
        self.stdout.write(json.dumps(asdict(found)) if options["json"] else _text(found))

    def _from_archive(self, to_seq: int | None, through: EntryId | None) -> Replayed:
        directory = segments.shard_dir(settings.DATA_DIR, settings.SHARD)
        return replay_archive(ArchivedLog(Archive(directory)), to_seq, through)

    def _live(self, to_seq: int | None, through: EntryId | None) -> Replayed:
        with closing(RedisBus(settings.REDIS_CORE_URL, settings.SHARD)) as bus:
            return replay_live(bus, snapshots.shard_dir(settings.DATA_DIR, settings.SHARD), to_seq, through)


def _text(found: Replayed) -> str:
    lines = [
        f"events {found.start_seq + 1} to {found.seq} made again, rules version {found.rules_version}, up to command"
        f" {found.last_command}",
        f"equal with the log up to event {found.chain_seq}, chain {found.chain or '(none)'}",
    ]
    if found.seq > found.chain_seq:
        lines.append(f"events {found.chain_seq + 1} to {found.seq} stand within an entry and equal its bytes")
    lines.append(f"seq {found.seq} state hash {found.state_hash}")
    return "\n".join(lines)
