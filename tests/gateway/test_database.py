"""What the gateway says of a database that it cannot follow."""

import asyncio
from typing import Any

import psycopg
import pytest
from structlog.testing import capture_logs

from apps.gateway import database
from tests.gateway.test_core import eventually


class Older:
    """Rows of a table that a later release made."""

    async def start(self, connection: psycopg.AsyncConnection[Any]) -> None:
        await connection.execute("SELECT * FROM made_by_a_later_release")

    async def refresh(self, connection: psycopg.AsyncConnection[Any]) -> None:
        raise AssertionError("it never starts")


@pytest.mark.parametrize(
    ("dsn", "said"),
    [("", "PostgreSQL lacks what this release reads: run manage.py set_up"), ("port=1", "PostgreSQL is away")],
)
def test_an_older_schema_is_told_apart_from_a_database_that_is_away(
    postgres_dsn: str, monkeypatch: pytest.MonkeyPatch, dsn: str, said: str
) -> None:
    monkeypatch.setattr(database, "RECONNECT_S", 0)

    async def run() -> None:
        async with database.make_pool(postgres_dsn, "") as pool:
            follower = database.Follower(f"{postgres_dsn} {dsn}", "", (), [Older()], pool)
            following = asyncio.create_task(follower.run())
            await eventually(lambda: len(lines) >= 2)
            following.cancel()
            assert not follower.started.is_set()

    with capture_logs() as lines:
        asyncio.run(run())
    assert all(line["event"].startswith(said) for line in lines), lines
