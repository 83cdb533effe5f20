"""The sequencer: one at a time, whole steps or none, gaps said once, damage not gone on with."""

import json
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.conf import settings

from apps.audit.errors import LogDamaged
from apps.audit.models import Checkpoint, Entry, Progress, Record, Writer
from apps.audit.notes import read_verifier_key, verifier_key, verify
from apps.audit.process import DAMAGED, GAPS, SequencerProcess
from apps.audit.sequencer import Sequencer
from apps.audit.verifying import verify_log
from apps.common.clock import now_ms
from nebannpet import roles
from tests.audit.log import KEY, ORIGIN, NothingKept, damage, owner, pending, sequence, sequencing, sql, verified, write
from tests.orders.live import until
from tests.orders.processes import ROOT, apply_roles, environment, running

pytestmark = pytest.mark.django_db(transaction=True)


def test_the_first_entry_is_the_key_and_each_step_has_a_checkpoint() -> None:
    write(3)
    steps = sequence()
    assert [step.sequenced for step in steps] == [4, 0]
    first = Record.objects.get(entry__index=3)
    assert first.action == "audit.key"
    key = read_verifier_key(json.loads(first.after or "")["verifier"])
    write(2)
    sequence()
    sizes = []
    for checkpoint in Checkpoint.objects.order_by("size"):
        opened = verify(checkpoint.note, key)
        assert (opened.origin, opened.size, opened.root) == (ORIGIN, checkpoint.size, bytes(checkpoint.root))
        assert abs(checkpoint.made_at_ms - now_ms()) < 600_000
        sizes.append(opened.size)
    assert sizes == [4, 6]
    assert list(Entry.objects.order_by("index").values_list("index", flat=True)) == list(range(6))
    assert verified().size == 6


def test_nothing_pending_makes_no_checkpoint() -> None:
    sequence()
    assert Checkpoint.objects.count() == 1
    sequence()
    assert Checkpoint.objects.count() == 1


def test_more_records_than_a_step_takes_follow_in_the_next() -> None:
    write(7)
    with sequencing(records_per_step=3) as sequencer:
        steps = [sequencer.step()]
        while steps[-1].more:
            steps.append(sequencer.step())
    assert sum(step.sequenced for step in steps) == 8
    assert max(step.sequenced for step in steps) == 3
    assert not any(step.gaps for step in steps)
    assert verified().size == 8


def test_only_one_is_at_work_and_the_next_goes_on_where_it_stopped() -> None:
    write()
    with sequencing() as first:
        first.step()
        with owner() as second_connection:
            second = Sequencer(second_connection, key=KEY, origin=ORIGIN, kept=NothingKept())
            assert not second.acquire()
            first.connection.close()
            until(second.acquire, "the lock of a closed connection is free")
            second.load()
            write()
            assert second.step().sequenced == 1
    assert verified().size == 3


@pytest.mark.parametrize(
    ("statement", "first", "last"),
    [
        ("DELETE FROM audit_record WHERE number = 2", 2, 2),
        ("DELETE FROM audit_record WHERE number IN (1, 2)", 1, 2),
        ("DELETE FROM audit_record WHERE number = 4", 4, 4),
        ("DELETE FROM audit_record", 1, 4),
    ],
)
def test_removed_pending_records_become_an_entry_of_their_own_once(statement: str, first: int, last: int) -> None:
    write(4)
    before = GAPS._value.get()
    damage(statement)
    with owner() as opened, pytest.raises(LogDamaged, match="records are pending after number 0"):
        verify_log(opened)
    stop = threading.Event()
    process = of_process(stop)
    thread = threading.Thread(target=process.run)
    thread.start()
    try:
        until(lambda: Record.objects.filter(action="audit.gap", entry__isnull=False).exists(), "the gap is an entry")
    finally:
        stop.set()
        thread.join(timeout=60)
    gap = Record.objects.get(action="audit.gap")
    assert json.loads(gap.after or "") == {"first": str(first), "last": str(last)}
    assert gap.object == f"writer:{Writer.objects.order_by('id').first().pk}"  # type: ignore[union-attr]
    assert GAPS._value.get() - before == last - first + 1
    sequence()
    assert Record.objects.filter(action="audit.gap").count() == 1
    write()
    sequence()
    found = verified()
    assert (found.gaps, found.pending) == (1, 0)


def owner_connection() -> psycopg.Connection[Any]:
    return psycopg.connect(settings.DATABASE_DSN, autocommit=True)


def of_process(stop: threading.Event) -> SequencerProcess:
    return SequencerProcess(
        connect=owner_connection, load_key=lambda: KEY, origin=ORIGIN, kept=NothingKept(), stop=stop
    )


