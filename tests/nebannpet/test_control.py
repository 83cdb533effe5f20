"""The socket behind `manage.py process`: every action, and every refusal changing nothing."""

import asyncio
import json
import signal
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from nebannpet.children import Child, DeathPipe, State
from nebannpet.console import Console
from nebannpet.control import Control, Refused, ask
from nebannpet.embedded import Launch
from nebannpet.health import Health, serve_health
from nebannpet.paths import Paths
from nebannpet.processes import Process

SLEEPS = "import time; time.sleep(60)"


class Running:
    """Two children, `works` and `sick` (never healthy), behind a control socket."""

    def __init__(self, directory: Path) -> None:
        self.console = Console(directory, (directory / "console").open("w"))
        self.pipe = DeathPipe()
        self.children = {name: self._child(name) for name in ("works", "sick")}
        self.not_now = ""
        self.control = Control(self.children, not_now=lambda: self.not_now)
        self.path = directory / "control.sock"

    def _child(self, name: str) -> Child:
        launch = Launch((sys.executable, "-c", SLEEPS), signal.SIGTERM, signal.SIGKILL)
        process = Process(name, launch, is_ready=lambda: name == "works")
        return Child(process, console=self.console, pipe=self.pipe, environment={}, changed=lambda: None)

    async def ask(self, **request: Any) -> dict[str, Any]:
        return await asyncio.to_thread(ask, self.path, request, timeout_s=60)

    def states(self) -> dict[str, State]:
        return {name: child.state for name, child in self.children.items()}


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    made = Running(tmp_path)
    for child in made.children.values():
        child.start()
    await asyncio.wait_for(made.children["works"].ready.wait(), 60)
    async with made.control.serve(made.path):
        yield made
    for child in made.children.values():
        await child.stop()
    made.console.close()
    made.pipe.close()


async def test_list_shows_state_pid_and_restarts(running: Running) -> None:
    table = (await running.ask(do="list"))["processes"]
    assert table["works"] == {"state": "ready", "pid": running.children["works"].pid, "restarts": 0}
    assert list(table) == ["works", "sick"]


async def test_stop_stays_down_and_start_brings_a_new_one(running: Running) -> None:
    first = running.children["works"].pid
    assert "stays down" in (await running.ask(do="stop", name="works"))["done"]
    assert (await running.ask(do="list"))["processes"]["works"] == {"state": "stopped", "pid": None, "restarts": 0}
    assert (await running.ask(do="stop", name="works"))["done"] == "works was stopped already"
    done = (await running.ask(do="start", name="works"))["done"]
    second = running.children["works"].pid
    assert done == f"works is ready, pid {second}"
    assert second != first
    assert (await running.ask(do="start", name="works"))["done"] == f"works was not stopped: it is ready, pid {second}"
    assert running.children["works"].pid == second


async def test_restart(running: Running) -> None:
    first = running.children["works"].pid
    assert "works is ready" in (await running.ask(do="restart", name="works"))["done"]
    assert running.children["works"].pid != first
    await running.ask(do="stop", name="works")
    assert "works is ready" in (await running.ask(do="restart", name="works"))["done"]


async def test_started_but_not_healthy_is_said_and_it_goes_on_trying(running: Running) -> None:
    await running.ask(do="stop", name="sick")
    with pytest.raises(Refused, match=r"not healthy after 0.3 s.*sick\.log"):
        await running.ask(do="start", name="sick", wait_s=0.3)
    async with asyncio.timeout(60):
        while running.children["sick"].pid is None:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        ({"do": "stop", "name": "tea"}, "no process 'tea' here. Known: works, sick"),
        ({"do": "stop"}, "no process None here"),
        ({"do": "stop", "name": ["works"]}, "no process"),
        ({"do": "explode", "name": "works"}, "no action 'explode'"),
        ({"name": "works"}, "no action None"),
        ({"do": "stop", "name": "works", "wait_s": "long"}, "wait_s is a number"),
        ({"do": "stop", "name": "works", "wait_s": -1}, "wait_s is a number"),
        ({"do": "stop", "name": "works", "wait_s": 1e9}, "wait_s is a number"),
        ({"do": "stop", "name": "works", "wait_s": True}, "wait_s is a number"),
    ],
)
async def test_wrong_requests_are_refused_and_change_nothing(
    running: Running, request_: dict[str, Any], reason: str
) -> None:
    before = running.states()
    with pytest.raises(Refused, match=reason):
        await running.ask(**request_)
    assert running.states() == before


