"""The pipelined connection to redis-core and its monitor, by themselves."""

import asyncio
import gc
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from redis.exceptions import NoScriptError
from structlog.testing import capture_logs

from apps.gateway.core import CoreAway, CorePipe
from apps.gateway.coremonitor import CoreMonitor
from apps.gateway.settled import Settled
from apps.gateway.tail import EventTail
from apps.streams.bus.redis import RedisBus
from apps.streams.bus.scripts import APPEND_COMMANDS, APPEND_COMMANDS_SHA
from apps.streams.names import ShardKeys
from tests.gateway.test_pressure import LIMITS
from tests.streams.redis_server import running_redis


async def eventually(holds: Callable[[], Any]) -> None:
    async with asyncio.timeout(40):
        while not holds():  # noqa: ASYNC110  nothing announces it
            await asyncio.sleep(0.01)


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


def test_lost_announcements_are_said_once_and_again_when_they_are_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not at every attempt to connect: an outage of an hour would fill the log."""
    monkeypatch.setattr("apps.gateway.settled.RECONNECT_S", 0.01)

    async def run() -> None:
        url = f"unix://{tmp_path}/core/redis-core.sock"
        pipe = CorePipe(url)
        settled = Settled(url, pipe, pipe, ShardKeys("spot"))
        following = asyncio.create_task(settled.run())
        await eventually(lambda: lines)
        await asyncio.sleep(0.3)
        with running_redis(tmp_path / "core") as server:
            settled._url = server.url
            await eventually(lambda: len(lines) > 1)
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)

    with capture_logs() as lines:
        asyncio.run(run())
    told = [line["event"] for line in lines]
    assert told[:2] == ["settlement announcements lost", "settlement announcements again"]
    assert len(told) <= 3, "and at most once more, when the server stopped"


def test_a_process_that_was_held_up_does_not_doubt_redis_core(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Late polls on a busy machine refuse no order; an unanswered one does, and so does a picture too old to act on."""
    monkeypatch.setattr("apps.gateway.coremonitor.CORE_SILENT_MAX_S", 0.3)
    keys = ShardKeys("spot")
    with running_redis(tmp_path / "core") as server, server.client() as client:
        client.set(keys.lease, "somebody")

        async def run() -> None:
            pipe, tail = CorePipe(server.url), EventTail(server.url, keys)
            monitor = CoreMonitor(pipe, tail, keys, LIMITS)
            tasks = [asyncio.create_task(part.run()) for part in (pipe, tail, monitor)]
            assert not monitor.started.is_set()
            assert not monitor.alive()
            await monitor.started.wait()
            await eventually(lambda: monitor.alive() and monitor._asked_s is None)
            time.sleep(0.5)  # noqa: ASYNC251  the whole process
            assert monitor.alive()
            monkeypatch.setattr("apps.gateway.coremonitor.POLL_AGE_MAX_S", 0.5)
            assert not monitor.alive()
            monkeypatch.undo()
            monkeypatch.setattr("apps.gateway.coremonitor.CORE_SILENT_MAX_S", 0.3)
            with server.frozen():
                await eventually(lambda: not monitor.alive())
            await eventually(monitor.alive)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        asyncio.run(run())


def test_forgotten_scripts_cost_one_refusal(tmp_path: Path) -> None:
    """Somebody empties the server's script cache: the append of this moment did not happen, and the next one works."""
    with running_redis(tmp_path / "core") as server, server.client() as client:

        async def run() -> None:
            pipe = CorePipe(server.url, scripts=(APPEND_COMMANDS,))
            serving = asyncio.create_task(pipe.run())
            await eventually(lambda: pipe.connected)
            append = ("EVALSHA", APPEND_COMMANDS_SHA, 2, "commands", "frames_in", b"x", 1, 0)
            await pipe.execute(*append)
            client.script_flush()
            with pytest.raises(NoScriptError):
                await pipe.execute(*append)
            await pipe.execute(*append)
            assert (client.xlen("commands"), client.get("frames_in")) == (2, b"2")
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)

        asyncio.run(run())


