"""Damage by whoever owns the database: edit, delete, reorder, truncate. Each is found and named, in both verifiers."""

import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.core.management import call_command
from django.core.management.base import CommandError

from apps.audit.errors import LogDamaged, NotACheckpoint
from apps.audit.models import Checkpoint, Record
from apps.audit.notes import verifier_key
from tests.audit.log import KEY, ORIGIN, damage, sequence, sequencing, verified, write

pytestmark = pytest.mark.django_db(transaction=True)

VERIFIER = Path(__file__).resolve().parents[2] / "docs" / "verify_audit.py"


@pytest.fixture
def log() -> str:
    """Nine entries in three checkpoints; the note of the middle one, as somebody kept it."""
    write(2)
    sequence()
    write(3)
    sequence()
    kept = Checkpoint.objects.order_by("-size").first()
    assert kept is not None
    write(3)
    sequence()
    return kept.note


def stand_alone(tmp_path: Path, *arguments: str) -> tuple[int, str]:
    """Exit status and words of the one-file verifier over a fresh export."""
    export = tmp_path / "audit.jsonl"
    export.unlink(missing_ok=True)
    call_command("export_audit", export)
    found = subprocess.run(
        [sys.executable, "-I", VERIFIER, export, *arguments], capture_output=True, text=True, timeout=120, check=False
    )
    return found.returncode, found.stdout + found.stderr


