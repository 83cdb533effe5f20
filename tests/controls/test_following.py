"""Followers of the switches see a change at once, by LISTEN or by the poll, and know when they know nothing."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from django.conf import settings

from apps.controls import following
from apps.controls.following import SWITCHES_CHANNEL, SwitchBoard
from apps.controls.gates import OPEN_GATES, UNKNOWN_GATES, Gates
from apps.gateway.database import Follower, make_pool

pytestmark = pytest.mark.django_db(transaction=True)
DEADLINE_S = 60
SUSPEND = "UPDATE controls_switch SET is_on = TRUE WHERE kind = 'withdrawal-suspension' AND scope = 'platform'"
NOTIFY_LOST = "ALTER TABLE controls_switch DISABLE TRIGGER controls_switch_version"


def followed(test: Callable[[SwitchBoard], Awaitable[None]]) -> None:
    """Run `test` beside a follower as the gateway has it."""

    async def run() -> None:
        board = SwitchBoard()
        pool = make_pool(settings.DATABASE_DSN, "")
        await pool.open(wait=False)
        follower = Follower(settings.DATABASE_DSN, "", (SWITCHES_CHANNEL,), (board,), pool)
        assert board.gates(user_id=1) == UNKNOWN_GATES, "before the first answer"
        task = asyncio.create_task(follower.run())
        try:
            await asyncio.wait_for(follower.started.wait(), DEADLINE_S)
            await test(board)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await pool.close()

    asyncio.run(run())


async def until(board: SwitchBoard, seen: Callable[[Gates], bool]) -> None:
    deadline_s = time.monotonic() + DEADLINE_S
    while not seen(board.gates(user_id=1, asset="BTC")):
        assert time.monotonic() < deadline_s, "the change was not seen"
        await asyncio.sleep(0.01)


async def execute(*statements: str) -> None:
    async with await psycopg.AsyncConnection.connect(settings.DATABASE_DSN, autocommit=True) as another:
        for statement in statements:
            await another.execute(statement)


def test_a_change_by_another_connection_is_seen_and_so_is_its_end() -> None:
    async def test(board: SwitchBoard) -> None:
        assert board.gates(user_id=1) == OPEN_GATES
        await execute(SUSPEND)
        await until(board, lambda gates: gates.withdrawals is not None)
        first = board.version
        await execute(SUSPEND.replace("TRUE", "FALSE"))
        await until(board, lambda gates: gates == OPEN_GATES)
        assert board.version > first

    followed(test)


def test_a_change_is_seen_without_its_notification() -> None:
    async def test(board: SwitchBoard) -> None:
        version = "version = nextval('controls_version_seq')"
        await execute(
            "BEGIN", NOTIFY_LOST, SUSPEND.replace("SET", f"SET {version},"),
            NOTIFY_LOST.replace("DISABLE", "ENABLE"), "COMMIT",
        )  # fmt: skip
        await until(board, lambda gates: gates.withdrawals is not None)

    followed(test)


def test_who_has_heard_nothing_for_long_knows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(board: SwitchBoard) -> None:
        assert board.gates(user_id=1) == OPEN_GATES
        monkeypatch.setattr(following, "SILENT_MAX_S", -1)
        assert board.gates(user_id=1) == UNKNOWN_GATES

    followed(test)


def test_an_end_comes_by_itself() -> None:
    async def test(board: SwitchBoard) -> None:
        await execute(SUSPEND.replace("TRUE", "TRUE, until = '2026-12-01T00:00:00Z'"))
        end = datetime(2026, 12, 1, tzinfo=UTC)
        await until(board, lambda _: board.gates(user_id=1, now=end - timedelta(seconds=1)).withdrawals is not None)
        assert board.gates(user_id=1, now=end) == OPEN_GATES

    followed(test)
