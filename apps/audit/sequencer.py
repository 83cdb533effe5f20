"""Puts records into the tree: index, chain, nodes, checkpoint. One at a time in a database, on a connection of its own.

Everything of a step is one transaction, so a kill at any moment leaves a whole step or none of it, and the newest
checkpoint always signs exactly the entries that are there. The advisory lock belongs to the same connection as the
transactions: who loses the one cannot commit the other.

What a writer counted and what is there are read in one statement, so by one snapshot: a record that is missing below
its writer's counter was removed. That is an incident, which becomes an entry of its own; the log goes on behind it.

Rows can be forged by whoever can write SQL. So the log is gone on with only where the note of the newest checkpoint is
signed by a key of ours and signs what is there, and where that contains the last checkpoint that was signed here.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import psycopg
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from apps.audit import actors
from apps.audit.canonical import canonical
from apps.audit.entries import COLUMN_LIST, canonical_bytes, entry
from apps.audit.errors import LogDamaged, NotACheckpoint
from apps.audit.keptcheckpoint import KeptCheckpoint
from apps.audit.notes import Checkpoint, VerifierKey, is_name, read, sign, verifier_key, verify
from apps.audit.policy import RECORDS_PER_STEP, SEQUENCER_LOCK
from apps.audit.services import INSERT
from apps.audit.tree import CHAIN_START, EMPTY_ROOT, Peak, append, chain_hash, fold, leaf_hash, nodes_of
from apps.common.clock import now_ms
from apps.common.crashpoints import reach

log = structlog.get_logger(__name__)

_LOCK: Final = "SELECT pg_try_advisory_lock(%s)"
_LAST_ENTRY: Final = "SELECT index, chain FROM audit_entry ORDER BY index DESC LIMIT 1"
_LAST_CHECKPOINT: Final = "SELECT size, root, key, note FROM audit_checkpoint ORDER BY size DESC LIMIT 1"
_NODE: Final = "SELECT hash FROM audit_node WHERE level = %s AND position = %s"
# One statement, so one snapshot: counters, progress and records fit together.
_PENDING: Final = f"""
SELECT w.id, w.last_number, coalesce(p.number, 0), r.id, {COLUMN_LIST}
  FROM audit_writer AS w
  LEFT JOIN audit_progress AS p ON p.writer = w.id
  LEFT JOIN LATERAL (SELECT * FROM audit_record AS found
                      WHERE found.writer = w.id AND found.number > coalesce(p.number, 0)
                      ORDER BY found.number LIMIT %s) AS r ON true
 WHERE w.last_number <> coalesce(p.number, 0)
 ORDER BY r.id
"""  # noqa: S608  # names of our own columns
_TALLIES: Final = """
DELETE FROM audit_tally WHERE minute < floor(extract(epoch FROM now()) / 60)
RETURNING action, object, minute, count
"""
_ENTRIES: Final = """
INSERT INTO audit_entry (index, record_id, chain) SELECT * FROM unnest(%s::bigint[], %s::bigint[], %s::bytea[])
"""
_NODES: Final = """
INSERT INTO audit_node (level, position, hash) SELECT * FROM unnest(%s::smallint[], %s::bigint[], %s::bytea[])
"""
_CHECKPOINT: Final = "INSERT INTO audit_checkpoint (size, root, made_at_ms, key, note) VALUES (%s, %s, %s, %s, %s)"
_PROGRESS: Final = """
INSERT INTO audit_progress (writer, number) SELECT * FROM unnest(%s::bigint[], %s::bigint[])
    ON CONFLICT (writer) DO UPDATE SET number = EXCLUDED.number
"""
_OLDEST: Final = """
SELECT coalesce(min(r.at_ms), 0)
  FROM audit_writer AS w
  LEFT JOIN audit_progress AS p ON p.writer = w.id
  JOIN LATERAL (SELECT at_ms FROM audit_record AS found
                 WHERE found.writer = w.id AND found.number > coalesce(p.number, 0)
                 ORDER BY found.number LIMIT 1) AS r ON true
 WHERE w.last_number <> coalesce(p.number, 0)
