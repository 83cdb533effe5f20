"""Mailed links pass through Celery: what fails there tells their tokens to no log and no table (threat-T27)."""

import io
import time
from collections.abc import Callable, Iterator

import pytest
from celery.contrib.testing.worker import start_worker

from apps.accounts.models import User
from apps.accounts.services.resets import request_reset
from apps.notifications.models import EmailState, OutgoingEmail
from nebannpet.celery import app
from tests.accounts.mailbox import HERE, link_to, token_of
from tests.accounts.people import PASSWORD
from tests.notifications.conftest import Recorder, smtp
from tests.security.logged import log_of
from tests.security.test_canaries import columns, spellings

__all__ = ["smtp"]
SOON_S = 60.0


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    with log_of("json", monkeypatch) as stream:
        yield stream


def _soon(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SOON_S
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.django_db(transaction=True)
def test_a_worker_that_fails(
    smtp: Recorder, edge: object, written: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mail server that quotes what it refuses; a fault before that, and one around the task, whose texts do."""
    alice = User.objects.create_user("alice@example.org", PASSWORD)
    links: list[str] = []

    def new_link() -> str:
        request_reset(email=alice.email, client=HERE)
        links.append("http://localhost:8000" + link_to(alice.email))
        return links[-1]

    def fails(*_: object, **__: object) -> None:
        raise RuntimeError(f"a fault of ours at {links[-1]}")

    def refused() -> bool:
        return OutgoingEmail.objects.filter(state=EmailState.FAILED).exists()

    # The nudge of each waits in the queue until there is a worker.
    smtp.answers.append(f"554 5.7.1 Blocked: {new_link()} is on a list")
    with start_worker(app, pool="solo", perform_ping_check=False):
        _soon(refused)
    for target in ("apps.notifications.delivery._send", "apps.notifications.tasks.deliver"):
        with monkeypatch.context() as patch:
            patch.setattr(target, fails)
            told = written.getvalue().count("a fault of ours at")
            new_link()
            with start_worker(app, pool="solo", perform_ping_check=False):
                _soon(lambda told=told: written.getvalue().count("a fault of ours at") > told)

    log, tables = written.getvalue(), list(columns())
    assert "/account/reset-password/[token]" in log
    error = OutgoingEmail.objects.get(state=EmailState.FAILED).last_error
    assert "5.7.1 Blocked: http://localhost:8000/account/reset-password/[token] is on a list" in error
    for link in links:
        for way in spellings(token_of(link)):
            assert way not in log
            assert [(table, name) for table, name, text in tables if way in text] == []
