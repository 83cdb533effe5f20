"""The staff page of requests for approval: what waits, what it changes, and the decision with a reason."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.test import Client

from apps.accounts.models import User
from apps.controls import approvaladmin
from apps.controls.models import ApprovalRequest
from apps.controls.services.approvals import approve
from tests.accounts.factors import enter_admin
from tests.controls.approving import renaming, staff
from tests.controls.test_approvals import Office, entries

pytestmark = pytest.mark.django_db
LIST = "/admin/controls/approvalrequest/"


@pytest.fixture
def office() -> Iterator[Office]:
    with renaming():
        yield Office()


def of(user: User) -> Client:
    client = Client()
    enter_admin(client, user)
    return client


def decide(client: Client, asked: ApprovalRequest, decision: str, reason: str = "looked at it") -> Any:
    return client.post(f"{LIST}{asked.pk}/change/", {"decision": decision, "reason": reason}, follow=True)


def test_it_is_shown_and_approved(office: Office) -> None:
    asked, client = office.ask(), of(office.first)
    listed = client.get(LIST).content.decode()
    assert "Rename an account" in listed
    assert "0 of 1" in listed
    page = client.get(f"{LIST}{asked.pk}/change/").content.decode()
    assert '<th scope="row">label</th><td>Main</td><td>Desk</td>' in page
    assert ('value="approve"' in page, 'value="decline"' in page, 'value="withdraw"' in page) == (True, True, False)
    answer = decide(client, asked, "approve")
    assert answer.redirect_chain == [(LIST, 302)]
    assert "it is done" in answer.content.decode()
    assert office.label == "Desk"
    page = client.get(f"{LIST}{asked.pk}/change/").content.decode()
    assert "looked at it" in page
    assert 'name="decision"' not in page
    for query, count in (("", 0), ("?state=done", 1), ("?state=all&kind=test-rename", 1), ("?state=expired", 0)):
        assert f"{count} request" in client.get(LIST + query).content.decode(), query


def test_declined_and_withdrawn(office: Office) -> None:
    for who, decision in ((office.first, "decline"), (office.maker, "withdraw")):
        asked = office.ask()
        assert decide(of(who), asked, decision).redirect_chain
        asked.refresh_from_db()
        assert (asked.ended_by, office.label) == (f"staff: {who.email}", "Main")
    assert [name for name, *_ in entries()][1::2] == ["approval.declined", "approval.withdrawn"]


def test_what_is_refused_is_said_and_changes_nothing(office: Office) -> None:
    asked = office.ask()
    viewer = staff("viewer")
    maker, first, looking = of(office.maker), of(office.first), of(viewer)
    nobody = of(User.objects.create_user("x@example.org", None))
    own = maker.get(f"{LIST}{asked.pk}/change/").content.decode()
    assert "You asked for this: it takes somebody else." in own
    assert ('value="approve"' in own, 'value="withdraw"' in own) == (False, True)
    for client, decision, reason, words in (
        (maker, "approve", "fine", "You asked for this"),
        (looking, "approve", "fine", "not the right to decide"),
        (first, "approve", "", "Give a reason"),
        (first, "execute", "fine", "Nothing was decided"),
        (first, "withdraw", "fine", "Only who asked"),
    ):
        answer = decide(client, asked, decision, reason)
        assert (answer.status_code, answer.redirect_chain) == (200, [])
        assert words in answer.content.decode()
    assert decide(nobody, asked, "approve").status_code == 403
    viewer.user_permissions.clear()
    assert decide(looking, asked, "approve").status_code == 403
    asked.refresh_from_db()
    assert (asked.state, office.label, len(entries())) == ("open", "Main", 1)
    assert first.get(f"{LIST}999999/change/").status_code == 302


def test_a_session_that_ended_meanwhile_decides_nothing(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, client = office.ask(), of(office.first)

    def meanwhile(**given: Any) -> Any:
        Session.objects.all().delete()
        return approve(**given)

    monkeypatch.setitem(approvaladmin._DECISIONS, "approve", meanwhile)
    decide(client, asked, "approve")
    assert (office.label, len(entries())) == ("Main", 1)
