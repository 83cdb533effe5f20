"""redis-edge as the site asks it: one short call, and none for a while after it did not answer (threat-T28)."""

import time
from collections.abc import Callable
from functools import cache
from typing import Any

import structlog
from django.conf import settings
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from apps.web.api.policy import EDGE_PAUSE_S, EDGE_TIMEOUT_S

log = structlog.get_logger("nebannpet.platformapi")


class EdgeDown(Exception):
    """It does not answer, or did not a moment ago."""


class Edge:
    def __init__(self, url: str) -> None:
        self._client = Redis.from_url(
            url,
            socket_timeout=EDGE_TIMEOUT_S,
            socket_connect_timeout=EDGE_TIMEOUT_S,
            retry=Retry(NoBackoff(), 0),
        )
        self._ask_again_at = 0.0

    def ask(self, call: "Callable[[Redis], Any]") -> Any:
        """What `call` says. Raises EdgeDown."""
        if time.monotonic() < self._ask_again_at:
            raise EdgeDown
        try:
            return call(self._client)
        except (RedisError, OSError) as error:
            self._ask_again_at = time.monotonic() + EDGE_PAUSE_S
            log.warning("redis-edge does not answer; this process goes on without it", error=repr(error))
            raise EdgeDown from error


@cache
def edge_at(url: str) -> Edge:
    return Edge(url)


def edge() -> Edge:
    return edge_at(settings.REDIS_EDGE_URL)
