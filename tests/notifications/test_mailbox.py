"""/dev/mail: what a developer reads instead of an inbox; in production it does not exist."""

from collections.abc import Callable

import pytest
from django.test import Client
from pytest_django import Settings

from apps.notifications.models import OutgoingEmail
from tests.pages.inline import Inline

Queue = Callable[..., OutgoingEmail]
pytestmark = pytest.mark.django_db


def _paths(email: OutgoingEmail) -> list[str]:
    return ["/dev/mail", f"/dev/mail/{email.pk}", f"/dev/mail/{email.pk}/html"]


def test_list_and_message(queue: Queue) -> None:
    assert "No e-mail yet" in Client().get("/dev/mail").content.decode()
    email = queue(note="see http://localhost:8000/x?y=1&z=2 <b>")
    page = Client().get("/dev/mail").content.decode()
    assert f'href="/dev/mail/{email.pk}"' in page
    assert email.subject in page
    page = Client().get(f"/dev/mail/{email.pk}").content.decode()
    assert "&lt;b&gt;" in page
    assert 'href="http://localhost:8000/x?y=1&amp;z=2"' in page


def test_html_is_sandboxed_and_needs_nothing_that_the_policy_forbids(queue: Queue) -> None:
    email = queue(note="<script>alert(1)</script>")
    response = Client().get(f"/dev/mail/{email.pk}/html")
    directives = [part.strip() for part in response["Content-Security-Policy"].split(";")]
    assert {"sandbox", "default-src 'none'", "script-src 'self'", "style-src 'self'"} <= set(directives)
    parser = Inline()
    parser.feed(response.content.decode())
    assert parser.found == []


def test_in_production_there_is_no_mailbox(queue: Queue, settings: Settings) -> None:
    email = queue()
    assert [Client().get(path).status_code for path in _paths(email)] == [200] * 3
    settings.DEV_MAILBOX = False
    assert [Client().get(path).status_code for path in _paths(email)] == [404] * 3


def test_what_is_not_there_and_what_is_forgotten_is_404(queue: Queue) -> None:
    email = queue()
    OutgoingEmail.objects.update(state="sent", ended_at=email.created_at, content=None)
    assert [Client().get(path).status_code for path in _paths(email)] == [200, 404, 404]
    assert Client().get("/dev/mail/999999999").status_code == 404
