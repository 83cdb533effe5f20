"""Is the stored log what was written? Every record, entry, node and checkpoint, from the first to the last.

Everything is computed anew from the records and compared with what is stored; the newest checkpoint must sign what is
there, and so must any checkpoint that was kept outside. The first damage ends it and is named by its row.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import psycopg

from apps.audit.entries import COLUMN_LIST, leaf
from apps.audit.errors import KeyNotGiven, LogDamaged, NotACheckpoint
from apps.audit.notes import Checkpoint, VerifierKey, read, read_verifier_key, verify
from apps.audit.numbers import Numbers
from apps.audit.tree import CHAIN_START, EMPTY_ROOT, Peak, append, chain_hash, fold, leaf_hash

FETCH_ROWS: Final = 5_000
_SNAPSHOT: Final = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"
_ENTRIES: Final = f"""
SELECT e.index, e.record_id, e.chain, r.id, {COLUMN_LIST}, n.hash
  FROM audit_entry AS e
  LEFT JOIN audit_record AS r ON r.id = e.record_id
  LEFT JOIN audit_node AS n ON n.level = 0 AND n.position = e.index
 ORDER BY e.index
"""  # noqa: S608  # names of our own columns
_NODES: Final = "SELECT level, position, hash FROM audit_node WHERE level > 0 ORDER BY (position + 1) << level, level"
_CHECKPOINTS: Final = "SELECT size, root, key, note FROM audit_checkpoint ORDER BY size"
_KEYS: Final = """
SELECT e.index, r.after FROM audit_entry AS e JOIN audit_record AS r ON r.id = e.record_id WHERE r.action = 'audit.key'
"""
_LEFT_OUT: Final = """
SELECT r.id, r.writer, r.number FROM audit_record AS r
  LEFT JOIN audit_entry AS e ON e.record_id = r.id
  LEFT JOIN audit_progress AS p ON p.writer = r.writer
 WHERE e.index IS NULL AND r.number <= coalesce(p.number, 0) ORDER BY r.id LIMIT 1
"""
_COUNTERS: Final = """
SELECT coalesce(w.id, p.writer), coalesce(w.last_number, -1), coalesce(p.number, 0),
       (SELECT count(*) FROM audit_record AS r
         WHERE r.writer = coalesce(w.id, p.writer) AND r.number > coalesce(p.number, 0)),
       (SELECT coalesce(max(r.number), 0) FROM audit_record AS r WHERE r.writer = coalesce(w.id, p.writer))
  FROM audit_writer AS w FULL JOIN audit_progress AS p ON p.writer = w.id ORDER BY 1
