"""Reading the log: the newest checkpoint, proofs, and where an entry stands."""

from dataclasses import dataclass
from typing import Final

from django.db import connection

from apps.audit.errors import NoSuchProof
from apps.audit.models import Checkpoint, Entry
from apps.audit.tree import Range, consistency_ranges, fold, inclusion_ranges, nodes_of

_NODES: Final = """
SELECT n.level, n.position, n.hash
  FROM unnest(%s::smallint[], %s::bigint[]) AS wanted (level, position)
  JOIN audit_node AS n ON n.level = wanted.level AND n.position = wanted.position
"""


@dataclass(frozen=True, slots=True)
class Inclusion:
    """Entry `index` is in the tree of `size` entries: `leaf` and `hashes` lead to `root` (RFC 9162, 2.1.3)."""

    index: int
    size: int
    leaf: bytes
    hashes: tuple[bytes, ...]
    root: bytes


@dataclass(frozen=True, slots=True)
class Consistency:
    """The tree of `old` entries is the beginning of that of `size` entries (RFC 9162, 2.1.4)."""

    old: int
    size: int
    old_root: bytes
    hashes: tuple[bytes, ...]
    root: bytes


def newest_checkpoint() -> Checkpoint | None:
    return Checkpoint.objects.order_by("-size").first()


def log_size() -> int:
    """Entries in the tree; the newest checkpoint signs all of them."""
    newest = Checkpoint.objects.order_by("-size").values_list("size", flat=True).first()
    return newest or 0


def checkpoint_over(entry: Entry) -> Checkpoint | None:
    """The first checkpoint that signs a tree with this entry."""
    return Checkpoint.objects.filter(size__gt=entry.index).order_by("size").first()


def inclusion_proof(*, index: int, size: int) -> Inclusion:
    """NoSuchProof unless 0 <= index < size <= entries of the log."""
    entries = log_size()
    if not 0 < size <= entries:
        raise NoSuchProof(f"'size' must be from 1 to {entries}, the number of entries, not {size}.")
    if not 0 <= index < size:
        raise NoSuchProof(f"'index' must be from 0 to {size - 1}, below 'size', not {index}.")
    ranges = inclusion_ranges(index, size)
    leaf, root, *hashes = _hashes([(index, index + 1), (0, size), *ranges])
    return Inclusion(index, size, leaf, tuple(hashes), root)


def consistency_proof(*, old: int, size: int) -> Consistency:
    """NoSuchProof unless 1 <= old <= size <= entries of the log."""
    entries = log_size()
    if not 0 < size <= entries:
        raise NoSuchProof(f"'to' must be from 1 to {entries}, the number of entries, not {size}.")
    if not 0 < old <= size:
        raise NoSuchProof(f"'from' must be from 1 to 'to', which is {size}, not {old}.")
    old_root, root, *hashes = _hashes([(0, old), (0, size), *consistency_ranges(old, size)])
    return Consistency(old, size, old_root, tuple(hashes), root)


def _hashes(ranges: list[Range]) -> list[bytes]:
    """The hash of each range, from one query for at most some hundred complete subtrees."""
    wanted = sorted({node for each in ranges for node in nodes_of(each)})
    with connection.cursor() as cursor:
        cursor.execute(_NODES, [[level for level, _ in wanted], [position for _, position in wanted]])
        found = {(level, position): bytes(hashed) for level, position, hashed in cursor.fetchall()}
    missing = [node for node in wanted if node not in found]
    if missing:
        raise NoSuchProof(f"The log is damaged: the node {missing[0][0]}/{missing[0][1]} of its tree is missing.")
    return [fold([found[node] for node in nodes_of(each)]) for each in ranges]
