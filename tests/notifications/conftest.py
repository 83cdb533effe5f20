"""A real mail server in a thread, and nudges that are written down instead of sent."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings

from apps.notifications.models import OutgoingEmail, Topic
from apps.notifications.services import send_email
from nebannpet.env import EmailServer
from tests.ports import free_port


@dataclass
class Recorder:
    """Keeps what it is given; `answers` are given to the next messages instead of OK, one each."""

    received: list[EmailMessage] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    refused_recipients: dict[str, str] = field(default_factory=dict)

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        if address in self.refused_recipients:
            return self.refused_recipients[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if self.answers:
            return self.answers.pop(0)
        message = BytesParser(policy=default).parsebytes(envelope.content)
        assert isinstance(message, EmailMessage)
        self.received.append(message)
        return "250 OK"


@pytest.fixture
def smtp(settings: Settings) -> Iterator[Recorder]:
    """A mail server that EMAIL_URL names."""
    recorder = Recorder()
    port = free_port()
    controller = Controller(recorder, hostname="127.0.0.1", port=port)
    controller.start()
    settings.EMAIL_SERVER = EmailServer("127.0.0.1", port, "", "", "none")
    yield recorder
    controller.stop()


@pytest.fixture
def nudges(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Ids of which Celery was told; its queue looks empty."""
    from apps.notifications import sweeping
    from apps.notifications.tasks import deliver_email

    told: list[int] = []
    monkeypatch.setattr(deliver_email, "delay", told.append)
    monkeypatch.setattr(sweeping, "tasks_waiting", lambda: 0)
    return told


@pytest.fixture
def queue(nudges: list[int], django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks) -> Callable[..., Any]:
    """queue(to=..., note=...) -> the row of a message that is committed and nudged."""

    def one(to: str = "alice@example.org", note: str = "") -> OutgoingEmail:
        with django_capture_on_commit_callbacks(execute=True):
            return send_email(to=to, template="test_message", context={"note": note}, topic=Topic.SERVICE)

    return one