"""


@dataclass(frozen=True, slots=True)
class Verified:
    """`pending` records are not in the tree yet; `gaps` are incidents that the log itself tells of; `keys` are the
    verifier keys that signed the checkpoints, in the order of their first ones."""

    size: int
    root: bytes
    checkpoints: int
    pending: int
    gaps: int
    keys: tuple[str, ...]


def verify_log(
    connection: psycopg.Connection[Any],
    *,
    outside: str | None = None,
    keys: Sequence[VerifierKey] = (),
    progress: Callable[[int], None] = lambda _: None,
) -> Verified:
    """Raises LogDamaged, which names the first damaged row, NotACheckpoint for an `outside` that is none, and
    KeyNotGiven for a checkpoint that another key than `keys` signs.

    `outside` is a checkpoint (a signed note) that was kept elsewhere. Without `keys` every key that the log itself
    names is trusted, which proves that the log fits together, but not whose it is. The connection must be in no
    transaction.
    """
    kept = _kept(outside, keys)
    with connection.transaction():
        connection.execute(_SNAPSHOT)
        return _Verification(connection, kept, keys, progress).run()


@dataclass(frozen=True, slots=True)
class _Kept:
    note: str
    checkpoint: Checkpoint


def _kept(outside: str | None, keys: Sequence[VerifierKey]) -> _Kept | None:
    if outside is None:
        return None
    kept = _Kept(outside, read(outside))
    if keys and not any(_signed_by(outside, key) for key in keys):
        raise NotACheckpoint("The given checkpoint is not signed by a key that was given with it.")
    return kept


class _Verification:
    def __init__(
        self,
        connection: psycopg.Connection[Any],
        kept: _Kept | None,
        keys: Sequence[VerifierKey],
        progress: Callable[[int], None],
    ) -> None:
        self._connection = connection
        self._kept = kept
        self._trusted = {key.text for key in keys}
        self._signers: dict[str, None] = {}
        self._progress = progress
        self._keys: dict[str, VerifierKey] = {}
        # Entries name the keys; that these entries are what was written is found on the way.
        for index, after in connection.execute(_KEYS).fetchall():
            try:
                found = read_verifier_key(json.loads(after)["verifier"])
            except (ValueError, KeyError, TypeError, RecursionError, NotACheckpoint) as error:
                raise LogDamaged(f"entry {index}: it does not name a key any more.") from error
            self._keys[found.text] = found
        # Numbers of each writer that are in the tree, or that an entry says were removed.
        self._numbers: dict[int, Numbers] = {}
        self._gaps = 0
        self._checkpoints = 0
        self._last_signed = 0

    def run(self) -> Verified:
        checkpoints = self._rows("checkpoints", _CHECKPOINTS)
        nodes = self._rows("nodes", _NODES)
        size, chain, peaks = 0, CHAIN_START, list[Peak]()
        signed = next(checkpoints, None)
        for index, record_id, stored_chain, found_id, *columns, stored_leaf in self._rows("entries", _ENTRIES):
            if index != size:
                raise LogDamaged(f"entry {size}: it is missing; the next one is entry {index}.")
            if found_id is None:
                raise LogDamaged(f"entry {index}: its record {record_id} is missing.")
            hashed = leaf_hash(leaf(columns))
            if stored_leaf is None or bytes(stored_leaf) != hashed:
                raise LogDamaged(f"entry {index}: record {record_id} is not what was put into the tree.")
            chain = chain_hash(chain, hashed)
            if bytes(stored_chain) != chain:
                raise LogDamaged(f"entry {index}: its chain value does not follow from the entries before it.")
            for wanted in append(peaks, index, hashed)[1:]:
                _compare_node(next(nodes, None), wanted)
            self._note(index, columns)
            size += 1
            if signed is not None and signed[0] == size:
                self._check_signed(signed, _root(peaks))
                signed = next(checkpoints, None)
            if self._kept is not None and self._kept.checkpoint.size == size:
                self._check_kept(_root(peaks))
            if size % FETCH_ROWS == 0:
                self._progress(size)
        self._check_end(size, signed, next(nodes, None))
        pending = self._check_counters()
        return Verified(size, _root(peaks), self._checkpoints, pending, self._gaps, tuple(self._signers))

    def _check_end(self, size: int, signed: Sequence[Any] | None, node: Sequence[Any] | None) -> None:
        """The log is as long as its newest checkpoint and any that was kept outside say, and not longer."""
        if signed is not None:
            raise LogDamaged(
                f"entry {size}: the log ends before it, but checkpoint {signed[0]} signs {signed[0]} entries."
            )
        if self._last_signed != size:
            raise LogDamaged(f"entry {self._last_signed}: no checkpoint signs it nor what follows.")
        if node is not None:
            raise LogDamaged(f"node {node[0]}/{node[1]}: it belongs to no entry.")
        if self._kept is None:
            return
        kept = self._kept.checkpoint
        if kept.size > size:
            raise LogDamaged(
                f"entry {size}: the log ends before it, but the given checkpoint signs {kept.size} entries."
            )
        if kept.size == 0 and kept.root != EMPTY_ROOT:
            raise LogDamaged("The given checkpoint of an empty log has another root than an empty log.")

    def _note(self, index: int, columns: Sequence[Any]) -> None:
        """What later checks need: numbers of writers, and gaps that the log tells of."""
        writer, number, action, object_, after = columns[0], columns[1], columns[6], columns[7], columns[9]
        self._add_numbers(index, writer, number, number)
        if action == "audit.gap":
            self._gaps += 1
            self._add_numbers(index, *_gap(index, object_, after))

    def _add_numbers(self, index: int, writer: int, first: int, last: int) -> None:
        if not self._numbers.setdefault(writer, Numbers()).add(first, last):
            which = f"number {first}" if first == last else f"one of the numbers {first} to {last}"
            raise LogDamaged(f"entry {index}: {which} of writer {writer} is in the log twice.")

    def _check_signed(self, signed: Sequence[Any], root: bytes) -> None:
        size, stored_root, key, note = signed
        known = self._keys.get(key)
        if known is None:
            raise LogDamaged(f"checkpoint {size}: no entry names the key that it is said to be signed with.")
        if self._trusted and key not in self._trusted:
            raise KeyNotGiven(
                f"Checkpoint {size} is signed with {key}, which was not given. If the operator announced this key, give"
                " it as one more --key; if not, the log is not what it was."
            )
        self._signers[key] = None
        try:
            found = verify(note, known)
        except NotACheckpoint as error:
            raise LogDamaged(f"checkpoint {size}: {error.message}") from error
        if (found.size, found.root, bytes(stored_root)) != (size, root, root):
            raise LogDamaged(f"checkpoint {size}: it signs another tree than that of the first {size} entries.")
        self._checkpoints += 1
        self._last_signed = size

    def _check_kept(self, root: bytes) -> None:
        assert self._kept is not None
        kept = self._kept.checkpoint
        if not self._trusted and not any(_signed_by(self._kept.note, key) for key in self._keys.values()):
            raise NotACheckpoint("The given checkpoint is not signed by a key that the log names.")
        if kept.root != root:
            raise LogDamaged(
                f"entry {kept.size - 1} or one before it: the given checkpoint of {kept.size} entries signs"
                " another tree."
            )

    def _check_counters(self) -> int:
        """How many records are pending. LogDamaged for a gap that no entry tells of."""
        left_out = self._connection.execute(_LEFT_OUT).fetchone()
        if left_out is not None:
            raise LogDamaged(
                f"record {left_out[0]}: number {left_out[2]} of writer {left_out[1]} counts as sequenced, but has"
                " no entry."
            )
        pending = 0
        for writer, counted, sequenced, waiting, last in self._connection.execute(_COUNTERS).fetchall():
            if counted < max(sequenced, last):
                raise LogDamaged(
                    f"writer {writer}: its counter is at {counted}, but it has made {max(sequenced, last)} records."
                )
            seen = self._numbers.get(writer, Numbers())
            if seen.last > sequenced:
                raise LogDamaged(
                    f"writer {writer}: it counts as sequenced up to number {sequenced}, but number {seen.last} is in"
                    " the tree."
                )
            if (missing := seen.first_missing) <= sequenced:
                raise LogDamaged(f"record {missing} of writer {writer}: it counts as sequenced, but is in no entry.")
            if counted - sequenced != waiting:
                raise LogDamaged(
                    f"writer {writer}: {counted - sequenced} records are pending after number {sequenced}, but"
                    f" {waiting} are there. The others were removed."
                )
            pending += waiting
        return pending

    def _rows(self, name: str, query: str) -> Iterator[Sequence[Any]]:
        with self._connection.cursor(name=f"audit_{name}") as cursor:
            cursor.itersize = FETCH_ROWS
            cursor.execute(query)
            yield from cursor


def _gap(index: int, object_: str, after: str | None) -> tuple[int, int, int]:
    """Writer, first and last number that an entry audit.gap says were removed."""
    try:
        removed = json.loads(after or "")
        writer, first, last = int(object_.removeprefix("writer:")), int(removed["first"]), int(removed["last"])
        if not 0 < first <= last:
            raise ValueError("not in order")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise LogDamaged(f"entry {index}: it names no gap.") from error
    return writer, first, last


def _root(peaks: Sequence[Peak]) -> bytes:
    return fold([peak.hash for peak in peaks])


def _compare_node(stored: Sequence[Any] | None, wanted: tuple[int, int, bytes]) -> None:
    level, position, hashed = wanted
    if stored is None or (stored[0], stored[1]) != (level, position):
        raise LogDamaged(f"node {level}/{position}: it is missing from the tree.")
    if bytes(stored[2]) != hashed:
        raise LogDamaged(f"node {level}/{position}: its hash does not follow from the entries.")


def _signed_by(note: str, key: VerifierKey) -> bool:
    try:
        verify(note, key)
    except NotACheckpoint:
        return False
    return True