def test_a_whole_log_is_whole(log: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept = tmp_path / "kept"
    kept.write_text(log, "utf-8")
    key = verifier_key(ORIGIN, KEY).text
    call_command("verify_audit", "--checkpoint", kept, "--key", key)
    root = verified().root.hex()
    whole = f"whole: 9 entries, 3 checkpoints, 0 records pending, root {root}\nsigned by {key}"
    assert capsys.readouterr().out == f"{whole}\n"
    assert stand_alone(tmp_path, "--key", key, "--checkpoint", str(kept)) == (
        0, f"whole: 9 entries, root {root}\nsigned by {key}\n",
    )  # fmt: skip
    capsys.readouterr()  # what the export said
    call_command("verify_audit", "--key", key)
    assert capsys.readouterr().out == f"{whole}\n"
    call_command("verify_audit")
    assert capsys.readouterr().out == f"{whole} (named by the log itself)\n"
    assert stand_alone(tmp_path)[1].endswith(f"signed by {key} (named by the log itself)\n")
    assert oct((tmp_path / "audit.jsonl").stat().st_mode)[-3:] == "600"
    with pytest.raises(CommandError, match="exists"):
        call_command("export_audit", tmp_path / "audit.jsonl")


EDITS = {
    "edited text": ("UPDATE audit_record SET reason = 'other' WHERE id = (SELECT record_id FROM audit_entry"
                    " WHERE index = 4)", "entry 4"),
    "edited state": ("UPDATE audit_record SET after = '{\"state\":\"open\"}' WHERE id = (SELECT record_id FROM"
                     " audit_entry WHERE index = 4)", "entry 4"),
    "edited actor": ("UPDATE audit_record SET actor_id = 'bob' WHERE id = (SELECT record_id FROM audit_entry"
                     " WHERE index = 4)", "entry 4"),
    "edited time": ("UPDATE audit_record SET at_ms = at_ms + 1 WHERE id = (SELECT record_id FROM audit_entry"
                    " WHERE index = 8)", "entry 8"),
    "two exchanged": ("UPDATE audit_entry AS e SET record_id = o.record_id FROM audit_entry AS o WHERE"
                      " (e.index, o.index) IN ((5, 6), (6, 5))", "entry 5"),
    "deleted with its record": ("WITH gone AS (DELETE FROM audit_entry WHERE index = 4 RETURNING record_id) DELETE FROM"
                                " audit_record WHERE id IN (SELECT record_id FROM gone)", "entry 4"),
}  # fmt: skip


@pytest.mark.parametrize("name", EDITS)
def test_edited_deleted_and_reordered_entries_are_named(
    log: str, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    statement, row = EDITS[name]
    if name == "two exchanged":
        damage("ALTER TABLE audit_entry DROP CONSTRAINT IF EXISTS audit_entry_record_id_key")
    damage(statement)
    with pytest.raises(CommandError, match=f"DAMAGED: {row}") as raised:
        call_command("verify_audit")
    assert raised.value.returncode == 1
    status, words = stand_alone(tmp_path)
    assert status == 1
    assert f"DAMAGED: {row}" in words
    if name == "two exchanged":
        damage("UPDATE audit_entry AS e SET record_id = o.record_id FROM audit_entry AS o WHERE"
               " (e.index, o.index) IN ((5, 6), (6, 5))")  # fmt: skip
        damage("ALTER TABLE audit_entry ADD CONSTRAINT audit_entry_record_id_key UNIQUE (record_id)")


@pytest.mark.parametrize(
    ("statements", "message"),
    [
        (["DELETE FROM audit_record WHERE id = (SELECT record_id FROM audit_entry WHERE index = 4)"],
         "entry 4: its record"),
        (["UPDATE audit_entry SET chain = decode(repeat('00', 32), 'hex') WHERE index = 4"], "entry 4: its chain"),
        (["UPDATE audit_node SET hash = decode(repeat('00', 32), 'hex') WHERE level = 0 AND position = 4"], "entry 4"),
        (["UPDATE audit_node SET hash = decode(repeat('00', 32), 'hex') WHERE level = 1 AND position = 2"], "node 1/2"),
        (["DELETE FROM audit_node WHERE level = 1 AND position = 1"], "node 1/1"),
        (["INSERT INTO audit_node (level, position, hash) VALUES (1, 9, '')"], "node 1/9: it belongs to no entry"),
        (["UPDATE audit_checkpoint SET root = decode(repeat('00', 32), 'hex') WHERE size = 6"], "checkpoint 6"),
        (["UPDATE audit_checkpoint SET note = replace(note, 'exchange', 'another') WHERE size = 6"], "checkpoint 6"),
        (["UPDATE audit_checkpoint SET key = 'x' WHERE size = 6"], "checkpoint 6"),
        (["DELETE FROM audit_checkpoint WHERE size = 9"], "entry 6: no checkpoint signs it"),
        (["DELETE FROM audit_checkpoint"], "entry 0: no checkpoint signs it"),
        (["DELETE FROM audit_entry WHERE index = 8"], "entry 8: the log ends before it, but checkpoint 9"),
        (["DELETE FROM audit_entry WHERE index = 0"], "entry 0: it is missing"),
        (["UPDATE audit_progress SET number = number - 1"], "writer|record"),
        (["UPDATE audit_writer SET last_number = last_number + 1"], "1 records are pending after number"),
        (["DELETE FROM audit_writer"], "its counter is at -1"),
    ],
)  # fmt: skip
def test_any_other_damage_is_named_too(log: str, statements: list[str], message: str) -> None:
    for statement in statements:
        damage(statement)
    with pytest.raises(LogDamaged, match=message):
        verified()


def truncate_tail_with_all_its_traces() -> None:
    """The last three entries, their records, nodes, checkpoint, and every counter of them."""
    damage("CREATE TABLE doomed AS SELECT r.id, r.writer, r.number FROM audit_record AS r"
           " JOIN audit_entry AS e ON e.record_id = r.id WHERE e.index >= 6")  # fmt: skip
    damage("DELETE FROM audit_entry WHERE index >= 6")
    damage("DELETE FROM audit_record WHERE id IN (SELECT id FROM doomed)")
    damage("DELETE FROM audit_node WHERE ((position + 1) << level) > 6")
    damage("DELETE FROM audit_checkpoint WHERE size > 6")
    for table, key, counter in (("writer", "id", "last_number"), ("progress", "writer", "number")):
        damage(f"UPDATE audit_{table} AS t SET {counter} = {counter} - (SELECT count(*) FROM doomed AS d"
               f" WHERE d.writer = t.{key})")  # fmt: skip
    damage("DROP TABLE doomed")


def test_a_tail_cut_off_with_all_its_traces_is_found_by_a_checkpoint_from_outside(log: str, tmp_path: Path) -> None:
    newest = Checkpoint.objects.order_by("-size").first()
    assert newest is not None
    truncate_tail_with_all_its_traces()
    assert verified().size == 6  # nothing inside can tell
    outside = tmp_path / "newest"
    outside.write_text(newest.note, "utf-8")
    key = verifier_key(ORIGIN, KEY).text
    with pytest.raises(CommandError, match="entry 6: the log ends before it, but the given") as found:
        call_command("verify_audit", "--checkpoint", outside, "--key", key)
    assert found.value.returncode == 1
    status, words = stand_alone(tmp_path, "--checkpoint", str(outside), "--key", key)
    assert (status, words) == (1, "DAMAGED: entry 6: the log ends before it, but a checkpoint signs 9 entries\n")
    # And a log that went on differently from there.
    write(3)
    sequence()
    with pytest.raises(LogDamaged, match="signs another tree"):
        verified(outside=newest.note, keys=[verifier_key(ORIGIN, KEY)])
    status, words = stand_alone(tmp_path, "--checkpoint", str(outside), "--key", key)
    assert (status, words) == (1, "DAMAGED: the checkpoint of 9 entries signs another log\n")


def test_a_truncated_export_and_one_with_more_behind_it_are_damaged(log: str, tmp_path: Path) -> None:
    export = tmp_path / "audit.jsonl"
    call_command("export_audit", export)
    lines = export.read_text("utf-8").splitlines(keepends=True)
    for changed, message in (
        (lines[:-1], "entry 9: the log ends without the checkpoint"),
        (lines[:-2] + lines[-1:], "entry 8: the log ends before it, but a checkpoint signs 9"),
        (lines[:3] + lines[4:], "entry 3: it is missing; entry 4 follows"),
        (lines + lines[:1], "more behind the last checkpoint"),
    ):
        export.write_text("".join(changed), "utf-8")
        found = subprocess.run([sys.executable, VERIFIER, export], capture_output=True, text=True, check=False)
        assert (found.returncode, message in found.stdout) == (1, True), found.stdout
    export.write_text("not json\n", "utf-8")
    assert subprocess.run([sys.executable, VERIFIER, export], capture_output=True, check=False).returncode == 2


def test_a_given_checkpoint_must_be_one_of_this_log(log: str, tmp_path: Path) -> None:
    file = tmp_path / "kept"
    for text, options in (("nonsense", []), (log, ["--key", "a+b+c"])):
        file.write_text(text, "utf-8")
        with pytest.raises(CommandError, match="The checkpoint or key that was given") as raised:
            call_command("verify_audit", "--checkpoint", file, *options)
        assert raised.value.returncode == 2
    with pytest.raises(NotACheckpoint, match="not signed by a key that the log names"):
        verified(outside=log.replace(ORIGIN, "other.example/audit"))
    with pytest.raises(CommandError, match="The checkpoint or key that was given") as raised:
        call_command("verify_audit", "--key", "x")
    assert raised.value.returncode == 2
    assert stand_alone(tmp_path, "--key", "x")[0] == 2
    with pytest.raises(CommandError, match="could not be read"):
        call_command("verify_audit", "--checkpoint", tmp_path / "missing")


def test_a_change_of_the_key_is_no_damage_and_a_key_that_was_not_given_no_trust(
    log: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new = Ed25519PrivateKey.generate()
    with sequencing(key=new, previous=[verifier_key(ORIGIN, KEY)]) as sequencer:
        sequencer.step()
    kept = tmp_path / "kept"
    kept.write_text(log, "utf-8")
    old_key, new_key = verifier_key(ORIGIN, KEY).text, verifier_key(ORIGIN, new).text
    stranger = verifier_key(ORIGIN, Ed25519PrivateKey.generate()).text
    for arguments, told in (
        ([], " (named by the log itself)"),
        (["--checkpoint", kept], " (named by the log itself)"),
        (["--key", old_key, "--key", new_key, "--checkpoint", kept], ""),
    ):
        call_command("verify_audit", *arguments)
        words = capsys.readouterr().out
        assert f"signed by {old_key}{told}\nsigned by {new_key}{told}\n" in words
        status, words = stand_alone(tmp_path, *map(str, arguments))
        assert (status, f"signed by {new_key}{told}\n" in words) == (0, True), words
    for arguments in (["--key", old_key], ["--key", old_key, "--checkpoint", kept], ["--key", stranger]):
        with pytest.raises(CommandError, match="which was not given") as raised:
            call_command("verify_audit", *arguments)
        assert raised.value.returncode == 2
        status, words = stand_alone(tmp_path, *map(str, arguments))
        assert (status, "give it as one more --key" in words) == (2, True), words
    with pytest.raises(NotACheckpoint, match="not signed by a key that was given with it"):
        verified(outside=log, keys=[verifier_key(ORIGIN, new)])


def test_an_empty_log_is_whole(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("verify_audit")
    assert capsys.readouterr().out.startswith("whole: 0 entries, 0 checkpoints")
    assert not Record.objects.exists()
