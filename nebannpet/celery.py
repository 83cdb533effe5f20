"""Celery: work that may wait a moment, such as e-mail (architecture.md 6; traps in reliability.md 2.8 and 2.11).

A task is a nudge with a row's id, and rows in PostgreSQL are the truth. So the broker, redis-edge, may be flushed at
any moment: a sweep nudges again what still waits. There are no results, and no task waits in the broker for a time of
its own (`eta`, `countdown`), because Redis hands such tasks out again and again.
"""

import ssl
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit

from celery import Celery
from celery.signals import setup_logging
from django.conf import settings

from apps.notifications.policy import SWEEP_EVERY_S

# A task that was handed out and not acknowledged is handed out again after this: three times the longest task, which is
# an attempt to send one e-mail. Whoever shares the broker must use the same, because the shortest one counts.
VISIBILITY_TIMEOUT_S: Final = 600
# Whoever only nudges must not wait for a broker that is away; the sweep will find the row.
CONNECT_TIMEOUT_S: Final = 2


def broker_url(redis_url: str) -> str:
    """`redis_url` (redis, rediss or unix) as Kombu spells it."""
    parts = urlsplit(redis_url)
    if parts.scheme != "unix":
        return redis_url
    query = [("virtual_host" if name == "db" else name, value) for name, value in parse_qsl(parts.query)]
    return f"redis+socket://{parts.path}" + (f"?{urlencode(query)}" if query else "")


def _configuration() -> dict[str, Any]:
    transport = {
        "visibility_timeout": VISIBILITY_TIMEOUT_S,
        "socket_connect_timeout": CONNECT_TIMEOUT_S,
        # Longer than a poll of the queue, which is one second.
        "socket_timeout": 2 * CONNECT_TIMEOUT_S,
        # Of a nudge; a worker goes on trying for ever (broker_connection_max_retries).
        "max_retries": 0,
    }
    found: dict[str, Any] = {
        "broker_url": broker_url(settings.REDIS_EDGE_URL),
        "broker_transport_options": transport,
        "result_backend_transport_options": {"visibility_timeout": VISIBILITY_TIMEOUT_S},
        "visibility_timeout": VISIBILITY_TIMEOUT_S,
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "task_ignore_result": True,
        "task_publish_retry": False,
        "task_serializer": "json",
        "result_serializer": "json",
        "accept_content": ["json"],
        "task_default_queue": "nebannpet",
        "task_acks_late": True,
        "task_reject_on_worker_lost": True,
        "task_acks_on_failure": False,
        "task_acks_on_timeout": False,
        "worker_prefetch_multiplier": 1,
        "worker_enable_remote_control": False,
        "worker_hijack_root_logger": False,
        "worker_redirect_stdouts": False,
        "beat_schedule": {
            "sweep-emails": {
                "task": "notifications.sweep_emails",
                "schedule": SWEEP_EVERY_S,
                # Those that pile up while no worker runs would all do the same.
                "options": {"expires": SWEEP_EVERY_S},
            },
        },
        "timezone": "UTC",
    }
    if urlsplit(settings.REDIS_EDGE_URL).scheme == "rediss":
        found["broker_use_ssl"] = {"ssl_cert_reqs": ssl.CERT_REQUIRED}
    return found


app = Celery("nebannpet", set_as_current=True)
app.conf.update(_configuration())
app.autodiscover_tasks()


@setup_logging.connect  # type: ignore[untyped-decorator]
def _keep_our_logging(**_: object) -> None:
    """nebannpet/logs.py has set it up; a receiver of this signal keeps Celery from doing it again."""
