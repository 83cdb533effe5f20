"""One attempt to deliver one message.

First the attempt is counted and committed, and the message is claimed for CLAIM_S; then it is sent under a lock of its
row. So a message that kills the process does so ATTEMPTS_MAX times at most, and no two attempts overlap, however often
Celery says the same. The one case in which a message is given to the mail server twice: the process, or its connection
to PostgreSQL, dies between the server's OK and our commit. Both copies then carry the same Message-ID.
"""

import enum
import smtplib
from datetime import timedelta
from typing import Any, Final

import structlog
from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.core.mail.backends.smtp import EmailBackend
from django.db import transaction
from django.db.models.functions import Now
from prometheus_client import Counter

from apps.notifications.content import unseal
from apps.notifications.errors import ContentUnreadable
from apps.notifications.models import EmailState, OutgoingEmail
from apps.notifications.policy import ATTEMPTS_MAX, CLAIM_S, ERROR_LENGTH_MAX, PAUSES_S, SMTP_STEP_TIMEOUT_S
from nebannpet.logs import without_tokens

log = structlog.get_logger(__name__)

ATTEMPTS: Final = Counter("notifications_email_attempts_total", "Attempts to deliver an e-mail", ["outcome"])


class Outcome(enum.StrEnum):
    """`nothing`: it has ended, or waits for its time, or somebody else has it."""

    NOTHING = "nothing"
    SENT = "sent"
    LATER = "later"
    FAILED = "failed"


def deliver(*, email_id: int) -> Outcome:
    """Try it once, if it is due. Only PostgreSQL's errors are raised: then nothing is known to have been sent."""
    attempt = _claim(email_id)
    if attempt is None:
        return Outcome.NOTHING
    with transaction.atomic():
        # Waits where _claim does not: another's claim that comes too late holds the row for a moment as well.
        email = (
            OutgoingEmail.objects.select_for_update()
            .filter(pk=email_id, state=EmailState.QUEUED, attempts=attempt)
            .first()
        )
        if email is None:
            return Outcome.NOTHING
        outcome = _attempt(email)
        email.save(update_fields=("state", "ended_at", "next_attempt_at", "last_error"))
    ATTEMPTS.labels(outcome).inc()
    return outcome


def _claim(email_id: int) -> int | None:
    """The number of the attempt that is ours now, or None."""
    with transaction.atomic():
        email = (
            OutgoingEmail.objects.select_for_update(skip_locked=True)
            .filter(pk=email_id, state=EmailState.QUEUED, next_attempt_at__lte=Now())
            .first()
        )
        if email is None:
            return None
        if email.attempts >= ATTEMPTS_MAX:
            _give_up(email)
            return None
        email.attempts += 1
        _at(email, CLAIM_S)
        email.save(update_fields=("attempts", "next_attempt_at"))
        return email.attempts


def _give_up(email: OutgoingEmail) -> None:
    """Of a message whose last attempt never came to its end: it may kill whoever tries it."""
    email.state = EmailState.FAILED
    email.last_error = "The last attempt ended with its process; whether the mail server has the message is not known."
    _end(email)
    email.save(update_fields=("state", "ended_at", "last_error"))
    ATTEMPTS.labels(Outcome.FAILED).inc()
    log.warning("e-mail given up", email=email.pk, attempts=email.attempts)


def _attempt(email: OutgoingEmail) -> Outcome:
    try:
        _send(email)
    except (smtplib.SMTPException, OSError, ContentUnreadable) as error:
        return _failed(email, error)
    except Exception as error:
        # Nothing that a row says may stop its attempts from being counted; _send asks PostgreSQL nothing.
        log.exception("e-mail not sent for a reason nobody expected", email=email.pk)
        return _failed(email, error)
    email.state, email.last_error = EmailState.SENT, ""
    _end(email)
    log.info("e-mail sent", email=email.pk, topic=email.topic, attempt=email.attempts)
    return Outcome.SENT


def _failed(email: OutgoingEmail, error: Exception) -> Outcome:
    final = is_final(error) or email.attempts >= ATTEMPTS_MAX
    # A mail server may quote what it refuses, and staff reads this.
    email.last_error = without_tokens(f"{type(error).__name__}: {error}")[:ERROR_LENGTH_MAX]
    log.warning("e-mail not sent", email=email.pk, attempt=email.attempts, final=final, error=type(error).__name__)
    if final:
        email.state = EmailState.FAILED
        _end(email)
        return Outcome.FAILED
    _at(email, PAUSES_S[email.attempts - 1])
    return Outcome.LATER


def is_final(error: Exception) -> bool:
    """Whether the server refused this message for good (5xx), or its content is lost. All else may pass by itself.

    A refused log-in or sender is a fault of our settings: the message waits for their repair.
    """
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return all(500 <= code <= 599 for code, _ in error.recipients.values())
    if isinstance(error, smtplib.SMTPDataError):
        return 500 <= error.smtp_code <= 599
    return isinstance(error, ContentUnreadable)


def _send(email: OutgoingEmail) -> None:
    """To the mail server of EMAIL_URL; without one, the row itself is the development mailbox (views.py)."""
    assert email.content is not None, "a queued message has its content"
    content = unseal(email.content, message_id=email.message_id)
    server = settings.EMAIL_SERVER
    if server is None:
        return
    connection = EmailBackend(
        host=server.host,
        port=server.port,
        username=server.user,
        password=server.password,
        use_tls=server.security == "starttls",
        use_ssl=server.security == "tls",
        timeout=SMTP_STEP_TIMEOUT_S,
    )
    headers = {"Message-ID": email.message_id, "Auto-Submitted": "auto-generated"}
    message = EmailMultiAlternatives(
        email.subject, content.text, settings.DEFAULT_FROM_EMAIL, [email.to], headers=headers, connection=connection
    )
    message.attach_alternative(content.html, "text/html")
    message.send()


def _at(email: OutgoingEmail, seconds: int) -> None:
    """Due again so much later, by PostgreSQL's clock: workers on several hosts share it."""
    later: Any = Now() + timedelta(seconds=seconds)
    email.next_attempt_at = later


def _end(email: OutgoingEmail) -> None:
    now: Any = Now()
    email.ended_at = now
