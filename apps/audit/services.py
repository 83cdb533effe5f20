"""Recording what was done. Callers are in a transaction with what they do; the sequencer puts the rows in the tree."""

from typing import Any, Final

from django.db import connection, transaction

from apps.audit import actors
from apps.audit.actions import ACTIONS, COUNTED, OWN_ACTIONS
from apps.audit.actors import Actor
from apps.audit.canonical import canonical
from apps.audit.errors import InvalidEntry
from apps.audit.policy import (
    ACTOR_ID_LENGTH_MAX,
    OBJECT_LENGTH_MAX,
    REASON_LENGTH_MAX,
    REQUEST_ID_LENGTH_MAX,
    STATE_BYTES_MAX,
)
from apps.web import requests

# The trigger fills in writer, number, at_ms and role. Nothing is returned: who only writes needs no right to read.
INSERT: Final = """
INSERT INTO audit_record
       (actor_kind, actor_id, action, object, before, after, reason, request_id, writer, number, at_ms, role)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, 0, 0, 0, '')
"""


def record(
    *,
    actor: Actor,
    action: str,
    object: str,
    before: Any = None,
    after: Any = None,
    reason: str = "",
    request_id: str = "",
) -> None:
    """Write one pending row, which stays exactly if the caller's transaction does (call inside atomic()).

    `action` is of actions.ACTIONS, `object` names what was acted on, as kind:id ("market:BTCUSDT", "user:17"). before
    and after are what changed, of strings, whole numbers, lists and dicts; money is a string of an integer, and no
    secret ever stands in them. `request_id` is the request's at work unless given. Raises InvalidEntry, and what
    actors.while_there raises for staff whose session is over.
    """
    if not connection.in_atomic_block:
        raise transaction.TransactionManagementError(
            "An audit record is written together with what it records: call this inside transaction.atomic()."
        )
    if action.startswith(OWN_ACTIONS):
        raise InvalidEntry(f"{action!r} is what the log says of itself: only the sequencer writes it.")
    values = row(
        actor=actor,
        action=action,
        object=object,
        before=before,
        after=after,
        reason=reason,
        request_id=request_id or requests.request_id(),
    )
    with connection.cursor() as cursor:
        cursor.execute(INSERT, values)
    # After what may have waited: the less stands between this question and the commit, the better.
    actors.check_still_there()


def count(*, action: str, object: str) -> None:
    """Count one more of what a flood could fill the log with; the log gets one record for each minute that had any.

    Outside of a transaction: in one, the row of the minute would be locked until its end.
    """
    if action not in COUNTED:
        raise InvalidEntry(f"{action!r} is not counted, but recorded (apps/audit/actions.py).")
    if not 0 < len(object) <= OBJECT_LENGTH_MAX:
        raise InvalidEntry(f"The object has 1 to {OBJECT_LENGTH_MAX} characters, not {len(object)}.")
    with connection.cursor() as cursor:
        cursor.execute("SELECT audit_count(%s, %s)", [action, object])


def row(
    *, actor: Actor, action: str, object: str, before: Any, after: Any, reason: str, request_id: str
) -> list[str | None]:
    """Parameters of INSERT. InvalidEntry for what cannot stand in the log."""
    _check_action(action)
    for name, text, length in (
        ("The actor's id", actor.id, ACTOR_ID_LENGTH_MAX),
        ("The object", object, OBJECT_LENGTH_MAX),
    ):
        if not 0 < len(text) <= length:
            raise InvalidEntry(f"{name} has 1 to {length} characters, not {len(text)}.")
    for name, text, length in (
        ("The reason", reason, REASON_LENGTH_MAX),
        ("The request id", request_id, REQUEST_ID_LENGTH_MAX),
    ):
        if len(text) > length:
            raise InvalidEntry(f"{name} has at most {length} characters, not {len(text)}.")
    canonical([actor.id, object, reason, request_id])
    return [
        actor.kind.value, actor.id, action, object, _state("before", before), _state("after", after), reason,
        request_id,
    ]  # fmt: skip


def _state(name: str, value: Any) -> str | None:
    if value is None:
        return None
    text = canonical(value)
    if len(text.encode()) > STATE_BYTES_MAX:
        raise InvalidEntry(f"'{name}' has more than {STATE_BYTES_MAX} bytes.")
    return text


def _check_action(action: str) -> None:
    if action not in ACTIONS:
        raise InvalidEntry(f"The audit log knows no action {action!r}: add it to apps/audit/actions.py.")
