"""Delivering: once, tried again with growing pauses, never for ever, and never by two at once."""

import smtplib
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import OperationalError, connection, transaction
from django.db.models.functions import Now
from django.utils import timezone
from pytest_django import Settings

from apps.notifications import delivery
from apps.notifications.delivery import Outcome, deliver, is_final
from apps.notifications.errors import ContentUnreadable
from apps.notifications.models import EmailState, OutgoingEmail, Topic
from apps.notifications.policy import ATTEMPTS_MAX, CLAIM_S, PAUSES_S
from apps.notifications.services import send_email
from nebannpet.env import EmailServer
from tests.notifications.conftest import Recorder
from tests.ports import free_port

Queue = Callable[..., OutgoingEmail]


def _due(email: OutgoingEmail) -> OutgoingEmail:
    OutgoingEmail.objects.filter(pk=email.pk).update(next_attempt_at=Now())
    email.refresh_from_db()
    return email


@pytest.mark.django_db
def test_a_message_as_it_arrives(smtp: Recorder, queue: Queue, settings: Settings) -> None:
    settings.DEFAULT_FROM_EMAIL = "Nebannpet <no-reply@exchange.example>"
    email = queue(note="héllo <b>")
    assert deliver(email_id=email.pk) is Outcome.SENT
    (message,) = smtp.received
    assert (message["Message-ID"], message["To"], message["From"], message["Auto-Submitted"]) == (
        email.message_id, "alice@example.org", settings.DEFAULT_FROM_EMAIL, "auto-generated",
    )  # fmt: skip
    assert message["Subject"] == email.subject
    plain, html = message.get_body(("plain",)), message.get_body(("html",))
    assert plain is not None
    assert html is not None
    assert "héllo <b>" in plain.get_content()
    assert "héllo &lt;b&gt;" in html.get_content()
    email.refresh_from_db()
    assert (email.state, email.attempts) == (EmailState.SENT, 1)
    assert email.ended_at is not None


@pytest.mark.django_db
def test_told_five_times_sends_once(smtp: Recorder, queue: Queue) -> None:
    email = queue()
    assert [deliver(email_id=email.pk) for _ in range(5)] == [Outcome.SENT, *[Outcome.NOTHING] * 4]
    assert len(smtp.received) == 1


@pytest.mark.django_db
def test_an_unknown_row_is_nothing(smtp: Recorder) -> None:
    assert deliver(email_id=1) is Outcome.NOTHING


@pytest.mark.django_db(transaction=True)
def test_ten_at_once_send_once(smtp: Recorder, nudges: list[int]) -> None:
    email = send_email(to="a@example.org", template="test_message", context={}, topic=Topic.SERVICE)
    barrier = threading.Barrier(10)

    def one(_: int) -> Outcome:
        barrier.wait(timeout=60)
        try:
            return deliver(email_id=email.pk)
        finally:
            connection.close()

    with ThreadPoolExecutor(10) as pool:
        assert sorted(pool.map(one, range(10))) == sorted([Outcome.SENT, *[Outcome.NOTHING] * 9])
    assert len(smtp.received) == 1


