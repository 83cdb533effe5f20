"""The staff page of switches: a list, a form that starts one, an action that ends them."""

from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse

from apps.accounts.models import User
from apps.audit.models import Record
from apps.controls.errors import InvalidSwitch
from apps.controls.kinds import Kind, Scope
from apps.controls.models import ApprovalRequest, Switch
from apps.controls.selectors import in_force
from apps.controls.services import set_switch
from apps.controls.services.approvals import approve
from apps.markets.models import Market
from tests.accounts.factors import enter_admin
from tests.accounts.people import PASSWORD
from tests.controls.conftest import STAFF

pytestmark = pytest.mark.django_db
LIST = "/admin/controls/switch/"


@pytest.fixture
def staff() -> Client:
    client = Client()
    enter_admin(client, User.objects.create_superuser("root@example.org", PASSWORD))
    return client


def form(**values: str) -> dict[str, str]:
    return {
        "kind": "withdrawal-suspension",
        "scope": "platform",
        "subject": "",
        "until": "",
        "reason": "drill",
    } | values


def act(client: Client, switch: Switch, reason: str, action: str = "ask_end") -> Any:
    chosen = {"action": action, "_selected_action": [str(switch.pk)], "index": "0", "reason": reason}
    return client.post(LIST, chosen, follow=True)


def approve_open(by: str) -> None:
    checker = User.objects.create_superuser(by, None)
    approve(request_id=ApprovalRequest.objects.get(state="open").pk, by=checker, reason="looked at it")


def test_staff_starts_extends_and_ends_one(staff: Client, user: User, assets: None) -> None:
    sent = form(scope="user", subject=user.email)
    assert staff.post(LIST + "add/", sent | {"until": "2998-01-01 10:30"}).status_code == 302
    assert staff.post(LIST + "add/", sent | {"until": "2999-01-01 10:30"}).status_code == 302
    refused = staff.post(LIST + "add/", sent | {"until": "2997-01-01 10:30"})
    assert "would end earlier. Ask for its end" in refused.content.decode()
    [switch] = in_force()
    assert (switch.subject, f"{switch.until:%Y-%m-%d %H:%M}") == (str(user.pk), "2999-01-01 10:30")
    shown = staff.get(LIST, {"q": str(user.pk), "kind": "withdrawal-suspension", "is_on__exact": "1"}).content.decode()
    assert "drill" in shown
    assert "1 switch" in shown
    assert '<td class="field-state">on</td>' in shown
    assert "another of staff decides" in act(staff, switch, "done").content.decode()
    assert in_force() == [switch]
    assert "Another request for this is open" in act(staff, switch, "done").content.decode()
    approve_open("second@example.org")
    assert in_force() == []
    ended = Record.objects.filter(action="switch.set").latest("id")
    assert (ended.actor_id, ended.reason) == ("second@example.org", "done")
    assert "is not on" in act(staff, switch, "done").content.decode()
    Switch.objects.filter(pk=switch.pk).update(is_on=True, until="2026-01-01T00:00:00Z")
    assert '<td class="field-state">over</td>' in staff.get(LIST).content.decode()


