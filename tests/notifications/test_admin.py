"""Staff: they see what went out, never what it says, and send again with a reason."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import Permission
from django.test import Client

from apps.accounts.models import User
from apps.notifications.models import EmailState, OutgoingEmail
from tests.accounts.factors import enter_admin
from tests.accounts.people import PASSWORD

Queue = Callable[..., OutgoingEmail]
LIST = "/admin/notifications/outgoingemail/"
pytestmark = pytest.mark.django_db


def _staff(*permissions: str) -> Client:
    user = User.objects.create_user("staff@example.org", PASSWORD, is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    enter_admin(client, user)
    return client


def _again(client: Client, email: OutgoingEmail, reason: str) -> str:
    fields = {"action": "send_again", "_selected_action": str(email.pk), "reason": reason}
    return str(client.post(LIST, fields, follow=True).content.decode())


def test_pages_show_no_content(queue: Queue) -> None:
    email = queue(note="canary-7f3a")
    client = _staff("view_outgoingemail")
    for path in (LIST, f"{LIST}{email.pk}/change/", f"{LIST}?q=alice@example.org"):
        response = client.get(path)
        assert response.status_code == 200
        assert email.to in response.content.decode()
        assert "canary-7f3a" not in response.content.decode()


def test_nothing_can_be_added_changed_or_deleted(queue: Queue) -> None:
    email = queue()
    client = Client()
    enter_admin(client, User.objects.create_superuser("root@example.org", PASSWORD))
    for path in (f"{LIST}add/", f"{LIST}{email.pk}/delete/"):
        assert client.post(path, {}).status_code == 403
    assert client.post(f"{LIST}{email.pk}/change/", {"to": "x@example.org"}).status_code == 403
    assert OutgoingEmail.objects.get().to == "alice@example.org"


def test_again_with_a_reason(queue: Queue) -> None:
    email = queue()
    OutgoingEmail.objects.update(state=EmailState.FAILED, ended_at=email.created_at)
    client = _staff("view_outgoingemail", "send_again_outgoingemail")
    assert "Give a reason" in _again(client, email, "")
    assert OutgoingEmail.objects.count() == 1
    assert "is sent again as" in _again(client, email, "typo in our settings")
    copy = OutgoingEmail.objects.get(again_of=email)
    assert (copy.asked_by, copy.reason) == ("staff: staff@example.org", "typo in our settings")


def test_again_needs_its_permission(queue: Queue) -> None:
    email = queue()
    OutgoingEmail.objects.update(state=EmailState.FAILED, ended_at=email.created_at)
    client = _staff("view_outgoingemail")
    assert "Send again" not in client.get(LIST).content.decode()
    _again(client, email, "because")
    assert OutgoingEmail.objects.count() == 1
