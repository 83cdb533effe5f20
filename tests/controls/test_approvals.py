"""One of staff asks, others decide, and the last approval carries it out (requirements E2, A9; threat-T10)."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from threading import Barrier
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from apps.accounts.models import TradingAccount, User
from apps.audit.models import Record
from apps.common.errors import DomainError
from apps.controls import errors
from apps.controls.models import Approval, ApprovalRequest
from apps.controls.services.approvals import approve, ask_approval, decline, withdraw
from apps.outbox.errors import ReasonMissing
from tests.controls.approving import ASK, DECIDE, NAME, REFUSED, renaming, staff

pytestmark = pytest.mark.django_db


class Office:
    def __init__(self) -> None:
        self.owner, self.maker, self.first, self.second = (
            staff(name, ASK, DECIDE) for name in ("owner", "maker", "first", "second")
        )

    @property
    def label(self) -> str:
        return TradingAccount.objects.values_list("label", flat=True).get(owner=self.owner)

    def ask(self, label: str = "Desk", by: User | None = None, **given: Any) -> ApprovalRequest:
        told = {"kind": NAME, "subject": f"user:{self.owner.pk}", "payload": {"label": label}, "reason": "as agreed"}
        return ask_approval(**(told | given), by=by or self.maker)

    def refuses(self, asked: ApprovalRequest, by: User, error: type[DomainError], match: str) -> None:
        """That `by` approves it; and nothing has changed by it."""
        before = self.label, len(entries()), asked.approvals.count()
        with pytest.raises(error, match=match):
            approve(request_id=asked.pk, by=by, reason="fine")
        asked.refresh_from_db()
        assert (asked.state, (self.label, len(entries()), asked.approvals.count())) == ("open", before)


@pytest.fixture
def office(db: None) -> Iterator[Office]:
    with renaming():
        yield Office()


def entries() -> list[tuple[str, str, str]]:
    found = Record.objects.filter(action__startswith="approval.").order_by("id")
    return list(found.values_list("action", "actor_id", "reason"))


def at(monkeypatch: pytest.MonkeyPatch, moment: datetime) -> None:
    monkeypatch.setattr(timezone, "now", lambda: moment)


def test_another_approves_and_it_happens(office: Office) -> None:
    asked = office.ask()
    assert (office.label, asked.changes, asked.state_now) == ("Main", [("label", "Main", "Desk")], "open")
    approve(request_id=asked.pk, by=office.first, reason="looked at it")
    asked.refresh_from_db()
    assert (office.label, asked.state, asked.ended_by) == ("Desk", "done", "staff: first@example.org")
    assert entries() == [
        ("approval.asked", "maker@example.org", "as agreed"),
        ("approval.carried-out", "first@example.org", "looked at it"),
    ]
    told = json.loads(Record.objects.get(action="approval.carried-out").after or "")
    assert (told["maker"], told["approvers"]) == ("maker@example.org", ["first@example.org"])
    assert told["changes"] == [["label", "Main", "Desk"]]
    for decide in (approve, decline, withdraw):
        with pytest.raises(errors.ApprovalClosed, match="done already"):
            decide(request_id=asked.pk, by=office.maker, reason="again")


def test_it_ends_without_effect(office: Office) -> None:
    for decide, by, state in ((decline, office.first, "declined"), (withdraw, office.maker, "withdrawn")):
        asked = office.ask()
        decide(request_id=asked.pk, by=by, reason="no need")
        asked.refresh_from_db()
        assert (asked.state, asked.ended_reason, office.label) == (state, "no need", "Main")
        assert entries()[-1] == (f"approval.{state}", by.email, "no need")
        with pytest.raises(errors.ApprovalClosed):
            approve(request_id=asked.pk, by=office.first, reason="still")


def test_who_does_not_decide(office: Office) -> None:
    asked = office.ask()
    office.refuses(asked, office.maker, errors.ApprovalRefused, "You asked for this")
    office.refuses(asked, office.owner, errors.ApprovalRefused, "your own account")
    office.refuses(asked, staff("viewer", ASK), errors.ApprovalRefused, "not the right to decide")
    User.objects.filter(pk=office.first.pk).update(is_staff=False)  # not as the request has read it
    office.refuses(asked, office.first, errors.ApprovalRefused, "not the right to decide")
    for decide, who in ((decline, office.maker), (decline, office.first), (withdraw, office.second)):
        with pytest.raises(errors.ApprovalRefused):
            decide(request_id=asked.pk, by=who, reason="mine")
    for decide in (approve, decline, withdraw):
        with pytest.raises(ReasonMissing):
            decide(request_id=asked.pk, by=office.second, reason=" ")
        with pytest.raises(errors.UnknownApproval, match="no request 0"):
            decide(request_id=0, by=office.second, reason="fine")
    User.objects.filter(pk=office.maker.pk).update(is_active=False)
    office.refuses(asked, office.second, errors.ApprovalRefused, "has not the right to ask for this any more")
    assert asked.state_now == "open"


def test_what_is_not_asked(office: Office) -> None:
    for error, match, given in (
        (errors.ApprovalRefused, "not the right to ask", {"by": staff("stranger", DECIDE)}),
        (errors.ApprovalStale, "Nothing would change", {"label": "Main"}),
        (errors.UnknownApproval, "no approvals of the kind 'else'", {"kind": "else"}),
        (ReasonMissing, "Give a reason", {"reason": ""}),
    ):
        with pytest.raises(error, match=match):
            office.ask(**given)
    assert entries() == []
    office.ask()
    with pytest.raises(errors.AlreadyAsked, match="is open"):
        office.ask("Other", by=office.first)
    assert len(entries()) == ApprovalRequest.objects.count() == 1


def test_an_effect_that_fails_leaves_it_open_and_nothing_changed(office: Office) -> None:
    office.refuses(office.ask(REFUSED), office.first, DomainError, "label is forbidden")


def test_what_would_change_something_else_by_now_is_refused(office: Office) -> None:
    asked = office.ask()
    TradingAccount.objects.filter(owner=office.owner).update(label="Meanwhile")
    office.refuses(asked, office.first, errors.ApprovalStale, "something else by now")


def test_what_nobody_decides_in_time_expires(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = office.ask()
    at(monkeypatch, asked.expires_at - timedelta(microseconds=1))
    assert asked.state_now == "open"
    at(monkeypatch, asked.expires_at)
    assert asked.state_now == "expired"
    office.refuses(asked, office.first, errors.ApprovalClosed, "expired already")
    again = office.ask()
    asked.refresh_from_db()
    assert (asked.state, asked.ended_at, again.state_now) == ("expired", asked.expires_at, "open")


def test_two_approvers_and_a_time_of_waiting(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    wait = timedelta(hours=72)
    with renaming(approvers_needed=2, wait=wait):
        office = Office()
        asked = office.ask()
        approve(request_id=asked.pk, by=office.first, reason="one")
        assert entries()[-1] == ("approval.given", "first@example.org", "one")
        office.refuses(asked, office.first, errors.ApprovalRefused, "You approved this already")
        at(monkeypatch, asked.made_at + wait - timedelta(microseconds=1))
        office.refuses(asked, office.second, errors.ApprovalTooEarly, "can be given from")
        at(monkeypatch, asked.made_at + wait)
        # An approval of somebody who has lost the right since does not count.
        office.first.user_permissions.clear()
        approve(request_id=asked.pk, by=office.second, reason="two")
        assert (office.label, entries()[-1][0]) == ("Main", "approval.given")
        third = staff("third", DECIDE)
        approve(request_id=asked.pk, by=third, reason="three")
        assert (office.label, entries()[-1][0]) == ("Desk", "approval.carried-out")
        told = json.loads(Record.objects.get(action="approval.carried-out").after or "")
        assert told["approvers"] == ["second@example.org", "third@example.org"]


def test_the_database_keeps_what_was_asked_and_decided(db: None) -> None:
    def refuses(*statements: str) -> None:
        for statement in statements:
            with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
                cursor.execute(statement)

    with renaming(approvers_needed=2):
        office = Office()
        asked = office.ask()
        approve(request_id=asked.pk, by=office.first, reason="fine")
        refuses(
            "UPDATE controls_approvalrequest SET payload = '{}'",
            "UPDATE controls_approvalrequest SET ready_at = made_at - interval '1 day'",
            "UPDATE controls_approvalrequest SET maker_id = 0",
            "DELETE FROM controls_approvalrequest",
            "UPDATE controls_approval SET reason = 'x'",
            "DELETE FROM controls_approval",
            "INSERT INTO controls_approval (request_id, approver_id, given_by, given_at, reason)"
            " SELECT id, maker_id, 'x', now(), 'x' FROM controls_approvalrequest",
        )
        approve(request_id=asked.pk, by=office.second, reason="fine")
        refuses(
            "UPDATE controls_approvalrequest SET state = 'open', ended_at = NULL",
            "UPDATE controls_approvalrequest SET ended_by = 'x'",
        )


@pytest.mark.django_db(transaction=True)
def test_of_approvals_in_parallel_one_takes_effect() -> None:
    with renaming():
        office = Office()
        asked, ready = office.ask(), Barrier(2)

        def decide(by: User) -> str:
            try:
                ready.wait(60)
                return approve(request_id=asked.pk, by=by, reason="fine").state
            except errors.ApprovalClosed as error:
                return error.message
            finally:
                connection.close()

        with ThreadPoolExecutor() as pool:
            outcomes = sorted(pool.map(decide, (office.first, office.second)))
        assert outcomes == ["This request is done already.", "done"]
        assert (office.label, Approval.objects.count()) == ("Desk", 1)
        assert [name for name, *_ in entries()] == ["approval.asked", "approval.carried-out"]
