"""What a record's leaf is: the canonical JSON that is hashed, exported and verified (docs/audit.md, "Format")."""

import json
from collections.abc import Sequence
from typing import Any, Final

from apps.audit.canonical import canonical

VERSION: Final = 1
# Columns of audit_record that make a leaf, in the order in which `leaf` takes them.
COLUMNS: Final = (
    "writer", "number", "at_ms", "role", "actor_kind", "actor_id", "action", "object", "before", "after", "reason",
    "request_id",
)  # fmt: skip
COLUMN_LIST: Final = ", ".join(f"r.{name}" for name in COLUMNS)


def leaf(columns: Sequence[Any]) -> bytes:
    """The bytes of one record's leaf. ValueError where before or after are not JSON, so not what was written."""
    writer, number, at_ms, role, actor_kind, actor_id, action, object_, before, after, reason, request_id = columns
    return canonical_bytes(
        {
            "v": VERSION,
            "writer": writer,
            "number": number,
            "at_ms": at_ms,
            "role": role,
            "actor": {"kind": actor_kind, "id": actor_id},
            "action": action,
            "object": object_,
            "before": _stored(before),
            "after": _stored(after),
            "reason": reason,
            "request_id": request_id,
        }
    )


def canonical_bytes(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _stored(text: str | None) -> Any:
    """The value of a column that record() wrote; ValueError for a text that it would not have written."""
    if text is None:
        return None
    value = json.loads(text)
    if canonical(value) != text:
        raise ValueError("before or after is not canonical")
    return value
