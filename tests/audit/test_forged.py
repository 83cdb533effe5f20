"""Rows that somebody with SQL has forged, consistently: the sequencer does not sign on top of them."""

import shutil
import threading
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from apps.audit.entries import COLUMN_LIST, leaf
from apps.audit.errors import KeyUnusable, LogDamaged
from apps.audit.keptcheckpoint import KeptCheckpoint
from apps.audit.keys import load_key
from apps.audit.models import Checkpoint, Entry, Record
from apps.audit.notes import Checkpoint as Signed
from apps.audit.notes import sign, verifier_key
from apps.audit.process import DAMAGED, SequencerProcess
from apps.audit.sequencer import Sequencer
from apps.audit.tree import CHAIN_START, Peak, append, chain_hash, fold, leaf_hash
from tests.audit.log import KEY, ORIGIN, damage, owner, pending, sequence, verified, write
from tests.audit.test_sequencer import owner_connection
from tests.audit.test_verifying import truncate_tail_with_all_its_traces
from tests.orders.live import until

pytestmark = pytest.mark.django_db(transaction=True)


def forge_history() -> bytes:
    """Another history that fits together: every hash computed anew from an edited record. Its root."""
    damage("UPDATE audit_record SET reason = 'nothing happened', actor_id = 'eve@exchange.example' WHERE number = 3")
    peaks, chain = list[Peak](), CHAIN_START
    damage("DELETE FROM audit_node")
    with owner() as opened:
        opened.execute("SET session_replication_role = replica")
        rows = opened.execute(
            f"SELECT e.index, {COLUMN_LIST} FROM audit_entry AS e JOIN audit_record AS r ON r.id = e.record_id"
            " ORDER BY e.index"
        ).fetchall()
        for index, *columns in rows:
            hashed = leaf_hash(leaf(columns))
            chain = chain_hash(chain, hashed)
            opened.execute("UPDATE audit_entry SET chain = %s WHERE index = %s", [chain, index])
            for node in append(peaks, index, hashed):
                opened.execute("INSERT INTO audit_node (level, position, hash) VALUES (%s, %s, %s)", node)
    return fold([peak.hash for peak in peaks])


def refused(kept: KeptCheckpoint, message: str) -> None:
    """Records wait, and no checkpoint is signed."""
    checkpoints, entries = Checkpoint.objects.count(), Entry.objects.count()
    write()
    with pytest.raises(LogDamaged, match=message):
        sequence(kept)
    assert (Checkpoint.objects.count(), Entry.objects.count()) == (checkpoints, entries)


@pytest.mark.parametrize("forged", ["rubbish", "the old note", "a key of his own"])
def test_a_forged_history_is_not_signed(tmp_path: Path, forged: str) -> None:
    kept = KeptCheckpoint(tmp_path / "head")
    write(6)
    sequence(kept)
    root = forge_history()
    size = Entry.objects.count()
    own = Ed25519PrivateKey.generate()
    note, key, message = {
        "rubbish": ("rubbish", verifier_key(ORIGIN, KEY).text, "newest checkpoint of the database is none"),
        "the old note": (kept.read(), verifier_key(ORIGIN, KEY).text, "something else than its signed note"),
        "a key of his own": (sign(Signed(ORIGIN, size, root), own), verifier_key(ORIGIN, own).text,
                             "neither with our key"),
    }[forged]  # fmt: skip
    damage("UPDATE audit_checkpoint SET root = %s, note = %s, key = %s", root, note, key)
    refused(kept, message)
    # Also where nothing was kept here: the signature says it.
    refused(KeptCheckpoint(tmp_path / "nothing"), message)


def test_a_tail_cut_off_with_all_its_traces_is_not_gone_on_with(tmp_path: Path) -> None:
    kept = KeptCheckpoint(tmp_path / "head")
    for count in (5, 3):
        write(count)
        sequence(kept)
    truncate_tail_with_all_its_traces()
    assert verified().size == 6  # nothing inside can tell
    refused(kept, "The log has 6 entries, but 9 were signed here")


def test_a_log_that_was_emptied_is_not_begun_anew(tmp_path: Path) -> None:
    kept = KeptCheckpoint(tmp_path / "head")
    write()
    sequence(kept)
    for table in ("entry", "record", "node", "checkpoint", "progress", "writer"):
        damage(f"DELETE FROM audit_{table}")
    refused(kept, "The log has 0 entries, but 2 were signed here")


def test_another_history_that_was_signed_elsewhere_is_not_gone_on_with(tmp_path: Path) -> None:
    """Two sites with one key that both went on, each by itself."""
    kept = KeptCheckpoint(tmp_path / "head")
    write(5)
    sequence(kept)
    write(3)
    sequence(kept)
    truncate_tail_with_all_its_traces()
    write(4)
    sequence()
    refused(kept, "The first 9 entries of the log are others than those signed here")


def test_a_kept_checkpoint_that_is_older_is_gone_on_with_and_one_that_is_forged_is_not(tmp_path: Path) -> None:
    kept, older = KeptCheckpoint(tmp_path / "head"), KeptCheckpoint(tmp_path / "older")
    write(5)
    sequence(kept)
    shutil.copy(kept.path, older.path)
    write(3)
    sequence(kept)  # as after a kill between the commit and the file
    sequence(older)
    assert older.read() == kept.read() == Checkpoint.objects.order_by("-size")[0].note
    older.write("rubbish")
    refused(older, "older holds is none")
    older.path.write_bytes(b"\xff")
    with pytest.raises(KeyUnusable, match="holds no checkpoint"):
        sequence(older)
    for path in (tmp_path / "head" / "below", tmp_path):
        with pytest.raises(KeyUnusable, match="cannot be"):
            sequence(KeptCheckpoint(path))


def test_another_name_of_the_log_is_no_other_key(tmp_path: Path) -> None:
    kept = KeptCheckpoint(tmp_path / "head")
    write()
    sequence(kept)
    with owner() as opened:
        renamed = Sequencer(opened, key=KEY, origin="renamed.example/audit", kept=kept)
        until(renamed.acquire, "the lock is free")
        renamed.load()
        assert renamed.step().sequenced == 1  # the entry audit.key
    assert Record.objects.filter(action="audit.key").count() == 2
    assert verified().size == 3


def test_an_unusable_key_is_said_and_tried_again(tmp_path: Path) -> None:
    """And is no reason not to relay money: run_outbox starts without it (tests/outbox)."""
    path = tmp_path / "audit.key"
    write()
    stop = threading.Event()
    process = SequencerProcess(
        connect=owner_connection, load_key=lambda: load_key(path, make=False), origin=ORIGIN,
        kept=KeptCheckpoint(tmp_path / "head"), stop=stop,
    )  # fmt: skip
    thread = threading.Thread(target=process.run)
    thread.start()
    try:
        until(lambda: process.status == "key unusable", "it says so")
        assert DAMAGED._value.get() == 1
        load_key(path, make=True)
        until(lambda: pending() == 0, "it goes on once there is a key")
        until(lambda: DAMAGED._value.get() == 0, "and says so")
    finally:
        stop.set()
        thread.join(timeout=60)
    stop.clear()
    process = SequencerProcess(
        connect=owner_connection, load_key=lambda: KEY, origin=ORIGIN, kept=KeptCheckpoint(tmp_path / "head"),
        previous=["nonsense"], stop=stop,
    )  # fmt: skip
    thread = threading.Thread(target=process.run)
    thread.start()
    try:
        until(lambda: process.status == "key unusable", "previous keys are read, too")
    finally:
        stop.set()
        thread.join(timeout=60)
