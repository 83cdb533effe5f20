"""What somebody writes past record() and count(): the log takes it as it is, names it, and goes on."""

import json
import subprocess
import sys
import threading
from pathlib import Path

import psycopg
import pytest
from django.core.management import call_command

from apps.audit import canonical
from apps.audit.actions import ACTIONS, COUNTED
from apps.audit.entries import entry
from apps.audit.errors import LogDamaged
from apps.audit.exporting import export_lines
from apps.audit.models import Record, Tally
from apps.audit.process import MALFORMED
from apps.audit.services import INSERT
from nebannpet import roles
from tests.audit.log import damage, owner, pending, sequence, verified, write
from tests.audit.test_sequencer import of_process
from tests.audit.test_verifying import VERIFIER, stand_alone
from tests.orders.live import until

pytestmark = pytest.mark.django_db(transaction=True)

MALFORMED_TEXTS = (
    '{"a":1.5}', '{"a":1}x', "nonsense", '{"b":1, "a":2}', '{"a":1,"a":2}', "NaN", '"\\ud800"', '"\\u0000"', "1e3",
    "9007199254740992", '{"é":1}', "[" * 100_000, '{"a":' * 33 + "1" + "}" * 33, "[" * 33 + '"]"' + "]" * 33,
    "9" * 5000, "[" * 33 + "]" * 33,
)  # fmt: skip


def insert_as(process: str, *, before: str | None, action: str = "user.log-in") -> None:
    with owner() as opened:
        opened.execute(f"SET ROLE {roles.ROLE_OF_PROCESS[process]}")
        opened.execute(INSERT, ["user", "1", action, "user:1", before, None, "", ""])


def apply() -> None:
    with owner() as opened:
        roles.apply(opened)


def test_rows_that_record_would_not_write_go_into_the_tree_and_are_named(tmp_path: Path) -> None:
    apply()
    for text in MALFORMED_TEXTS:
        insert_as("site", before=text)
    write()
    counted = MALFORMED._value.get()
    stop = threading.Event()
    process = of_process(stop)
    thread = threading.Thread(target=process.run)
    thread.start()
    try:
        until(lambda: pending() == 0, "all are in the tree")
        until(lambda: MALFORMED._value.get() - counted == len(MALFORMED_TEXTS), "and are counted")
    finally:
        stop.set()
        thread.join(timeout=60)
    assert verified().size == len(MALFORMED_TEXTS) + 2
    assert stand_alone(tmp_path)[0] == 0
    with owner() as opened:
        told = [line["entry"] for line in export_lines(opened) if "index" in line]
    found = {each["before"]: each["malformed"] for each in told if "malformed" in each}
    assert found == {text: ["before"] for text in MALFORMED_TEXTS}


def test_another_text_is_another_entry() -> None:
    """Also where a text and the JSON of that text stand in for one another."""
    plain = (1, 1, 1, "r", "user", "1", "user.log-in", "user:1", None, None, "", "")
    texts = ("abc", '"abc"', '"\\"abc\\""', '{"malformed":["before"]}', '["before"]')
    made = {json.dumps(entry((*plain[:8], text, *plain[9:])), sort_keys=True) for text in texts}
    assert len(made) == len(texts)


def test_what_may_be_recorded_can_change_and_entries_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    write()
    sequence()
    monkeypatch.setattr(canonical, "_SECRET_WORDS", ("state",))
    assert verified().size == 2


@pytest.mark.parametrize("process", sorted(roles.ROLE_OF_PROCESS))
def test_only_the_site_counts_and_only_what_is_counted(process: str) -> None:
    apply()
    may = process == "site"
    with owner() as opened:
        opened.execute(f"SET ROLE {roles.ROLE_OF_PROCESS[process]}")
        for what in (*ACTIONS, "no.such", None):
            if may and what in COUNTED:
                opened.execute("SELECT audit_count(%s, 'x')", [what])
                continue
            refusal = psycopg.errors.RaiseException if may else psycopg.errors.InsufficientPrivilege
            with pytest.raises(refusal):
                opened.execute("SELECT audit_count(%s, 'x')", [what])
        if may:
            with pytest.raises(psycopg.errors.RaiseException):
                opened.execute("SELECT audit_count('user.log-in-failures', '')")
    assert list(Tally.objects.values_list("action", flat=True)) == (sorted(COUNTED) if may else [])


def test_a_tally_that_the_owner_slipped_in_does_not_stop_the_log() -> None:
    with owner() as opened:
        opened.execute("INSERT INTO audit_tally (action, object, minute, count) VALUES ('no.such', 'x', 1, 1)")
    write()
    sequence()
    assert Record.objects.filter(action="no.such", entry__isnull=False).count() == 1
    assert verified().size == 3


def test_a_restored_database_gives_the_function_to_nobody_else() -> None:
    """A restore without privileges leaves PostgreSQL's default: everybody executes."""
    damage("UPDATE pg_proc SET proacl = NULL WHERE proname = 'audit_count'")
    apply()
    with owner() as opened, pytest.raises(psycopg.errors.InsufficientPrivilege):
        opened.execute("SET ROLE nebannpet_archive")
        opened.execute("SELECT audit_count('user.log-in-failures', 'x')")


@pytest.mark.parametrize("after", ["nonsense", '{"first":"x","last":"2"}', '{"first":"5","last":"2"}', "[1]", None])
def test_a_gap_that_says_nothing_is_damage(after: str | None, tmp_path: Path) -> None:
    with owner() as opened:
        opened.execute(INSERT, ["process", "outbox", "audit.gap", "writer:1", None, after, "", ""])
    sequence()
    with pytest.raises(LogDamaged, match="entry 0: it names no gap"):
        verified()
    export = tmp_path / "export"
    call_command("export_audit", export)
    ran = subprocess.run([sys.executable, VERIFIER, export], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (1, ""), ran.stdout
    assert "entry 0: it names no gap" in ran.stdout