def test_a_counter_that_was_put_back_is_an_incident() -> None:
    write(3)
    sequence()
    writer = Writer.objects.order_by("id").first()
    assert writer is not None
    damage("UPDATE audit_writer SET last_number = 1 WHERE id = %s", writer.pk)
    with pytest.raises(LogDamaged, match=f"writer {writer.pk}: its counter is at 1, but it has made 4"):
        verified()
    with sequencing() as sequencer:
        sequencer.step()
        sequencer.step()
        sequencer.step()
    incident = Record.objects.get(action="audit.counter-back")
    assert incident.object == f"writer:{writer.pk}"
    write()
    sequence()
    assert verified().size == 6


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM audit_entry WHERE index = 3",
        "DELETE FROM audit_checkpoint WHERE size = 4",
        "UPDATE audit_node SET hash = decode(repeat('00', 32), 'hex') WHERE level = 2",
        "DELETE FROM audit_node WHERE level = 2",
        "UPDATE audit_checkpoint SET root = decode(repeat('00', 32), 'hex')",
    ],
)
def test_a_damaged_log_is_not_gone_on_with(statement: str) -> None:
    write(3)
    sequence()
    damage(statement)
    write()
    with pytest.raises(LogDamaged):
        sequence()
    stop = threading.Event()
    process = of_process(stop)
    thread = threading.Thread(target=process.run)
    thread.start()
    try:
        until(lambda: process.status == "DAMAGED", "it says so")
    finally:
        stop.set()
        thread.join(timeout=60)
    assert DAMAGED._value.get() == 1
    assert Checkpoint.objects.filter(size__gt=4).count() == 0
    assert not Entry.objects.filter(index__gt=3).exists()


def test_another_key_is_told_by_the_log_before_it_signs() -> None:
    write()
    sequence()
    other = Ed25519PrivateKey.generate()
    with pytest.raises(LogDamaged, match="neither with our key"), sequencing(key=other):
        pass
    assert Checkpoint.objects.count() == 1
    with sequencing(key=other, previous=[verifier_key(ORIGIN, KEY)]) as sequencer:
        sequencer.step()
    assert Record.objects.filter(action="audit.key").count() == 2
    with sequencing(key=other) as sequencer:
        sequencer.step()
    assert Record.objects.filter(action="audit.key").count() == 2
    assert verified().checkpoints == 2


def test_the_outbox_role_can_do_its_work_and_no_more() -> None:
    write(2)
    with owner() as opened:
        roles.apply(opened)
        opened.execute("SELECT audit_count('user.log-in-failures', 'log-in')")
        opened.execute("UPDATE audit_tally SET minute = 1")
        opened.execute(f"SET ROLE {roles.ROLE_OF_PROCESS['outbox']}")
        sequencer = Sequencer(opened, key=KEY, origin=ORIGIN, kept=NothingKept())
        sequencer.acquire()
        sequencer.load()
        assert sequencer.step().sequenced == 4
        for statement in (
            "UPDATE audit_record SET reason = ''", "DELETE FROM audit_record", "UPDATE audit_entry SET index = 9",
            "DELETE FROM audit_entry", "UPDATE audit_node SET level = 9", "DELETE FROM audit_checkpoint",
            "UPDATE audit_writer SET last_number = 0", "DELETE FROM audit_progress",
        ):  # fmt: skip
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                opened.execute(statement)  # type: ignore[arg-type]
        with pytest.raises(psycopg.errors.RaiseException, match="only goes up"):
            opened.execute("UPDATE audit_progress SET number = 0")
    assert verified().size == 4


@pytest.mark.parametrize("point", ["audit.sequence.before", "audit.sequence.after"])
def test_killed_between_steps_nothing_is_lost_or_done_twice(
    core: redis.Redis, redis_core_url: str, tmp_path: Path, point: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    apply_roles()
    monkeypatch.setenv("AUDIT_HEAD_FILE", str(tmp_path / "audit.head"))
    armed, log = tmp_path / "crash", tmp_path / "outbox.log"
    armed.write_text(f"{point}:2\n", "ascii")
    write(5)
    child = subprocess.Popen(
        [sys.executable, "manage.py", "run_outbox"], cwd=ROOT,
        env=environment("outbox", redis_core_url) | {"CRASH_AT": str(armed)},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    assert child.wait(timeout=120) == -signal.SIGKILL
    assert armed.read_text("ascii").strip() == ""
    size = Checkpoint.objects.count()
    assert size == 1
    write(5)
    with running(["manage.py", "run_outbox"], "outbox", redis_core_url, log):
        until(lambda: pending() == 0, "the next one sequences what is left")
    records = Record.objects.count()
    assert Entry.objects.count() == records == 11
    found = verified()
    assert (found.size, found.gaps, found.pending) == (11, 0, 0)
    assert Progress.objects.count() == Writer.objects.count()
    assert sql("SELECT count(*) FROM audit_record WHERE action = 'audit.key'") == [(1,)]
