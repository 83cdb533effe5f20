"""Pending records: one row in the caller's transaction, counted without a gap, and nobody waits for anybody."""

import json
import threading
from random import Random
from typing import Any

import psycopg
import pytest
from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.test import RequestFactory

from apps.audit import actors
from apps.audit.canonical import amounts, canonical
from apps.audit.errors import InvalidEntry
from apps.audit.models import Record, Tally, Writer
from apps.audit.services import INSERT, count, record, row
from apps.web import requests
from apps.web.requests import HEADER, RequestIdMiddleware
from nebannpet import roles
from tests.audit.log import owner, pending, sequence, verified, write

STAFF = actors.named("staff: ann@exchange.example")


def values(object_: str = "market:BTCUSDT") -> list[str | None]:
    return row(
        actor=STAFF, action="market.state", object=object_, before=None, after=None, reason="", request_id=""
    )  # fmt: skip


@pytest.mark.django_db
def test_a_record_says_all_that_it_was_told_and_the_database_adds_its_own_word() -> None:
    with transaction.atomic():
        record(
            actor=STAFF, action="market.state", object="market:BTCUSDT", before={"b": "1", "a": ["x", None, True]},
            after={"state": "halted é"}, reason="why", request_id="abc",
        )  # fmt: skip
    made = Record.objects.get()
    assert (made.actor_kind, made.actor_id) == ("staff", "ann@exchange.example")
    assert (made.action, made.object, made.reason, made.request_id) == ("market.state", "market:BTCUSDT", "why", "abc")
    assert made.before == '{"a":["x",null,true],"b":"1"}'
    assert made.after == '{"state":"halted é"}'
    assert (made.number, made.role) == (1, str(settings.DATABASES["default"]["USER"]))
    assert made.at_ms > 1_600_000_000_000