"""


@dataclass(frozen=True, slots=True)
class Head:
    """Where the log ends. `key` signed its last checkpoint, empty where there is none."""

    size: int
    chain: bytes
    peaks: tuple[Peak, ...]
    key: str


@dataclass(frozen=True, slots=True)
class Gap:
    """Records `first` to `last` of a writer, which it counted and which are not there."""

    writer: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Step:
    """What one transaction did. `more`: a writer has records beyond those of this step; `malformed`: ids of records
    whose before or after is not what record() writes."""

    sequenced: int = 0
    gaps: tuple[Gap, ...] = ()
    malformed: tuple[int, ...] = ()
    more: bool = False


@dataclass(slots=True)
class _Found:
    """Pending rows of one writer: its counter, what was sequenced of it, and the numbers that are there."""

    counted: int
    done: int
    numbers: list[int] = field(default_factory=list)

    def reaches(self, limit: int) -> int:
        """Up to which number this step settles what happened to the records."""
        return self.numbers[-1] if len(self.numbers) >= limit else max(self.counted, self.done)

    def gaps(self, writer: int, limit: int) -> Iterable[Gap]:
        expected = self.done + 1
        for number in [*self.numbers, self.reaches(limit) + 1]:
            if number > expected:
                yield Gap(writer, expected, number - 1)
            expected = number + 1


class Sequencer:
    """Not thread-safe. `load` after `acquire`, and again after any error, before `step`."""

    def __init__(
        self,
        connection: psycopg.Connection[Any],
        *,
        key: Ed25519PrivateKey,
        origin: str,
        kept: KeptCheckpoint,
        previous: Sequence[VerifierKey] = (),
        records_per_step: int = RECORDS_PER_STEP,
    ) -> None:
        """`previous` are keys that signed before `key`: a log that one of them signed last is gone on with."""
        self.connection = connection
        self._key = key
        self._origin = origin
        self._own = verifier_key(origin, key)
        self._verifier = self._own.text
        self._kept = kept
        self._previous = tuple(previous)
        self._limit = records_per_step
        self._head: Head | None = None
        self._counters_back: set[tuple[int, int]] = set()

    @property
    def size(self) -> int:
        return self._head.size if self._head is not None else 0

    def acquire(self) -> bool:
        """Become the sequencer of this database; False while another process is."""
        row = self.connection.execute(_LOCK, [SEQUENCER_LOCK]).fetchone()
        return bool(row and row[0])

    def load(self) -> None:
        """Read where the log ends. LogDamaged where its entries are not what its newest checkpoint signed, or where
        that is not a checkpoint of ours, or does not contain the last one that was signed here."""
        self._head = None
        kept_note = self._kept.read()
        with self.connection.transaction():
            entry = self.connection.execute(_LAST_ENTRY).fetchone()
            checkpoint = self.connection.execute(_LAST_CHECKPOINT).fetchone()
            size = int(entry[0]) + 1 if entry is not None else 0
            signed, key = Checkpoint(self._origin, 0, EMPTY_ROOT), ""
            if checkpoint is not None:
                signed, key = self._ours("The newest checkpoint of the database", checkpoint[3])
                if (signed.size, signed.root, key) != (checkpoint[0], bytes(checkpoint[1]), checkpoint[2]):
                    raise LogDamaged(f"The row of checkpoint {checkpoint[0]} says something else than its signed note.")
            if size != signed.size:
                raise LogDamaged(f"The log has {size} entries, its newest checkpoint signs {signed.size}.")
            peaks = tuple(Peak(level, self._node(level, position)) for level, position in nodes_of((0, size)))
            if fold([peak.hash for peak in peaks]) != signed.root:
                raise LogDamaged(f"The tree of {size} entries has another root than the newest checkpoint signs.")
            if kept_note is not None:
                self._check_contains(kept_note, size)
        if checkpoint is not None and checkpoint[3] != kept_note:
            if kept_note is None:
                log.warning("no checkpoint is kept here: the database's is taken", entries=size, path=self._kept.path)
            self._kept.write(checkpoint[3])
        chain = bytes(entry[1]) if entry is not None else CHAIN_START
        self._head = Head(size, chain, peaks, key)

    def _ours(self, what: str, note: str) -> tuple[Checkpoint, str]:
        """What a note says, and the verifier key that signed it: our own, under any name, or one of `previous`."""
        try:
            found = read(note)
        except NotACheckpoint as error:
            raise LogDamaged(f"{what} is none: {error.message}") from error
        # Another origin is another name of the same key: who holds it signed.
        own = VerifierKey(found.origin, self._own.key) if is_name(found.origin) else self._own
        for key in (own, *self._previous):
            try:
                return verify(note, key), key.text
            except NotACheckpoint:
                continue
        raise LogDamaged(
            f"{what}, of {found.size} entries, is signed neither with our key {self._verifier} nor with one of"
            " AUDIT_PREVIOUS_KEYS."
        )

    def _check_contains(self, kept_note: str, size: int) -> None:
        kept, _ = self._ours(f"What {self._kept.path} holds", kept_note)
        if kept.size > size:
            raise LogDamaged(
                f"The log has {size} entries, but {kept.size} were signed here ({self._kept.path}): it was cut off, or"
                " an older state was restored."
            )
        if fold([self._node(level, position) for level, position in nodes_of((0, kept.size))]) != kept.root:
            raise LogDamaged(
                f"The first {kept.size} entries of the log are others than those signed here ({self._kept.path})."
            )

    def _node(self, level: int, position: int) -> bytes:
        found = self.connection.execute(_NODE, [level, position]).fetchone()
        if found is None:
            raise LogDamaged(f"The node {level}/{position} of the tree is missing.")
        return bytes(found[0])

    def step(self) -> Step:
        """Sequence what is pending, in one transaction."""
        head = self._head
        assert head is not None, "load() comes first"
        self._head = None  # until it is known that the transaction is in
        with self.connection.transaction():
            if head.key != self._verifier:
                self._record("audit.key", f"key:{self._origin}", after={"verifier": self._verifier})
            for action, object_, minute, count in self.connection.execute(_TALLIES).fetchall():
                self._record(action, object_, after={"minute": minute, "count": str(count)})
            rows = self.connection.execute(_PENDING, [self._limit]).fetchall()
            found = _by_writer(rows)
            gaps = tuple(gap for writer, each in found.items() for gap in each.gaps(writer, self._limit))
            for gap in gaps:
                self._record(
                    "audit.gap", f"writer:{gap.writer}", after={"first": str(gap.first), "last": str(gap.last)}
                )
            self._report_counters_back(found)
            records = [(row[3], row[4:]) for row in rows if row[3] is not None]
            head, note, malformed = self._add(head, records)
            self._move_progress(found)
            reach("audit.sequence.before")
        reach("audit.sequence.after")
        if note:
            self._kept.write(note)
        self._head = head
        more = bool(gaps) or any(len(each.numbers) >= self._limit for each in found.values())
        return Step(sequenced=len(records), gaps=gaps, malformed=malformed, more=more)

    def pending_since_ms(self) -> int:
        """When the oldest pending record was made, 0 where there is none."""
        found = self.connection.execute(_OLDEST).fetchone()
        assert found is not None
        return int(found[0])

    def _add(self, head: Head, records: Sequence[tuple[int, Sequence[Any]]]) -> tuple[Head, str, tuple[int, ...]]:
        """The new head, the note that signs it, which is empty where nothing was added, and ids of malformed records.

        These go into the tree as they are: one bad row must not stop the log.
        """
        if not records:
            return head, "", ()
        malformed = []
        size, chain, peaks = head.size, head.chain, list(head.peaks)
        entries: list[tuple[int, int, bytes]] = []
        nodes: list[tuple[int, int, bytes]] = []
        for record_id, columns in records:
            made = entry(columns)
            if "malformed" in made:
                malformed.append(record_id)
            hashed = leaf_hash(canonical_bytes(made))
            chain = chain_hash(chain, hashed)
            nodes += append(peaks, size, hashed)
            entries.append((size, record_id, chain))
            size += 1
        root = fold([peak.hash for peak in peaks])
        note = sign(Checkpoint(self._origin, size, root), self._key)
        self.connection.execute(_ENTRIES, list(map(list, zip(*entries, strict=True))))
        self.connection.execute(_NODES, list(map(list, zip(*nodes, strict=True))))
        self.connection.execute(_CHECKPOINT, [size, root, now_ms(), self._verifier, note])
        return Head(size, chain, tuple(peaks), self._verifier), note, tuple(malformed)

    def _move_progress(self, found: dict[int, _Found]) -> None:
        moved = {writer: each.reaches(self._limit) for writer, each in found.items()}
        moved = {writer: number for writer, number in moved.items() if number > found[writer].done}
        if moved:
            self.connection.execute(_PROGRESS, [list(moved), list(moved.values())])

    def _report_counters_back(self, found: dict[int, _Found]) -> None:
        """Each is said once by a process: the counter stays where somebody has put it."""
        for writer, each in found.items():
            if each.counted < each.done and (writer, each.counted) not in self._counters_back:
                self._counters_back.add((writer, each.counted))
                log.error("AUDIT COUNTER WENT BACK", writer=writer, counted=each.counted, sequenced=each.done)
                self._record(
                    "audit.counter-back", f"writer:{writer}",
                    after={"counted": str(each.counted), "sequenced": str(each.done)},
                )  # fmt: skip

    def _record(self, action: str, object_: str, *, after: dict[str, Any]) -> None:
        actor = actors.process("outbox")
        self.connection.execute(INSERT, [actor.kind.value, actor.id, action, object_, None, canonical(after), "", ""])


def _by_writer(rows: Iterable[Sequence[Any]]) -> dict[int, _Found]:
    found: dict[int, _Found] = {}
    for writer, counted, done, record_id, _, number, *_ in rows:
        each = found.setdefault(writer, _Found(counted, done))
        if record_id is not None:
            each.numbers.append(number)
    for each in found.values():
        each.numbers.sort()
    return found
