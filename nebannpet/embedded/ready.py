"""Waiting for an embedded server, for callers without an event loop."""

import time

from nebannpet.embedded.postgres import Postgres
from nebannpet.embedded.redis import Redis
from nebannpet.env import ConfigurationError


def wait_until_ready(server: Postgres | Redis, *, timeout_s: float = 60.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not server.is_ready():
        if time.monotonic() > deadline:
            raise ConfigurationError(f"{server.directory.name} did not answer within {timeout_s:.0f} s.")
        time.sleep(0.02)
