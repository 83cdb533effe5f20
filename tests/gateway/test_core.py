"""The pipelined connection to redis-core and its monitor, without a server."""

import asyncio
import gc
from pathlib import Path
from typing import Any

import pytest

from apps.gateway.core import CoreAway, CorePipe
from apps.gateway.coremonitor import CoreMonitor
from apps.gateway.tail import EventTail
from apps.streams.names import ShardKeys
from tests.gateway.test_pressure import LIMITS


def test_a_missing_server_is_told_at_once_and_leaves_nothing_behind(tmp_path: Path) -> None:
    """Every refused command is somebody's answer: asyncio reports none that nobody took."""
    reported: list[dict[str, Any]] = []

    async def run() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
        url, keys = f"unix://{tmp_path}/nobody.sock", ShardKeys("spot")
        pipe = CorePipe(url)
        monitor = CoreMonitor(pipe, EventTail(url, keys), keys, LIMITS)
        tasks = [asyncio.create_task(run()) for run in (pipe.run, monitor.run)]
        await asyncio.sleep(0.35)
        assert not monitor.alive()
        with pytest.raises(CoreAway):
            await pipe.execute("PING")
        assert not any(task.done() for task in tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        gc.collect()

    asyncio.run(run())
    assert not reported