@pytest.mark.django_db(transaction=True)
def test_without_a_transaction_it_refuses() -> None:
    with pytest.raises(transaction.TransactionManagementError, match="atomic"):
        record(actor=STAFF, action="market.state", object="market:BTCUSDT")
    assert not Record.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"action": "market.stat"}, "knows no action 'market.stat'"),
        ({"action": "audit.gap"}, "only the sequencer"),
        ({"object": ""}, "The object has 1 to 120"),
        ({"object": "x" * 121}, "The object has 1 to 120"),
        ({"actor": actors.process("")}, "The actor's id"),
        ({"reason": "x" * 501}, "at most 500"),
        ({"request_id": "x" * 37}, "at most 36"),
        ({"reason": "a\0b"}, "NUL"),
        ({"reason": "\ud800"}, "surrogate"),
        ({"after": {"amount": 1.5}}, "A float has no canonical form"),
        ({"after": {"amount": 2**53}}, "too big for a number"),
        ({"after": {"é": "x"}}, "keys are ASCII"),
        ({"after": json.loads("[" * 33 + "]" * 33)}, "nested deeper than 32"),
        ({"after": {1: "x"}}, "keys are ASCII"),
        ({"after": {"new_password": "x"}}, "secrets are never recorded"),
        ({"before": {"keys": [{"secret_box": "x"}]}}, "secrets are never recorded"),
        ({"after": {"text": "x" * 65_536}}, "more than 65536 bytes"),
    ],
)
def test_what_cannot_stand_in_the_log_is_refused(changed: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {"actor": STAFF, "action": "market.state", "object": "market:BTCUSDT"} | changed
    with pytest.raises(InvalidEntry, match=message), transaction.atomic():
        record(**arguments)
    assert not Record.objects.exists()
    assert not Writer.objects.exists()


def test_canonical_text_is_one_for_one_value() -> None:
    assert canonical({"b": [1, "é", None], "a": {"z": False, "y": ""}}) == '{"a":{"y":"","z":false},"b":[1,"é",null]}'
    assert amounts({"fees": [(1, 2)], "n": 2**60, "on": True, "in": {"x": 3}}) == {
        "fees": [["1", "2"]], "n": str(2**60), "on": True, "in": {"x": "3"},
    }  # fmt: skip


@pytest.mark.django_db(transaction=True)
def test_open_transactions_do_not_wait_for_one_another() -> None:
    """Each takes a counter that no other has, so as many are made as are at work; then they are used again."""
    with owner() as first, owner() as second:
        for opened in (first, second):
            # One waiting for the other would wait for ever here.
            opened.execute("SET lock_timeout = '5s'")
        with first.transaction(), second.transaction():
            for opened in (first, second, first, second, first):
                opened.execute(INSERT, values())
        for _ in range(3):
            with first.transaction():
                first.execute(INSERT, values())
    writers = {writer.pk: writer.last_number for writer in Writer.objects.all()}
    assert sorted(writers.values()) == [2, 6], "three and two at once, then three times the first"
    sequence()
    assert verified().size == 9  # with the key's own entry


@pytest.mark.django_db(transaction=True)
def test_many_writers_with_rollbacks_leave_no_gap() -> None:
    seed = 11
    print(f"seed {seed}")
    kept: list[int] = []
    errors: list[psycopg.Error] = []

    def work(number: int) -> None:
        random = Random(seed * 100 + number)
        try:
            with psycopg.connect(settings.DATABASE_DSN, autocommit=True) as opened:
                opened.execute("SET lock_timeout = '20s'")
                for turn in range(25):
                    count_ = random.randint(1, 3)
                    with opened.transaction() as block:
                        for _ in range(count_):
                            opened.execute(INSERT, values(f"market:{number}-{turn}"))
                        if random.random() < 0.3:
                            raise psycopg.Rollback(block)
                        if random.random() < 0.2:
                            with opened.transaction() as inner:
                                opened.execute(INSERT, values(f"market:{number}-{turn}"))
                                raise psycopg.Rollback(inner)
                        kept.append(count_)
        except psycopg.Error as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        sequence()
    for thread in threads:
        thread.join()
    assert errors == []
    steps = sequence()
    assert pending() == 0
    assert not any(step.gaps for step in steps)
    assert Record.objects.filter(action="market.state").count() == sum(kept)
    assert not Record.objects.filter(action="audit.gap").exists()
    assert Writer.objects.count() <= 9
    found = verified()
    assert (found.size, found.gaps) == (sum(kept) + 1, 0)


@pytest.mark.django_db
def test_number_time_and_role_cannot_be_given() -> None:
    with connection.cursor() as cursor:
        cursor.execute(INSERT.replace("0, 0, 0, ''", "7, 99, 5, 'nobody'"), values())
    made = Record.objects.get()
    assert made.number == 1
    assert made.at_ms > 1_600_000_000_000
    assert made.role != "nobody"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("process", ["site", "daily", "settlement"])
def test_who_records_can_only_add(process: str) -> None:
    with owner() as opened:
        roles.apply(opened)
        opened.execute(f"SET ROLE {roles.ROLE_OF_PROCESS[process]}")
        opened.execute(INSERT, values())
        for statement in (
            "UPDATE audit_record SET reason = ''",
            "DELETE FROM audit_record",
            "TRUNCATE audit_record",
            "UPDATE audit_writer SET last_number = 0",
            "INSERT INTO audit_writer (last_number) VALUES (7)",
            "INSERT INTO audit_entry (index, record_id, chain) VALUES (0, 1, '')",
            "INSERT INTO audit_node (level, position, hash) VALUES (0, 0, '')",
            "INSERT INTO audit_checkpoint (size, root, made_at_ms, key, note) VALUES (9, '', 0, '', '')",
            "INSERT INTO audit_progress (writer, number) VALUES (1, 5)",
            "DELETE FROM audit_tally",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                opened.execute(statement)  # type: ignore[arg-type]
        with pytest.raises(psycopg.errors.RaiseException, match="for the sequencer alone"):
            opened.execute(INSERT.replace("VALUES (%s, %s, %s,", "VALUES (%s, %s, 'audit.gap',"), [
                value for at, value in enumerate(values()) if at != 2
            ])  # fmt: skip
    assert Record.objects.get().role == roles.ROLE_OF_PROCESS[process]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("process", sorted(set(roles.ROLE_OF_PROCESS) - {"site", "daily", "outbox"}))
def test_nobody_else_even_reads_it(process: str) -> None:
    with owner() as opened:
        roles.apply(opened)
        opened.execute(f"SET ROLE {roles.ROLE_OF_PROCESS[process]}")
        refused = ["SELECT * FROM audit_record", "SELECT * FROM audit_entry"]
        # Settlement records what the matching worker skipped.
        for statement in refused if process == "settlement" else [*refused, INSERT]:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                opened.execute(statement, values() if statement == INSERT else [])  # type: ignore[arg-type]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("table", ["record", "entry", "node", "checkpoint", "writer", "progress"])
def test_triggers_refuse_changes_even_by_the_owner(table: str) -> None:
    write()
    sequence()
    column = {"writer": "last_number", "progress": "number", "node": "position", "checkpoint": "size"}.get(table)
    column = column or ("number" if table == "record" else "index")
    for statement in (
        f"UPDATE audit_{table} SET {column} = 0",
        f"DELETE FROM audit_{table}",
        f"TRUNCATE audit_{table} CASCADE",
    ):
        with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)
    assert verified().size == 2


@pytest.mark.django_db
def test_a_request_has_an_id_that_entries_carry() -> None:
    def view(_: object) -> Any:
        from django.http import HttpResponse

        with transaction.atomic():
            record(actor=STAFF, action="market.state", object="market:BTCUSDT")
        return HttpResponse()

    request = RequestFactory().get("/", headers={HEADER: "mine"})
    response = RequestIdMiddleware(view)(request)
    assert Record.objects.get().request_id == response[HEADER] != "mine"
    assert requests.request_id() == ""


@pytest.mark.django_db(transaction=True)
def test_a_flood_becomes_one_record_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(40):
        count(action="user.log-in-failures", object="log-in")
    counted = sum(tally.count for tally in Tally.objects.all())
    assert counted == 40
    assert Tally.objects.count() < 40  # one, unless minutes end meanwhile
    sequence()  # a minute that is not over stays
    with owner() as opened:
        opened.execute("UPDATE audit_tally SET minute = minute - 2")
    sequence()
    found = Record.objects.filter(action="user.log-in-failures")
    assert 1 <= found.count() < 40
    assert not Tally.objects.exists()
    assert sum(int(json.loads(each.after or "")["count"]) for each in found) == 40
    for wrong in (
        {"action": "no.such", "object": "x"}, {"action": "user.log-in", "object": "x"},
        {"action": "user.log-in-failures", "object": ""}, {"action": "user.log-in-failures", "object": "x" * 121},
    ):  # fmt: skip
        with pytest.raises(InvalidEntry):
            count(**wrong)
    assert verified().pending == 0
