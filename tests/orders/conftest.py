"""Settlement on real PostgreSQL: an own connection, as the process has, and a tape whose commands the outbox sent."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tests.orders.recorded import Recorded


@pytest.fixture
def connection(transactional_db: None) -> Iterator[psycopg.Connection[Any]]:
    """The owner's connection, prepared for settlement."""
    from apps.orders.settlement.process import connect

    with connect() as opened:
        yield opened


@pytest.fixture
def recorded(connection: psycopg.Connection[Any]) -> Recorded:
    """A tape with an open market and two funded accounts, nothing settled yet."""
    return Recorded(connection)
