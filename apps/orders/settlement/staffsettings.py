"""SETTINGS_APPLIED: markets, assets, accounts and allocation rules take what the engine took (decision 0007).

Most events say themselves what is in force now. The body of a settings command is in its outbox row, which never
changes; a command that came past the outbox is not mirrored.
"""

from collections.abc import Sequence
from typing import Any, Final

import psycopg

from apps.accounts.services.mirror import Taken, mirror_accounts, mirror_allocation
from apps.markets.services.mirror import mirror_asset, mirror_settings, record_moved
from apps.orders.settlement.columns import Batch
from apps.streams.codec import decode_settings
from apps.streams.kinds import CommandKind, EventKind, HaltCause
from apps.streams.messages import AllocationSettings, AssetSettings

_FRAMES: Final = "SELECT frames FROM outbox_outboxrow WHERE shard = %s AND source = %s AND relay_seq = %s"


def mirror(cursor: psycopg.Cursor[Any], shard: str, batch: Batch) -> None:
    """Ascending by seq, so that the last one stays."""
    accounts = []
    for event in batch.records(EventKind.SETTINGS_APPLIED):
        if event.op == CommandKind.SET_MARKET:
            mirror_settings(cursor, market_id=event.object_id, settings_version=event.settings_version)
        elif event.op in (CommandKind.SET_ASSET, CommandKind.SET_ALLOCATION):
            _mirror_body(cursor, shard, event)
        elif event.op == CommandKind.SET_ACCOUNT:
            accounts.append(Taken(event.object_id, event.family_id, event.fee_tier, event.seq))
        elif event.op == CommandKind.SET_CLASS_STATE:
            record_moved(
                cursor, shard=shard, source=event.source, relay_seq=event.relay_seq, market_ids=_moved(batch, event)
            )
    mirror_accounts(cursor, shard=shard, taken=accounts)


def _mirror_body(cursor: psycopg.Cursor[Any], shard: str, event: Any) -> None:
    row = cursor.execute(_FRAMES, [shard, event.source, event.relay_seq]).fetchone()
    settings = decode_settings(row[0]) if row else None
    if isinstance(settings, AssetSettings):
        mirror_asset(cursor, settings=settings)
    elif isinstance(settings, AllocationSettings):
        mirror_allocation(cursor, shard=shard, settings=settings, seq=event.seq)


def _moved(batch: Batch, event: Any) -> Sequence[int]:
    """The markets that the command moved: events of an entry are never divided, so all of them are in the batch.

    What a timer moved came before; what a reopened market's own orders brought about has another cause.
    """
    return [
        each.market_id
        for each in batch.records(EventKind.MARKET_STATE_CHANGED)
        if (each.cmd_ms, each.cmd_n, each.cmd_index) == (event.cmd_ms, event.cmd_n, event.cmd_index)
        and each.seq > event.seq
        and each.cause == HaltCause.STAFF
    ]
