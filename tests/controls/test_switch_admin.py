"""The staff page of switches: a list, a form that starts one, an action that ends them."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from apps.accounts.models import User
from apps.controls.models import Switch
from apps.controls.selectors import in_force
from apps.markets.models import Market
from tests.accounts.factors import enter_admin
from tests.accounts.people import PASSWORD

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


def act(client: Client, switch: Switch, reason: str) -> Any:
    chosen = {"action": "end", "_selected_action": [str(switch.pk)], "index": "0", "reason": reason}
    return client.post(LIST, chosen, follow=True)


def test_staff_starts_extends_and_ends_one(staff: Client, user: User, assets: None) -> None:
    sent = form(scope="user", subject=user.email)
    assert staff.post(LIST + "add/", sent).status_code == 302
    assert staff.post(LIST + "add/", sent | {"until": "2999-01-01 10:30"}).status_code == 302
    [switch] = in_force()
    assert (switch.subject, f"{switch.until:%Y-%m-%d %H:%M}") == (str(user.pk), "2999-01-01 10:30")
    shown = staff.get(LIST, {"q": str(user.pk), "kind": "withdrawal-suspension", "is_on__exact": "1"}).content.decode()
    assert "drill" in shown
    assert "1 switch" in shown
    assert '<td class="field-state">on</td>' in shown
    Switch.objects.filter(pk=switch.pk).update(until="2026-01-01T00:00:00Z")
    assert '<td class="field-state">over</td>' in staff.get(LIST).content.decode()
    assert "ended" in act(staff, switch, "done").content.decode()
    assert in_force() == []
    assert "is not on" in act(staff, switch, "done").content.decode()


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


def test_who_may_only_look_or_only_start_does_no_more(staff: Client, user: User) -> None:
    user.is_staff = True
    user.save(update_fields=("is_staff",))
    client = Client()
    enter_admin(client, user)
    assert client.get(LIST).status_code == 403
    user.user_permissions.add(Permission.objects.get(codename="view_switch"))
    assert client.get(LIST).status_code == 200
    assert client.post(LIST + "add/", form()).status_code == 403
    user.user_permissions.add(Permission.objects.get(codename="add_switch"))
    assert client.post(LIST + "add/", form()).status_code == 302
    [switch] = in_force()
    act(client, switch, "enough")
    assert in_force() == [switch]
    soon = form(until=f"{timezone.now() + timedelta(minutes=1):%Y-%m-%d %H:%M:%S}")
    assert "needs the right to change switches" in client.post(LIST + "add/", soon).content.decode()
    switch.refresh_from_db()
    assert switch.until is None
    Switch.objects.filter(pk=switch.pk).update(until="2999-01-02T00:00:00Z")
    assert client.post(LIST + "add/", form(until="2999-01-01 00:00")).status_code == 200
    assert client.post(LIST + "add/", form(until="2999-01-03 00:00")).status_code == 302
    assert client.post(LIST + "add/", form(reason="for good")).status_code == 302
    switch.refresh_from_db()
    assert (switch.until, switch.reason) == (None, "for good")
    user.user_permissions.add(Permission.objects.get(codename="change_switch"))
    assert client.post(LIST + "add/", soon).status_code == 302
    switch.refresh_from_db()
    assert switch.until is not None
    act(client, switch, "enough")
    assert in_force() == []


def test_halts_are_shown_beside_them(staff: Client, market: Market) -> None:
    assert "None." in staff.get(LIST).content.decode()
    Market.objects.update(state=Market.State.HALTED, state_cause=Market.Cause.CLOCK)
    shown = staff.get(LIST).content.decode()
    assert "<td>BTCUSDT</td><td>Halted</td><td>Clock jumped</td>" in shown
