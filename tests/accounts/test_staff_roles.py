"""Roles of staff: groups as the table has them, with exactly their pages and actions; given by two, taken by one."""

import json
import logging
import re
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib import admin
from django.contrib.auth.models import Group
from django.contrib.messages import get_messages
from django.core.management import call_command
from django.db import transaction
from django.http import HttpResponse
from django.template.response import SimpleTemplateResponse
from django.test import Client, RequestFactory

import nebannpet.urls
from apps.accounts.errors import AccountClosed, NotInRole, NotLocked, StaffOnlyByAdmins, SwitchedAlready, UnknownRole
from apps.accounts.models import User
from apps.accounts.services.reopening import switch_off
from apps.accounts.services.staffroles import end_as_staff, take_role
from apps.accounts.staffroles import ROLES, Role
from apps.audit.actors import process
from apps.audit.models import Record
from apps.controls.approvalkinds import kinds
from apps.controls.errors import ApprovalRefused, ApprovalStale
from apps.controls.models import ApprovalRequest
from apps.controls.services.approvals import approve, ask_approval
from apps.notifications.models import Notice, OutgoingEmail
from apps.outbox.errors import ReasonMissing
from tests.accounts.factors import enter_admin
from tests.accounts.mailbox import lock_link_to, newest

pytestmark = pytest.mark.django_db
DOCUMENT = Path(settings.BASE_DIR) / "docs" / "staff.md"
# Of nobody by hand, whatever their role: what the engine and settlement write, and what was recorded.
NEVER_WRITTEN = {"ledger", "orders", "outbox", "audit"}


def staff(role: Role | None = None, name: str = "") -> User:
    email = f"{(name or role or 'nobody').replace(' ', '.')}@example.org"
    user = User.objects.create_user(email, None, is_staff=True)
    if role is not None:
        user.groups.add(Group.objects.get(name=role.value))
    return user


def allowed(user: User) -> set[str]:
    """What the admin lets this one do: "app.model view", "app.model add", "app.model name of an action" ..."""
    request = RequestFactory().get("/admin/")
    request.user = user
    found = set()
    for model, page in admin.site._registry.items():
        rights = page.get_model_perms(request)
        names = [*(name for name in ("view", "add", "change", "delete") if rights[name]), *page.get_actions(request)]
        found |= {f"{model._meta.app_label}.{model._meta.model_name} {name}" for name in names}
    return found


def decided(user: User) -> set[str]:
    """The kinds of requests that this one asks for or decides on."""
    may = {f"asks {kind.name}" for kind in kinds() if user.has_perm(kind.asking)}
    return may | {f"decides {kind.name}" for kind in kinds() if user.has_perm(kind.permission)}


def table(title: str) -> dict[str, list[str]]:
    """Rows below a title of docs/staff.md: the first cell, and the others."""
    text = DOCUMENT.read_text().split(f"## {title}\n")[1].split("\n## ")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]
    return {row[0]: row[1:] for row in rows[2:]}


def test_groups_are_what_the_table_says() -> None:
    Group.objects.create(name="made by hand")
    Group.objects.get(name="Auditor").permissions.clear()
    call_command("migrate", verbosity=0)
    found = {
        group.name: {f"{app}.{codename}" for app, codename in
                     group.permissions.values_list("content_type__app_label", "codename")}
        for group in Group.objects.all()
    }  # fmt: skip
    assert found == {role.value: set(duty.rights) for role, duty in ROLES.items()}


def test_each_role_does_exactly_what_the_document_says() -> None:
    people = {role: staff(role) for role in Role}
    done: dict[str, set[str]] = {}
    for role, user in people.items():
        for what in allowed(user) | decided(user):
            done.setdefault(what, set()).add(role.value)
    written = documented()
    assert {what: sorted(roles) for what, roles in written.items()} == {what: sorted(r) for what, r in done.items()}
    assert {role: duty.what for role, duty in ROLES.items()} == {
        Role(name): cells[0] for name, cells in table("Roles").items()
    }
    root = User.objects.create_superuser("root@example.org", None)
    assert allowed(root) == {what for what in written if what.split()[0] not in ("asks", "decides")}, "some role has it"
    assert allowed(staff()) == decided(staff(name="another")) == set()


def test_nothing_of_the_record_is_written_by_hand() -> None:
    root = User.objects.create_superuser("root@example.org", None)
    written = {what for what in allowed(root) if what.split(".")[0] in NEVER_WRITTEN and not what.endswith(" view")}
    # A review goes to the engine as a command.
    assert written == {"orders.parkedorder release", "orders.parkedorder reject"}
    assert not re.search(r"\b(change|delete)\b", " ".join(allowed(root) - written - {
        "accounts.allocationrule change", "markets.asset change", "markets.market change",
    }))  # fmt: skip


