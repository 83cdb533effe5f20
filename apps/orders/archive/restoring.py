"""What a database restored from a backup does not know, made again from the archived commands.

A relayed command in the log is a fact: the engine has applied it. The outbox row it came from may have been written,
or numbered, after the backup was made. Then the row is made again, with the same content and number, and the relay's
counter is moved up, so that no number is given out twice. Assets, markets and requests of staff come from the same
commands; who asked and why is not in the log and is said to be restored.

What is not in the log cannot come back: users, API keys, the reasons of staff. Accounts that the log knows and the
database does not are reported, and their numbers are never given to anybody else.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec
from django.db import connection, transaction
from django.utils import timezone

from apps.accounts.models import TradingAccount
from apps.markets.models import Asset, Market, MarketSettingsChange, MarketStateChange, mirrored_columns
from apps.markets.services.listing import announcement_key
from apps.orders.archive import policy
from apps.orders.archive.errors import RestoreRefused
from apps.orders.archive.log import ReadableLog
from apps.orders.archive.source import before
from apps.outbox.models import OutboxRow, OutboxState, RelayCounter
from apps.streams.bus.base import CommandEntry, EntryId
from apps.streams.codec import decode_command, decode_settings, iter_runs
from apps.streams.kinds import CommandKind, EventKind, Reason, Source
from apps.streams.messages import AssetSettings, MarketSettings
from apps.streams.records import COMMAND_HEADER

REASON: Final = "Restored from the archive of the log"
REQUESTED_BY: Final = "archive"
# Commands whose own key is the business key of their outbox row (ledger/services.py); for RELEASE and CAPTURE it names
# the hold, which is another row's.
_KEYED: Final = frozenset({CommandKind.CREDIT, CommandKind.DEBIT, CommandKind.TRANSFER, CommandKind.HOLD})
_MONEY: Final = frozenset({*_KEYED, CommandKind.RELEASE, CommandKind.CAPTURE})
# A row of the backup was written before its command; by another clock perhaps a little later.
_CLOCKS_APART: Final = timedelta(seconds=60)
_RELAY_FIELDS: Final = slice(COMMAND_HEADER.size, COMMAND_HEADER.size + 10)


@dataclass(slots=True)
class Restored:
    """What was made again, in words for the operator."""

    rows: int = 0
    numbered: int = 0
    assets: list[str] = field(default_factory=list)
    markets: list[str] = field(default_factory=list)
    requests: int = 0
    unknown_accounts: list[int] = field(default_factory=list)


class CommandFinder:
    """Commands by their ids, which events name in rising order: one pass over the log."""

    def __init__(self, log: ReadableLog) -> None:
        self._log = log
        self._left: Iterator[CommandEntry] = iter(())
        self._entry: CommandEntry | None = None

    def run_of(self, cmd: EntryId, index: int) -> bytes:
        """The frame run of one command; RestoreRefused where the log does not have it."""
        if self._entry is None or self._entry.id > cmd:
            self._left = self._entries(before(cmd))
            self._entry = next(self._left, None)
        while self._entry is not None and self._entry.id < cmd:
            self._entry = next(self._left, None)
        if self._entry is not None and self._entry.id == cmd:
            for place, (offset, length) in enumerate(iter_runs(self._entry.frames)):
                if place == index:
                    return self._entry.frames[offset : offset + length]
        raise RestoreRefused(
            f"command {cmd}-{index} is neither in the archive nor in the log, and the database lacks the outbox row it"
            " came from. A newer backup of PostgreSQL, or an older copy of the archive, is needed."
        )

    def _entries(self, after: EntryId) -> Iterator[CommandEntry]:
        while entries := self._log.read_commands(after, count=policy.COMMAND_ENTRIES_PER_READ):
            yield from entries
            after = entries[-1].id


class Restorer:
    """Call `prepare` with the relayed events of a batch before that batch is settled."""

    def __init__(self, log: ReadableLog, shard: str) -> None:
        self._commands = CommandFinder(log)
        self._shard = shard
        self.restored = Restored()

    @transaction.atomic
    def prepare(self, events: Sequence[Any]) -> None:
        """Make again whatever these events need and the database lacks; RestoreRefused where it has something else."""
        for event in events:
            if event.relay_seq and event.source != Source.DIRECT:
                self._prepare_one(event)

    def _prepare_one(self, event: Any) -> None:
        run = self._commands.run_of(EntryId(event.cmd_ms, event.cmd_n), event.cmd_index)
        frames = bytearray(run)
        frames[_RELAY_FIELDS] = bytes(10)
        command = decode_command(run)
        if (command.relay_seq, command.source) != (event.relay_seq, event.source):
            raise RestoreRefused(
                f"event {event.seq} answers relayed command {event.source}/{event.relay_seq}, but command"
                f" {event.cmd_ms}-{event.cmd_n}-{event.cmd_index} is {command.source}/{command.relay_seq}"
            )
        row = OutboxRow.objects.filter(
            shard=self._shard, source=event.source, relay_seq=event.relay_seq
        ).first() or self._row_again(command, bytes(frames), event)
        if row.kind != command.KIND or bytes(row.frames) != bytes(frames):
            raise RestoreRefused(
                f"outbox row {row.key} has number {event.source}/{event.relay_seq} in this database, but the log has"
                f" another command with that number ({command.KIND.name}, event {event.seq}): the relay was at work on"
                " the restored database. Restore it again, and start nothing before this command has ended."
            )
        self._business_rows(command, run, row, event)

    def _row_again(self, command: Any, frames: bytes, event: Any) -> OutboxRow:
        """A row that the backup has without its number gets it; any other is made again. The counter follows."""
        row = self._unnumbered(command, frames, event)
        now = timezone.now()
        if row is not None:
            row.relay_seq, row.numbered_at = event.relay_seq, now
            row.save(update_fields=["relay_seq", "numbered_at"])
            self.restored.numbered += 1
        else:
            row = OutboxRow.objects.create(
                shard=self._shard, key=self._key(command, frames, event), source=event.source,
                kind=int(command.KIND), frames=frames, relay_seq=event.relay_seq, state=OutboxState.WAITING,
                reason=int(Reason.NONE), numbered_at=now, restored_at=now,
            )  # fmt: skip
            self.restored.rows += 1
        counter, _ = RelayCounter.objects.get_or_create(shard=self._shard, source=event.source)
        if counter.last_relay_seq < event.relay_seq:
            counter.last_relay_seq = event.relay_seq
            counter.save(update_fields=["last_relay_seq"])
        return row

    def _unnumbered(self, command: Any, frames: bytes, event: Any) -> OutboxRow | None:
        """The oldest row of the backup that this command came from; the relay numbers rows in the order of their ids.

        A money command's key makes it unmistakable. Of others, only rows that were there before the command count:
        what staff asks for now is not what was done then.
        """
        rows = OutboxRow.objects.filter(
            shard=self._shard, source=event.source, relay_seq__isnull=True, kind=int(command.KIND), frames=frames
        )
        if command.KIND not in _MONEY:
            rows = rows.filter(created_at__lte=datetime.fromtimestamp(event.cmd_ms // 1000, UTC) + _CLOCKS_APART)
        return rows.order_by("id").first()

    def _key(self, command: Any, frames: bytes, event: Any) -> str:
        """The business key where the command says it, so that the same business is never sent again."""
        key = ""
        if command.KIND in _KEYED:
            key = command.key
        elif command.KIND in (CommandKind.SET_ASSET, CommandKind.SET_MARKET):
            settings = decode_settings(frames)
            if isinstance(settings, MarketSettings):
                key = f"market:{settings.market_id}:settings:{settings.settings_version}"
            elif isinstance(settings, AssetSettings):
                key = announcement_key(settings.asset_id, self._shard)
        if key and not OutboxRow.objects.filter(key=key).exists():
            return key
        return f"restored:{self._shard}:{event.source}:{event.relay_seq}"

    # -- assets, markets and what staff asked for ---------------------------------------------------------------------
    def _business_rows(self, command: Any, run: bytes, row: OutboxRow, event: Any) -> None:
        done = event.KIND in (EventKind.SETTINGS_APPLIED, EventKind.MARKET_STATE_CHANGED)
        if command.KIND in (CommandKind.SET_ASSET, CommandKind.SET_MARKET):
            settings = decode_settings(run)
            if isinstance(settings, AssetSettings):
                if done:
                    self._asset(settings)
            elif isinstance(settings, MarketSettings):
                self._market(settings, row, done=done)
        elif command.KIND == CommandKind.SET_MARKET_STATE and Market.objects.filter(id=command.market_id).exists():
            _, made = MarketStateChange.objects.get_or_create(
                outbox_key=row.key,
                defaults={
                    "market_id": command.market_id, "state": command.state, "reason": REASON,
                    "requested_by": REQUESTED_BY,
                },
            )  # fmt: skip
            self.restored.requests += made

    def _asset(self, settings: AssetSettings) -> None:
        found = Asset.objects.filter(id=settings.asset_id).first()
        if found is None:
            if Asset.objects.filter(code=settings.code).exists():
                raise RestoreRefused(f"asset {settings.code} has another number in this database than in the log")
            Asset.objects.create(
                id=settings.asset_id, code=settings.code, name=settings.code, asset_class=settings.asset_class
            )
            self.restored.assets.append(settings.code)
        elif found.code != settings.code:
            raise RestoreRefused(
                f"asset {settings.asset_id} is {found.code} in this database and {settings.code} in the log: it was"
                " made after the restore. Restore again, and start nothing before this command has ended."
            )

    def _market(self, settings: MarketSettings, row: OutboxRow, *, done: bool) -> None:
        market = Market.objects.filter(id=settings.market_id).first()
        if market is None:
            if not done:
                return  # the engine refused it, so there is no market that a row could belong to
            missing = {settings.base_asset_id, settings.quote_asset_id} - set(
                Asset.objects.filter(id__in=(settings.base_asset_id, settings.quote_asset_id)).values_list(
                    "id", flat=True
                )
            )
            if missing or Market.objects.filter(symbol=settings.symbol).exists():
                raise RestoreRefused(
                    f"market {settings.symbol} of the log cannot be made again: "
                    + (f"assets {sorted(missing)} are missing" if missing else "its symbol is another market's here")
                )
            market = Market.objects.create(id=settings.market_id, shard=self._shard, **mirrored_columns(settings))
            self.restored.markets.append(settings.symbol)
        elif market.symbol != settings.symbol:
            raise RestoreRefused(
                f"market {settings.market_id} is {market.symbol} in this database and {settings.symbol} in the log: it"
                " was made after the restore. Restore again, and start nothing before this command has ended."
            )
        body = settings.plain()
        change, made = MarketSettingsChange.objects.get_or_create(
            market=market,
            settings_version=settings.settings_version,
            defaults={"settings": body, "reason": REASON, "requested_by": REQUESTED_BY, "outbox_key": row.key},
        )
        self.restored.requests += made
        if msgspec.convert(change.settings, MarketSettings) != settings:  # an older release wrote fewer fields
            raise RestoreRefused(
                f"version {settings.settings_version} of the settings of {settings.symbol} is another one in this"
                " database than in the log: it was asked for after the restore. Restore again."
            )


def keep_account_numbers(seen: set[int]) -> list[int]:
    """Of these accounts, those that the database does not know; none of their numbers is given out again."""
    known = set(TradingAccount.objects.filter(id__in=seen).values_list("id", flat=True))
    unknown = sorted(seen - known)
    if unknown:
        table = TradingAccount._meta.db_table
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT setval(s.name, greatest(%s, nextval(s.name)))"
                " FROM (SELECT pg_get_serial_sequence(%s, 'id')::regclass AS name) AS s",
                [unknown[-1], table],
            )
    return unknown
