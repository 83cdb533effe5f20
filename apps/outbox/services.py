"""Putting commands into the outbox, and marking their rows when the event is settled."""

import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

import psycopg
from django.conf import settings as django_settings
from django.db import connection, transaction

from apps.outbox.errors import InvalidCommand, InvalidKey, KeyReused
from apps.outbox.models import OutboxRow, OutboxState
from apps.streams.codec import Settings, encode_command, encode_set_allocation, encode_set_asset, encode_set_market
from apps.streams.commands import ControlCommand, Relayed
from apps.streams.kinds import CommandKind, Reason, Source
from apps.streams.messages import AllocationSettings, AssetSettings, MarketSettings, SettingsError
from apps.streams.records import FrameError

KEY_LENGTH_MAX: Final = 64

_ENCODERS: Final[dict[type[Settings], tuple[CommandKind, Callable[..., bytes]]]] = {
    AssetSettings: (CommandKind.SET_ASSET, encode_set_asset),
    MarketSettings: (CommandKind.SET_MARKET, encode_set_market),
    AllocationSettings: (CommandKind.SET_ALLOCATION, encode_set_allocation),
}


def enqueue(*, key: str, command: Relayed, shard: str | None = None) -> OutboxRow:
    """Add `command` to the outbox within the caller's transaction; the relay fills in relay_seq and source.

    The same key with the same command returns the first row; with another command: KeyReused. Must be called inside
    transaction.atomic(), together with the business row that it belongs to.
    """
    _check_key(key)
    if not isinstance(command, Relayed) or isinstance(command, ControlCommand):
        raise InvalidCommand(f"{type(command).__name__} does not travel through enqueue().")
    try:
        frames = encode_command(replace(command, relay_seq=0, source=Source.DIRECT))
    except (FrameError, UnicodeEncodeError, struct.error) as error:
        raise InvalidCommand(f"The command does not fit its record: {error}.") from error
    return _add(key=key, kind=command.KIND, frames=frames, shard=shard)


def enqueue_settings(*, key: str, settings: Settings, shard: str | None = None) -> OutboxRow:
    """Add a command with a settings body; what no engine would accept is refused here (InvalidCommand)."""
    _check_key(key)
    try:
        settings.check()
        kind, encode = _ENCODERS[type(settings)]
        frames = encode(settings, relay_seq=0, source=Source.DIRECT)
    except (SettingsError, FrameError) as error:
        raise InvalidCommand(f"Settings refused: {error}.") from error
    return _add(key=key, kind=kind, frames=frames, shard=shard)


def _check_key(key: str) -> None:
    if not 0 < len(key) <= KEY_LENGTH_MAX or not key.isascii() or not key.isprintable():
        raise InvalidKey(f"A business key has 1 to {KEY_LENGTH_MAX} printable ASCII characters, not {key!r}.")


def _add(*, key: str, kind: CommandKind, frames: bytes, shard: str | None) -> OutboxRow:
    if not connection.in_atomic_block:
        raise transaction.TransactionManagementError(
            "An outbox row is written together with its business row: call this inside transaction.atomic()."
        )
    shard = shard or django_settings.SHARD
    row, created = OutboxRow.objects.get_or_create(
        key=key, defaults={"shard": shard, "source": Source.OUTBOX, "kind": kind, "frames": frames}
    )
    if not created and (row.shard != shard or bytes(row.frames) != frames):
        raise KeyReused(f"The key {key} already stands for another command.")
    return row


class Outcome(NamedTuple):
    """What the engine said to one relayed command: its CommandKind, the event seq, Reason.NONE where it was done."""

    source: int
    relay_seq: int
    kind: int
    event_seq: int
    reason: int


_SETTLE: Final = """
UPDATE outbox_outboxrow
   SET state = CASE (%(reasons)s::smallint[])[relay_seq - %(before)s] WHEN %(none)s THEN %(done)s ELSE %(refused)s END,
       reason = (%(reasons)s::smallint[])[relay_seq - %(before)s],
       event_seq = (%(events)s::bigint[])[relay_seq - %(before)s], settled_at = now()
 WHERE shard = %(shard)s AND source = %(source)s AND relay_seq > %(before)s AND relay_seq <= %(last)s
   AND state = %(waiting)s AND kind = (%(kinds)s::smallint[])[relay_seq - %(before)s]
"""


def settle_rows(*, cursor: psycopg.Cursor, shard: str, outcomes: Sequence[Outcome]) -> int:
    """Mark the rows of settled events, inside settlement's own transaction; returns how many rows were marked.

    Only waiting rows of the answered kind are touched. Fewer rows than outcomes means that the log holds relayed
    commands this database has never numbered: the caller must stop. Numbers are dense, so that one statement marks a
    whole run of them.
    """
    marked = 0
    for run in _runs(sorted(outcomes)):
        first, last = run[0], run[-1]
        cursor.execute(
            _SETTLE,
            {
                "kinds": [int(outcome.kind) for outcome in run],
                "reasons": [int(outcome.reason) for outcome in run], "events": [outcome.event_seq for outcome in run],
                "before": first.relay_seq - 1, "last": last.relay_seq, "shard": shard, "source": first.source,
                "none": int(Reason.NONE), "done": OutboxState.DONE.value, "refused": OutboxState.REFUSED.value,
                "waiting": OutboxState.WAITING.value,
            },
        )  # fmt: skip
        marked += cursor.rowcount
    return marked


def _runs(outcomes: Sequence[Outcome]) -> Iterator[list[Outcome]]:
    """Stretches of one source with consecutive numbers."""
    run: list[Outcome] = []
    for outcome in outcomes:
        if run and (outcome.source, outcome.relay_seq) != (run[-1].source, run[-1].relay_seq + 1):
            yield run
            run = []
        run.append(outcome)
    if run:
        yield run