def documented() -> dict[str, list[str]]:
    """The roles to each "app.model view", "app.model name of an action", "asks kind", "decides kind" of the tables."""
    return {
        what + suffix: cells[0].split(", ")
        for title, suffix in (("What each role sees", " view"), ("What each role does", ""), ("What takes two", ""))
        for names, cells in table(title).items()
        for what in re.findall("`([^`]+)`", names)
    }


def answers(client: Client, role: Role) -> list[str]:
    """What the pages let this one do and should not, or the other way round: one line each."""
    by_role = documented()
    wrong = []
    for model, page in admin.site._registry.items():
        name = f"{model._meta.app_label}.{model._meta.model_name}"
        address, opens = f"/admin/{name.replace('.', '/')}/", role.value in by_role[f"{name} view"]
        seen = {
            "list": (client.get(address).status_code, 200 if opens else 403),
            # Who may is led back from what is not there; who may not does not hear whether it is.
            "object": (client.get(f"{address}0/change/").status_code, 302 if opens else 403),
        }
        # What no role does by hand is refused to a superuser, too (tests/pages/test_access.py).
        if may := by_role.get(f"{name} add"):
            seen["add"] = (client.get(f"{address}add/").status_code, 200 if role.value in may else 403)
        if may := by_role.get(f"{name} change"):
            seen["change"] = (client.post(f"{address}0/change/").status_code, 302 if role.value in may else 403)
        for action in page.actions or ():
            title = action if isinstance(action, str) else action.__name__
            client.cookies.pop("messages", None)
            answer = client.post(address, {"action": title, "_selected_action": ["0"], "index": "0", "reason": "x"})
            told = [str(message) for message in get_messages(answer.wsgi_request)]
            done = answer.status_code == 302 and "No action selected." not in told
            seen[title] = (done, role.value in by_role[f"{name} {title}"])
            if not opens:
                break
        wrong += [f"{role}: {name} {what}: {got}, not {due}" for what, (got, due) in seen.items() if got != due]
    return wrong