def test_what_an_emergency_closed_only_two_of_staff_end(staff: Client) -> None:
    """Requirement E2: never by a timer, a command, or one of staff."""
    both = form(emergency="on", until="2999-01-01 10:30")
    assert "until two of staff end it" in staff.post(LIST + "add/", both).content.decode()
    assert staff.post(LIST + "add/", form(emergency="on")).status_code == 302
    # Started once more it stays one, and has no end.
    assert staff.post(LIST + "add/", form(reason="still")).status_code == 302
    [switch] = in_force()
    assert (switch.is_emergency, switch.reason) == (True, "still")
    assert "Ask for its end" in staff.post(LIST + "add/", form(until="2999-01-01 10:30")).content.decode()
    with pytest.raises(CommandError, match="one of staff asks and another approves"):
        call_command("switch", "withdrawal-suspension", "end", reason="enough")
    with pytest.raises(CommandError, match="one of staff asks and another approves"):
        call_command("switch", "withdrawal-suspension", "start", minutes=5, reason="enough")
    assert in_force() == [switch]
    act(staff, switch, "all checked")
    approve_open("second@example.org")
    assert in_force() == []
    switch.refresh_from_db()
    assert not switch.is_emergency
    with pytest.raises(InvalidSwitch, match="closes something"):
        set_switch(kind=Kind.BETA_TESTER, scope=Scope.USER, subject="1", on=True, actor=STAFF, reason="x",
                   emergency=True)  # fmt: skip


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"reason": ""}, "This field is required"),
        ({"scope": "asset"}, "Name the asset"),
        ({"scope": "asset", "subject": "BTCC"}, "There is no asset"),
        ({"kind": "whitelist-freeze", "scope": "user", "subject": "1"}, "is of platform, not of user"),
        ({"kind": "everything"}, "Select a valid choice"),
        ({"until": "2020-01-01 00:00"}, "in the past"),
        ({"until": "tomorrow"}, "Enter a valid date/time"),
        ({"subject": "a\x00b", "scope": "user"}, "Null characters are not allowed"),
    ],
)
def test_what_the_form_refuses_changes_nothing(wrong: dict[str, str], words: str, staff: Client, assets: None) -> None:
    answer = staff.post(LIST + "add/", form(**wrong))
    assert answer.status_code == 200
    assert words in answer.content.decode()
    assert in_force() == []


def test_ending_needs_a_reason(staff: Client) -> None:
    staff.post(LIST + "add/", form())
    [switch] = in_force()
    assert "Give a reason" in act(staff, switch, " ").content.decode()
    assert in_force() == [switch]


def test_no_row_is_edited_by_hand(staff: Client) -> None:
    switch = Switch.objects.get(kind="whitelist-freeze")
    page = reverse("admin:controls_switch_change", args=(switch.pk,))
    shown = staff.get(page).content.decode()
    assert "process: migrate" in shown
    assert '<input type="text"' not in shown
    assert staff.post(page, {"is_on": "on", **form()}).status_code == 403
    assert staff.post(reverse("admin:controls_switch_delete", args=(switch.pk,)), {"post": "yes"}).status_code == 403
    switch.refresh_from_db()
    assert not switch.is_on


def test_who_may_only_look_only_close_or_only_flag_does_no_more(user: User, assets: None) -> None:
    user.is_staff = True
    user.save(update_fields=("is_staff",))
    client = Client()
    enter_admin(client, user)
    flag = form(kind="beta-tester", scope="user", subject=str(user.pk))

    def starts(sent: dict[str, str]) -> bool:
        return client.post(LIST + "add/", sent).status_code == 302

    def give(*rights: str) -> None:
        user.user_permissions.set(Permission.objects.filter(codename__in=rights))

    assert client.get(LIST).status_code == 403
    give("view_switch")
    assert client.get(LIST).status_code == 200
    assert (starts(form()), starts(flag)) == (False, False)
    give("view_switch", "flag_beta_tester")
    assert (starts(form()), starts(flag)) == (False, True)
    [flagged] = in_force()
    act(client, flagged, "no flag", "ask_end")
    assert in_force() == [flagged]
    assert starts(flag | {"until": "2999-01-01 00:00"}), "a flag may end earlier"
    act(client, flagged, "tried", "end_flag")
    assert in_force() == []
    give("view_switch", "add_switch")
    assert (starts(form()), starts(flag)) == (True, False)
    [closed] = in_force()
    for action in ("ask_end", "end_flag"):
        act(client, closed, "enough", action)
    assert not ApprovalRequest.objects.exists()
    give("view_switch", "flag_beta_tester", "change_switch")
    assert "it is no flag" in act(client, closed, "enough", "end_flag").content.decode()
    act(client, closed, "enough")
    assert ApprovalRequest.objects.get().state == "open"
    assert in_force() == [closed]


def test_halts_are_shown_beside_them(staff: Client, market: Market) -> None:
    assert "None." in staff.get(LIST).content.decode()
    Market.objects.update(state=Market.State.HALTED, state_cause=Market.Cause.CLOCK)
    shown = staff.get(LIST).content.decode()
    assert "<td>BTCUSDT</td><td>Halted</td><td>Clock jumped</td><td></td>" in shown
