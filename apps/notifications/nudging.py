"""Telling Celery that a row waits. A nudge may be lost: the sweep finds what waits (tasks.py)."""

import redis
import structlog
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

log = structlog.get_logger(__name__)


def nudge(email_id: int) -> None:
    """Where redis-edge is away this is a line in the log, at once: the row is there, and is swept later."""
    # Processes that never send e-mail load this app too, and need no Celery in their memory.
    from kombu.exceptions import OperationalError

    from apps.notifications.tasks import deliver_email

    try:
        deliver_email.delay(email_id)
    except OperationalError as error:
        log.warning("e-mail waits for the next sweep", email=email_id, error=str(error))


def tasks_waiting() -> int:
    """Tasks in redis-edge that no worker has taken. Raises redis.RedisError."""
    from nebannpet.celery import CONNECT_TIMEOUT_S, app

    with redis.Redis.from_url(
        settings.REDIS_EDGE_URL,
        socket_connect_timeout=CONNECT_TIMEOUT_S,
        socket_timeout=CONNECT_TIMEOUT_S,
        retry=Retry(NoBackoff(), 0),
    ) as client:
        return int(client.llen(app.conf.task_default_queue))
