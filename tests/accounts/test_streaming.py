"""Long answers in parts (apps/accounts/streaming.py)."""

import asyncio
import time
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from apps.accounts import streaming

MAKING_S = 0.02


async def test_after_each_part_as_much_time_as_it_took_is_left_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    rests: list[float] = []
    sleep = asyncio.sleep

    async def rest(seconds: float) -> None:
        rests.append(seconds)
        await sleep(0)

    def parts() -> Iterator[str]:
        for number in range(3):
            time.sleep(MAKING_S)
            yield f"{number}\n"

    monkeypatch.setattr(streaming.asyncio, "sleep", rest)
    # As within somebody else's transaction: the connection of this test stays open.
    monkeypatch.setattr(streaming, "connection", SimpleNamespace(in_atomic_block=True))
    answer = streaming.streamed(parts(), content_type="text/csv", filename="x.csv")
    assert b"".join([part async for part in answer]) == b"0\n1\n2\n"
    assert len(rests) == 3
    assert min(rests) >= MAKING_S