def test_a_silent_subscription_is_asked_for_a_sign_of_life(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without one it is made anew; otherwise it stays, however long settlement has nothing to announce."""
    monkeypatch.setattr("apps.gateway.settled.QUIET_S", 0.5)
    monkeypatch.setattr("apps.gateway.core.CORE_CONNECT_TIMEOUT_S", 0.5)
    with running_redis(tmp_path / "core") as server, server.client() as client:

        def subscribers() -> list[str]:
            return [row["id"] for row in client.client_list() if row["sub"] == "1"]

        def asked() -> int:
            return int(client.info("commandstats").get("cmdstat_ping", {"calls": 0})["calls"])

        async def run() -> None:
            bus, pipe = RedisBus(server.url, "spot"), CorePipe(server.url)
            settled = Settled(server.url, pipe, pipe, ShardKeys("spot"))
            following = asyncio.create_task(settled.run())
            async with asyncio.timeout(120):
                await eventually(subscribers)
                first, before = subscribers(), asked()
                # Who has no answer to the first one does not ask again.
                await eventually(lambda: asked() >= before + 2)
                assert subscribers() == first
                with server.frozen():
                    await eventually(lambda: settled._lost)
                await eventually(lambda: subscribers() not in ([], first))
                while settled.seq != 5:
                    bus.announce_settled(5)
                    await asyncio.sleep(0.05)
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
            bus.close()

        asyncio.run(run())


def test_a_read_that_waits_for_settlement_says_so_once(tmp_path: Path) -> None:
    keys = ShardKeys("spot")
    with running_redis(tmp_path / "core") as server, server.client() as client:
        client.hset(keys.head, "seq", 7)

        async def run() -> None:
            bus, pipe = RedisBus(server.url, "spot"), CorePipe(server.url)
            settled = Settled(server.url, pipe, pipe, keys)
            following = [asyncio.create_task(each.run()) for each in (pipe, settled)]
            await eventually(lambda: pipe.connected)
            assert not bus.wait_until_wanted(0)
            reads = [asyncio.create_task(settled.wait(30)) for _ in range(5)]
            assert await asyncio.to_thread(bus.wait_until_wanted, 30)
            bus.announce_settled(7)
            assert await asyncio.gather(*reads) == [7] * 5
            assert await settled.wait(30) == 7
            assert not bus.wait_until_wanted(0), "five reads are one wish, and what is settled is none"
            for task in following:
                task.cancel()
            await asyncio.gather(*following, return_exceptions=True)
            bus.close()

        asyncio.run(run())


def test_a_command_that_cannot_be_sent_does_not_take_the_answer_of_the_next(tmp_path: Path) -> None:
    with running_redis(tmp_path / "core") as server:

        async def run() -> None:
            pipe = CorePipe(server.url)
            serving = asyncio.create_task(pipe.run())
            await eventually(lambda: pipe.connected)
            with pytest.raises(TypeError):
                pipe.execute("ECHO", object())  # type: ignore[arg-type]
            async with asyncio.timeout(40):
                assert await pipe.execute("ECHO", "next") == b"next"
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)

        asyncio.run(run())


@pytest.mark.parametrize(("announced", "read", "known"), [(9, 5, 9), (None, 5, 5), (None, 2, 2)])
async def test_an_announcement_is_newer_than_a_read_that_was_under_way(
    monkeypatch: pytest.MonkeyPatch, announced: int | None, read: int, known: int
) -> None:
    """Without one what was read counts, back too: the site may have been restored."""
    monkeypatch.setattr("apps.gateway.settled.POLL_S", 0.0)

    class Pipe:
        async def execute(self, *_: str) -> bytes:
            if announced is not None:
                settled._moved(announced)
            return b"%d" % read

    pipe: Any = Pipe()
    settled = Settled("redis://nowhere", pipe, pipe, ShardKeys("spot"))
    settled.seq = 3
    with capture_logs() as lines:
        await settled._next(9)
    assert settled.seq == known
    assert [line["event"] for line in lines] == (["settlement went back"] if known < 3 else [])
