"""Queuing: a row in the caller's transaction, rendered at once, sealed at rest."""

from collections.abc import Callable

import pytest
from django.db import connection, transaction
from pytest_django import DjangoAssertNumQueries, Settings

from apps.notifications import nudging
from apps.notifications.content import render, unseal
from apps.notifications.errors import ContentUnreadable, NotSendable
from apps.notifications.models import EmailState, OutgoingEmail, Topic
from apps.notifications.services import send_again, send_email

Queue = Callable[..., OutgoingEmail]


def _send(**changes: object) -> OutgoingEmail:
    return send_email(
        **{"to": "a@example.org", "template": "test_message", "context": {}, "topic": Topic.SERVICE, **changes}  # type: ignore[arg-type]
    )


@pytest.mark.django_db(transaction=True)
def test_a_rolled_back_caller_leaves_no_message_and_no_nudge(nudges: list[int]) -> None:
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        _send()
        raise ZeroDivisionError
    assert not OutgoingEmail.objects.exists()
    with transaction.atomic():
        email = _send()
        assert nudges == []
    assert nudges == [email.pk]


@pytest.mark.django_db
def test_a_new_row(queue: Queue, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    with django_assert_num_queries(1):
        email = _send()
    email.refresh_from_db()
    assert (email.state, email.attempts, email.ended_at) == (EmailState.QUEUED, 0, None)
    assert email.subject == "E-mail from Nebannpet works"
    assert email.message_id.endswith("@localhost>")
    assert queue().message_id != email.message_id


@pytest.mark.django_db
def test_links_and_names_come_from_the_settings(settings: Settings, queue: Queue) -> None:
    settings.PUBLIC_ORIGIN = "https://exchange.example"
    email = queue()
    content = unseal(email.content or b"", message_id=email.message_id)
    assert "https://exchange.example/" in content.text
    assert 'href="https://exchange.example/"' in content.html
    assert email.message_id.endswith("@exchange.example>")
    for text in (content.text, content.html):
        assert "Nebannpet" in text
        assert email.to in text


def test_text_is_plain_and_html_is_escaped() -> None:
    note = "<script>x('&')</script>"
    _, content = render("test_message", {"note": note}, to="a@example.org")
    assert note in content.text
    assert "<script" not in content.html
    assert "&lt;script&gt;" in content.html


def test_html_needs_no_style_no_script_and_nothing_from_elsewhere() -> None:
    from tests.pages.inline import Inline

    _, content = render("test_message", {}, to="a@example.org")
    parser = Inline()
    parser.feed(content.html)
    assert [found for found in parser.found if not found.startswith("<a href=")] == []
    assert "<img" not in content.html


@pytest.mark.django_db
def test_content_is_not_in_the_database_in_clear(queue: Queue) -> None:
    queue(note="canary-7f3a")
    with connection.cursor() as cursor:
        cursor.execute("SELECT t::text FROM notifications_outgoingemail t")
        (dump,) = cursor.fetchone()
    assert "canary-7f3a" not in dump
    assert b"canary-7f3a".hex() not in dump


@pytest.mark.django_db
def test_content_opens_only_in_its_own_row(queue: Queue) -> None:
    one, other = queue(), queue()
    with pytest.raises(ContentUnreadable, match="CREDENTIALS_KEY"):
        unseal(one.content or b"", message_id=other.message_id)


@pytest.mark.django_db
def test_without_redis_edge_the_message_is_queued_all_the_same(
    monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Callable[..., object]
) -> None:
    from celery import Celery

    from apps.notifications import tasks
    from nebannpet.celery import app

    away = Celery("away", broker="redis+socket:///nowhere/redis.sock", set_as_current=False)
    away.conf.update(
        task_publish_retry=app.conf.task_publish_retry,
        task_ignore_result=True,
        broker_transport_options=app.conf.broker_transport_options,
    )

    @away.task(name="t")  # type: ignore[untyped-decorator]
    def lost(email_id: int) -> None:
        raise AssertionError("nobody is there to run it")

    monkeypatch.setattr(tasks, "deliver_email", lost)
    said: list[str] = []
    monkeypatch.setattr(nudging.log, "warning", lambda event, **_: said.append(event))
    with django_capture_on_commit_callbacks(execute=True):  # type: ignore[attr-defined]
        email = _send()
    assert said == ["e-mail waits for the next sweep"]
    assert OutgoingEmail.objects.get().pk == email.pk


def _ended(email: OutgoingEmail, state: EmailState = EmailState.SENT) -> OutgoingEmail:
    OutgoingEmail.objects.filter(pk=email.pk).update(state=state, ended_at=email.created_at)
    email.refresh_from_db()
    return email


@pytest.mark.django_db
@pytest.mark.parametrize("state", [EmailState.SENT, EmailState.FAILED])
def test_again_is_a_message_of_its_own(queue: Queue, state: EmailState) -> None:
    old = _ended(queue(note="once"), state)
    before = OutgoingEmail.objects.filter(pk=old.pk).values().get()
    new = send_again(email_id=old.pk, asked_by="staff: boss", reason=" lost ")
    assert OutgoingEmail.objects.filter(pk=old.pk).values().get() == before
    assert (new.again_of_id, new.asked_by, new.reason, new.state) == (old.pk, "staff: boss", "lost", EmailState.QUEUED)
    assert new.message_id != old.message_id
    opened = [unseal(email.content or b"", message_id=email.message_id) for email in (old, new)]
    assert opened[0] == opened[1]


@pytest.mark.django_db
def test_again_is_refused_with_the_reason_why(queue: Queue) -> None:
    waiting, ended, forgotten = queue(), _ended(queue()), _ended(queue())
    OutgoingEmail.objects.filter(pk=forgotten.pk).update(content=None)
    for email, reason, words in (
        (waiting, "lost", "on its way"),
        (ended, "  ", "reason"),
        (forgotten, "lost", "not kept"),
    ):
        with pytest.raises(NotSendable, match=words):
            send_again(email_id=email.pk, asked_by="staff: boss", reason=reason)
    assert OutgoingEmail.objects.count() == 3
