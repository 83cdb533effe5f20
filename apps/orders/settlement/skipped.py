"""INTERNAL_REJECT: what the matching worker decided not to apply becomes entries of the audit log.

The worker has a connection to redis-core only, so settlement records it, in the transaction that moves the watermark:
once for each skip, and again after a restore that took the entry away.
"""

from typing import Any, Final

import psycopg

from apps.audit import actors
from apps.audit.services import INSERT, row
from apps.orders.settlement.columns import Batch
from apps.streams.kinds import CommandKind, EventKind, Reason

# Who decided: the process, whichever worker held the lease.
_WORKER: Final = actors.process("matching")


def audit(cursor: psycopg.Cursor[Any], shard: str, batch: Batch) -> None:
    """One entry for each command at which the engine failed; of new orders that waited too long at a takeover, which
    may be thousands, one for those of the batch.
    """
    skips = batch.records(EventKind.INTERNAL_REJECT)
    entries = [
        _entry("engine.command-skipped", f"command:{shard}/{_id(skip)}", _command(skip))
        for skip in skips
        if skip.reason != Reason.ENGINE_RESTARTED
    ]
    late = [skip for skip in skips if skip.reason == Reason.ENGINE_RESTARTED]
    if late:
        told = {"count": len(late), "first": _id(late[0]), "last": _id(late[-1])}
        entries.append(_entry("engine.orders-too-late", f"shard:{shard}", told))
    if entries:
        cursor.executemany(INSERT, entries)


def _entry(action: str, object_: str, after: dict[str, Any]) -> list[str | None]:
    return row(actor=_WORKER, action=action, object=object_, before=None, after=after, reason="", request_id="")


def _id(skip: Any) -> str:
    """As logs and the skips of redis-core name a command."""
    return f"{skip.cmd_ms}-{skip.cmd_n}-{skip.cmd_index}"


def _command(skip: Any) -> dict[str, Any]:
    """Numbers as texts, as an account's has 64 bits and the log takes 53; none where it is 0."""
    named = {"market": skip.market_id, "account": skip.account_id, "relay_seq": skip.relay_seq}
    told = {name: str(value) for name, value in named.items() if value}
    return {"kind": CommandKind(skip.op).name, "event": str(skip.seq), **told}