def test_the_pages_answer_each_role_as_the_document_says(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """Object access for each role, over HTTP: the list, the forms and the actions of each page, and a decision.

    What the pages show is not made here: it takes nine tenths of the time, and other tests look at it.
    """
    monkeypatch.setattr(logging.getLogger("django.request"), "disabled", True)
    monkeypatch.setattr(SimpleTemplateResponse, "rendered_content", "")
    monkeypatch.setattr(nebannpet.urls, "handler403", lambda *_, **__: HttpResponse(status=403), raising=False)
    User.objects.filter(pk=alice.pk).update(is_active=False)
    waits = ask(User.objects.create_superuser("root@example.org", None), "user-on", alice)
    wrong = []
    for role in Role:
        client = Client()
        enter_admin(client, staff(role))
        wrong += answers(client, role)
        mark = transaction.savepoint()
        client.post(f"/admin/controls/approvalrequest/{waits.pk}/change/", {"decision": "approve", "reason": "x"})
        alice.refresh_from_db()
        if alice.is_active is not (role.value in documented()["decides user-on"]):
            wrong.append(f"{role}: decides user-on: {alice.is_active}")
        transaction.savepoint_rollback(mark)
    assert not wrong, "\n".join(wrong)


def ask(maker: User, kind: str, about: User, **payload: str) -> ApprovalRequest:
    return ask_approval(kind=kind, subject=f"user:{about.pk}", payload=payload, reason="as agreed", by=maker)


def told(action: str) -> Any:
    made = Record.objects.get(action=action)
    return made.actor_id, json.loads(made.before or "null"), json.loads(made.after or "null")


def test_a_role_is_given_by_two_and_taken_by_one(alice: User) -> None:
    maker, checker = staff(Role.ADMIN, "maker"), staff(Role.ADMIN, "checker")
    for wrong in ("", "Root", "admin"):
        with pytest.raises(UnknownRole, match="Choose a role: SOC analyst"):
            ask(maker, "staff-role", alice, role=wrong)
    with pytest.raises(ApprovalRefused):
        ask(staff(Role.SUPPORT), "staff-role", alice, role="Support")
    asked = ask(maker, "staff-role", alice, role="Support")
    alice.refresh_from_db()
    assert (alice.is_staff, asked.changes[0]) == (False, ("role Support", "no staff", "also Support"))
    with pytest.raises(ApprovalRefused):
        approve(request_id=asked.pk, by=maker, reason="mine")
    approve(request_id=asked.pk, by=checker, reason="knows her")
    alice.refresh_from_db()
    assert (alice.is_staff, alice.is_superuser, alice.has_perm("accounts.reopen_user")) == (True, False, True)
    assert "from no staff to Support." in newest(alice.email, "staff_changed").text
    notice = Notice.objects.get(user=alice)
    assert (notice.title, notice.body[:24]) == ("Your roles of staff were changed", "From no staff to Support")
    assert told("staff.role-given") == ("checker@example.org", {"roles": "no staff"}, {"roles": "Support"})
    with pytest.raises(ApprovalStale, match="Nothing would change"):
        ask(maker, "staff-role", alice, role="Support")
    with pytest.raises(NotInRole):
        take_role(user_id=alice.pk, role="Admin", reason="x", actor=process("test"))
    with pytest.raises(ReasonMissing):
        take_role(user_id=alice.pk, role="Support", reason="", actor=process("test"))
    take_role(user_id=alice.pk, role="Support", reason="moved on", actor=process("test"))
    assert not User.objects.get(pk=alice.pk).has_perm("accounts.reopen_user")
    assert "from Support to staff of no role." in newest(alice.email, "staff_changed").text
    end_as_staff(user_id=alice.pk, reason="left", actor=process("test"))
    assert not User.objects.get(pk=alice.pk).is_staff
    assert "from staff of no role to no staff." in newest(alice.email, "staff_changed").text
    assert lock_link_to(alice.email, "staff_changed")
    with pytest.raises(NotInRole, match="Not of the staff"):
        end_as_staff(user_id=alice.pk, reason="left", actor=process("test"))
    assert OutgoingEmail.objects.filter(template="staff_changed").count() == Notice.objects.count() == 3


def test_switched_off_by_one_and_on_again_by_two(alice: User) -> None:
    support, lead = staff(Role.SUPPORT), staff(Role.COMPLIANCE)
    client = Client()
    enter_admin(client, support)
    users = "/admin/accounts/user/"
    client.post(users, {"action": "switch_off", "_selected_action": [alice.pk, lead.pk], "reason": "stolen"})
    alice.refresh_from_db()
    lead.refresh_from_db()
    assert (alice.is_active, lead.is_active) == (False, True), "a member of the staff is not for support"
    answer = client.post(
        users, {"action": "switch_off", "_selected_action": [support.pk], "reason": "leaving"}, follow=True
    )
    assert "another of staff does" in answer.content.decode()
    with pytest.raises(StaffOnlyByAdmins):
        switch_off(user_id=lead.pk, reason="x", actor=process("test"), may_staff=False)
    with pytest.raises(SwitchedAlready):
        switch_off(user_id=alice.pk, reason="x", actor=process("test"), may_staff=True)
    assert "another of staff decides" in client.post(
        users, {"action": "ask_on", "_selected_action": [alice.pk], "reason": "found"}, follow=True
    ).content.decode()  # fmt: skip
    listed = client.get("/admin/controls/approvalrequest/").content.decode()
    assert f"alice@example.org (user:{alice.pk})" in listed
    approve(request_id=ApprovalRequest.objects.get().pk, by=lead, reason="proved it")
    alice.refresh_from_db()
    assert alice.is_active
    assert [each[0] for each in ApprovalRequest.objects.get().changes] == ["account"]
    switch_off(user_id=lead.pk, reason="x", actor=process("test"), may_staff=True)
    back = ask(support, "user-on", lead)
    assert ["staff", "switched off", "Compliance"] in [list(each) for each in back.changes]
    assert told("user.switched-on")[::2] == ("Compliance@example.org".lower(), {"asked_by": "support@example.org"})


def test_what_its_owner_closed_is_neither_switched_on_nor_staff(alice: User) -> None:
    support, admin = staff(Role.SUPPORT), staff(Role.ADMIN)
    User.objects.filter(pk=alice.pk).update(is_active=False)
    asked = ask(support, "user-on", alice)
    User.objects.filter(pk=alice.pk).update(closed_at="2026-11-01T00:00:00Z")
    with pytest.raises(AccountClosed, match="closed by its owner, for good"):
        approve(request_id=asked.pk, by=staff(Role.COMPLIANCE), reason="proved it")
    with pytest.raises(AccountClosed):
        ask(support, "user-on", alice)
    with pytest.raises(AccountClosed):
        ask(admin, "staff-role", alice, role="Support")
    alice.refresh_from_db()
    assert (alice.is_active, alice.is_staff) == (False, False)


def test_a_lock_is_released_by_two_and_no_address_is_in_the_audit_log(alice: User) -> None:
    support, lead = staff(Role.SUPPORT), staff(Role.SOC_LEAD)
    with pytest.raises(NotLocked):
        ask(support, "lock-release", alice, address="alice@example.net")
    User.objects.filter(pk=alice.pk).update(lock_needs_staff=True, locked_at="2026-11-01T00:00:00Z")
    asked = ask(support, "lock-release", alice, address="Alice@Example.net")
    assert asked.changes[1] == ("e-mail address", "alice@example.org", "alice@example.net")
    approve(request_id=asked.pk, by=lead, reason="passport seen")
    alice.refresh_from_db()
    assert (alice.email, alice.lock_needs_staff) == ("alice@example.net", False)
    for row in Record.objects.filter(action__in=("approval.asked", "approval.carried-out", "user.lock-released")):
        assert "alice@" not in f"{row.before}{row.after}{row.object}{row.reason}"