@pytest.mark.django_db(transaction=True)
def test_a_claim_that_comes_too_late_takes_nothing_away(
    smtp: Recorder, nudges: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It holds the row until it has seen that it is late: whoever has the claim waits for that."""
    email = send_email(to="a@example.org", template="test_message", context={}, topic=Topic.SERVICE)
    claim, locked, sender = delivery._claim, threading.Event(), connection.connection.info.backend_pid

    def late() -> None:
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                OutgoingEmail.objects.select_for_update().get(pk=email.pk)
                locked.set()
                deadline, waits = time.monotonic() + 60, False
                while not waits and not sent.is_set() and time.monotonic() < deadline:
                    cursor.execute("SELECT pg_backend_pid() = ANY (pg_blocking_pids(%s))", [sender])
                    (waits,) = cursor.fetchone()
        finally:
            connection.close()

    other, sent = threading.Thread(target=late), threading.Event()

    def claim_then_meet(email_id: int) -> int | None:
        number = claim(email_id)
        other.start()
        assert locked.wait(60)
        return number

    monkeypatch.setattr(delivery, "_claim", claim_then_meet)
    outcome = deliver(email_id=email.pk)
    sent.set()
    other.join(60)
    assert outcome is Outcome.SENT
    assert len(smtp.received) == 1


@pytest.mark.django_db(transaction=True)
def test_nobody_else_sends_while_it_is_being_sent(
    smtp: Recorder, nudges: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even when the claim is over, as for a mail server that is very slow: the lock of the row holds."""
    email = send_email(to="a@example.org", template="test_message", context={}, topic=Topic.SERVICE)
    monkeypatch.setattr(delivery, "CLAIM_S", 0)
    send, others = delivery._send, []

    def slow(row: OutgoingEmail) -> None:
        def other() -> None:
            try:
                others.append(deliver(email_id=email.pk))
            finally:
                connection.close()

        thread = threading.Thread(target=other)
        thread.start()
        thread.join(timeout=60)
        send(row)

    monkeypatch.setattr(delivery, "_send", slow)
    assert deliver(email_id=email.pk) is Outcome.SENT
    assert others == [Outcome.NOTHING]
    assert len(smtp.received) == 1


@pytest.mark.django_db(transaction=True)
def test_lost_between_ok_and_commit_is_sent_again_under_the_same_id(
    smtp: Recorder, nudges: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one case of two copies that delivery.py names."""
    email = send_email(to="a@example.org", template="test_message", context={}, topic=Topic.SERVICE)
    end = delivery._end

    def lose(row: OutgoingEmail) -> None:
        raise OperationalError("the connection is gone")

    monkeypatch.setattr(delivery, "_end", lose)
    with pytest.raises(OperationalError):
        deliver(email_id=email.pk)
    monkeypatch.setattr(delivery, "_end", end)
    email.refresh_from_db()
    assert (email.state, email.attempts) == (EmailState.QUEUED, 1)
    assert deliver(email_id=email.pk) is Outcome.NOTHING, "its claim holds"
    assert deliver(email_id=_due(email).pk) is Outcome.SENT
    assert [message["Message-ID"] for message in smtp.received] == [email.message_id] * 2


@pytest.mark.django_db
def test_pauses_grow_and_it_ends(smtp: Recorder, queue: Queue) -> None:
    email = queue()
    for number, pause_s in enumerate(PAUSES_S, 1):
        smtp.answers.append("451 later")
        assert deliver(email_id=email.pk) is Outcome.LATER
        email.refresh_from_db()
        assert (email.state, email.attempts) == (EmailState.QUEUED, number)
        left_s = (email.next_attempt_at - timezone.now()).total_seconds()
        assert pause_s - 60 < left_s <= pause_s
        assert deliver(email_id=email.pk) is Outcome.NOTHING, "not before its time"
        _due(email)
    smtp.answers.append("451 later")
    assert deliver(email_id=email.pk) is Outcome.FAILED
    email.refresh_from_db()
    assert (email.state, email.attempts) == (EmailState.FAILED, ATTEMPTS_MAX)
    assert "451" in email.last_error
    assert email.ended_at is not None
    assert deliver(email_id=_due(email).pk) is Outcome.NOTHING
    assert smtp.received == []


@pytest.mark.django_db
def test_after_a_failure_it_is_sent(smtp: Recorder, queue: Queue) -> None:
    email = queue()
    smtp.answers.append("421 busy")
    assert deliver(email_id=email.pk) is Outcome.LATER
    assert deliver(email_id=_due(email).pk) is Outcome.SENT
    email.refresh_from_db()
    assert (email.attempts, email.last_error) == (2, "")


@pytest.mark.django_db
@pytest.mark.parametrize("where", ["recipient", "data"])
def test_a_refusal_for_good_ends_it_at_once(smtp: Recorder, queue: Queue, where: str) -> None:
    email = queue()
    if where == "recipient":
        smtp.refused_recipients[email.to] = "550 no such user"
    else:
        smtp.answers.append("554 spam")
    assert deliver(email_id=email.pk) is Outcome.FAILED
    email.refresh_from_db()
    assert (email.state, email.attempts) == (EmailState.FAILED, 1)


@pytest.mark.django_db
def test_no_server_there_is_tried_again(queue: Queue, settings: Settings) -> None:
    settings.EMAIL_SERVER = EmailServer("127.0.0.1", free_port(), "", "", "none")
    assert deliver(email_id=queue().pk) is Outcome.LATER


@pytest.mark.django_db
def test_a_server_without_starttls_gets_nothing(smtp: Recorder, queue: Queue, settings: Settings) -> None:
    plain = settings.EMAIL_SERVER
    settings.EMAIL_SERVER = EmailServer(plain.host, plain.port, "", "", "starttls")
    email = queue()
    assert deliver(email_id=email.pk) is Outcome.LATER
    email.refresh_from_db()
    assert "STARTTLS" in email.last_error
    assert smtp.received == []


@pytest.mark.django_db
def test_without_a_server_it_stays_in_the_database(queue: Queue, settings: Settings) -> None:
    settings.EMAIL_SERVER = None
    email = queue()
    assert deliver(email_id=email.pk) is Outcome.SENT
    email.refresh_from_db()
    assert email.content is not None


@pytest.mark.django_db
def test_content_that_does_not_open_fails_and_says_so(smtp: Recorder, queue: Queue, settings: Settings) -> None:
    email = queue()
    settings.CREDENTIALS_KEY = "fedcba9876543210" * 4
    assert deliver(email_id=email.pk) is Outcome.FAILED
    email.refresh_from_db()
    assert "CREDENTIALS_KEY" in email.last_error


@pytest.mark.parametrize(
    ("error", "final"),
    [
        (smtplib.SMTPRecipientsRefused({"a@b": (550, b"no")}), True),
        (smtplib.SMTPRecipientsRefused({"a@b": (450, b"grey")}), False),
        (smtplib.SMTPDataError(554, b"spam"), True),
        (smtplib.SMTPDataError(451, b"later"), False),
        (smtplib.SMTPAuthenticationError(535, b"no"), False),
        (smtplib.SMTPSenderRefused(550, b"no", "x@y"), False),
        (smtplib.SMTPServerDisconnected("gone"), False),
        (TimeoutError(), False),
        (ContentUnreadable("x"), True),
    ],
)
def test_what_is_final(error: Exception, final: bool) -> None:
    assert is_final(error) is final


def test_a_claim_is_longer_than_an_attempt() -> None:
    assert delivery.SMTP_STEP_TIMEOUT_S * 10 < CLAIM_S
    assert list(PAUSES_S) == sorted(PAUSES_S)
    assert timedelta(seconds=sum(PAUSES_S)) > timedelta(hours=12)


@pytest.mark.django_db
def test_a_failure_that_nobody_expected_counts_and_ends(
    smtp: Recorder, queue: Queue, caplog: pytest.LogCaptureFixture
) -> None:
    """Such as an address that no header can hold: it would be tried every three minutes for ever."""
    email = queue(to='"a\x0bx:y"@evil.example')
    for _ in PAUSES_S:
        assert deliver(email_id=_due(email).pk) is Outcome.LATER
    assert deliver(email_id=_due(email).pk) is Outcome.FAILED
    email.refresh_from_db()
    assert (email.state, email.attempts) == (EmailState.FAILED, ATTEMPTS_MAX)
    assert "HeaderParseError" in email.last_error
    assert "Traceback" in caplog.text


@pytest.mark.django_db
def test_a_message_that_killed_its_last_attempt_is_given_up(smtp: Recorder, queue: Queue) -> None:
    email = queue()
    OutgoingEmail.objects.update(attempts=ATTEMPTS_MAX, last_error="SMTPDataError: 451")
    assert deliver(email_id=_due(email).pk) is Outcome.NOTHING
    email.refresh_from_db()
    assert (email.state, email.attempts) == (EmailState.FAILED, ATTEMPTS_MAX)
    assert "not known" in email.last_error
    assert smtp.received == []