@pytest.mark.parametrize("line", [b"", b"stop works\n", b"[1]\n", b"\xff\n", b"{" + b" " * 10_000 + b"}\n"])
async def test_what_is_no_request_leaves_the_server_well(running: Running, line: bytes) -> None:
    reader, writer = await asyncio.open_unix_connection(str(running.path))
    writer.write(line)
    writer.write_eof()
    answer = await asyncio.wait_for(reader.read(), 40)
    writer.close()
    assert answer == b"" or "one JSON object" in json.loads(answer)["error"]
    assert (await running.ask(do="list"))["processes"]["works"]["state"] == "ready"


async def test_nothing_may_change_while_the_exchange_starts_or_stops(running: Running) -> None:
    running.not_now = "The exchange is stopping."
    before = running.states()
    with pytest.raises(Refused, match="is stopping"):
        await running.ask(do="stop", name="works")
    assert running.states() == before
    assert (await running.ask(do="list"))["processes"]


async def test_second_request_for_the_same_process_waits_its_turn(running: Running) -> None:
    await running.ask(do="stop", name="sick")
    first = asyncio.create_task(running.ask(do="start", name="sick", wait_s=50))
    while "sick" not in running.control._busy:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    with pytest.raises(Refused, match="by somebody else just now"):
        await running.ask(do="stop", name="sick")
    assert (await running.ask(do="restart", name="works"))["done"]
    running.children["sick"].ready.set()
    assert "sick is ready" in (await first)["done"]


async def test_socket_is_closed_to_others_and_gone_afterwards(tmp_path: Path) -> None:
    made = Running(tmp_path)
    async with made.control.serve(made.path):
        assert made.path.stat().st_mode & 0o777 == 0o600
    assert not made.path.exists()
    with pytest.raises(Refused, match="No supervisor runs with this data directory"):
        await made.ask(do="list")
    made.console.close()
    made.pipe.close()


async def test_end_of_the_supervisor_ends_a_waiting_request(tmp_path: Path) -> None:
    made = Running(tmp_path)
    async with made.control.serve(made.path):
        waiting = asyncio.create_task(made.ask(do="start", name="sick", wait_s=60))
        while "sick" not in made.control._busy:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    with pytest.raises(Refused, match="stopped before it answered"):
        await waiting
    await made.children["sick"].stop()
    made.console.close()
    made.pipe.close()


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("list", "matching"), "list takes no name"),
        (("stop",), "stop needs the name"),
        (("start", "matching", "--wait", "-1"), "--wait is from 0 to 600"),
        (("stop", "matching"), "No supervisor runs with this data directory"),
    ],
)
def test_command_refuses(arguments: tuple[str, ...], reason: str, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(settings, "PATHS", Paths(tmp_path))
    with pytest.raises(CommandError, match=reason):
        call_command("process", *arguments)


def test_command_prints_the_table(tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.setattr(settings, "PATHS", Paths(tmp_path))
    settings.PATHS.make_private()
    made = Running(tmp_path)
    made.children["works"].pid = 4711
    halted = Health(ok=False, details={"phase": "halted", "explanation": "the log ends too early"})

    async def serve() -> None:
        async with made.control.serve(settings.PATHS.control_socket):
            started.set()
            await asyncio.to_thread(done.wait)

    started, done = threading.Event(), threading.Event()
    server = threading.Thread(target=asyncio.run, args=(serve(),))
    server.start()
    try:
        assert started.wait(60)
        with serve_health("sick", lambda: halted, settings.PATHS):
            call_command("process", "list")
    finally:
        done.set()
        server.join()
        made.console.close()
        made.pipe.close()
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        ["process", "state", "pid", "restarts", "health"],
        ["works", "stopped", "4711", "0"],
        ["sick", "stopped", "-", "0", "FAILING:", "halted"],
        [],
        ["sick:", "the", "log", "ends", "too", "early"],
    ]
