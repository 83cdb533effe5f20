"""What a record's leaf is: the canonical JSON that is hashed, exported and verified (docs/audit.md, "Format")."""

import json
import re
from collections.abc import Sequence
from typing import Any, Final

from apps.audit.canonical import canonical_form
from apps.audit.errors import InvalidEntry
from apps.audit.policy import DEPTH_MAX

VERSION: Final = 1
# Columns of audit_record that make a leaf, in the order in which `leaf` takes them.
COLUMNS: Final = (
    "writer", "number", "at_ms", "role", "actor_kind", "actor_id", "action", "object", "before", "after", "reason",
    "request_id",
)  # fmt: skip
_TOKENS: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)
COLUMN_LIST: Final = ", ".join(f"r.{name}" for name in COLUMNS)


def entry(columns: Sequence[Any]) -> dict[str, Any]:
    """What is hashed of a record. Total: whatever stands in the columns has an entry of its own.

    A before or after that is not canonical JSON, which record() never writes, is taken as a text as it stands, and
    "malformed" names it. Only the form is judged, never what may be recorded: that may change, and entries stay.
    """
    writer, number, at_ms, role, actor_kind, actor_id, action, object_, before, after, reason, request_id = columns
    made = {
        "v": VERSION,
        "writer": writer,
        "number": number,
        "at_ms": at_ms,
        "role": role,
        "actor": {"kind": actor_kind, "id": actor_id},
        "action": action,
        "object": object_,
        "before": before,
        "after": after,
        "reason": reason,
        "request_id": request_id,
    }
    malformed = []
    for name, text in (("before", before), ("after", after)):
        if text is not None:
            try:
                made[name] = _value(text)
            except (ValueError, InvalidEntry):
                malformed.append(name)
    return made | ({"malformed": malformed} if malformed else {})


def leaf(columns: Sequence[Any]) -> bytes:
    """The bytes of one record's leaf."""
    return canonical_bytes(entry(columns))


def canonical_bytes(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _value(text: str) -> Any:
    """ValueError or InvalidEntry for a text that is not canonical."""
    if _depth(text) > DEPTH_MAX:
        raise ValueError("nested too deep")
    value = json.loads(text)
    if canonical_form(value) != text:
        raise ValueError("not canonical")
    return value


def _depth(text: str) -> int:
    """How deep it is nested at most, so that no text brings the parser to its limit, which is the machine's."""
    depth = deepest = 0
    if text.count("[") + text.count("{") > DEPTH_MAX:
        for token in _TOKENS.finditer(text):
            if token[0] in "[{":
                depth += 1
                deepest = max(deepest, depth)
            elif token[0] in "]}":
                depth -= 1
    return deepest
