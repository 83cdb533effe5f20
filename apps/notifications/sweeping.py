"""Every SWEEP_EVERY_S: nudge what is due and has no nudge, forget old content, measure.

Lost nudges cost delay, never a message.
"""

import time
from datetime import timedelta
from typing import Final

import redis
import structlog
from django.db.models import Count, F, Max
from django.db.models.functions import Now
from prometheus_client import Gauge

from apps.notifications.models import EmailState, OutgoingEmail
from apps.notifications.nudging import nudge, tasks_waiting
from apps.notifications.policy import CONTENT_KEPT_S, SWEEP_ROWS_MAX

log = structlog.get_logger(__name__)

WAITING: Final = Gauge("notifications_email_waiting", "E-mails that are neither sent nor given up")
OLDEST: Final = Gauge("notifications_email_oldest_waiting_seconds", "Age of the oldest e-mail that waits")


class LastSweep:
    """When this process last swept, by time.monotonic(); its health check looks at it."""

    at_s: float | None = None


def sweep() -> int:
    """Returns the number of messages nudged. Nudging one twice does nothing, but makes the queue longer.

    With as many tasks in the queue as messages are due, each is taken to have its nudge there; if one was lost, the
    queue gets shorter than what is due.
    """
    waiting = OutgoingEmail.objects.filter(state=EmailState.QUEUED)
    due = waiting.filter(next_attempt_at__lte=Now()).order_by("next_attempt_at").values_list("pk", flat=True)
    found = _without_nudge(list(due[:SWEEP_ROWS_MAX]))
    for email_id in found:
        nudge(email_id)
    _forget()
    measured = waiting.aggregate(count=Count("pk"), age=Max(Now() - F("created_at")))
    WAITING.set(measured["count"])
    OLDEST.set(measured["age"].total_seconds() if measured["age"] else 0)
    LastSweep.at_s = time.monotonic()
    return len(found)


def _without_nudge(due: list[int]) -> list[int]:
    try:
        return due if due and tasks_waiting() < len(due) else []
    except redis.RedisError as error:
        log.warning("e-mail waits for redis-edge", emails=len(due), error=str(error))
        return []


def _forget() -> None:
    old = OutgoingEmail.objects.filter(content__isnull=False, ended_at__lt=Now() - timedelta(seconds=CONTENT_KEPT_S))
    OutgoingEmail.objects.filter(pk__in=old.values("pk")[:SWEEP_ROWS_MAX]).update(content=None)
