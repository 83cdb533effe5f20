"""Keeping one child running: restart with growing pauses, an orderly stop, and a hard one when it does not listen."""

import asyncio
import io
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from nebannpet import children
from nebannpet.children import Child, DeathPipe, State
from nebannpet.console import Console
from nebannpet.embedded import Launch
from nebannpet.processes import Process

IGNORES_TERM = (
    "import signal,time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
)
SLEEPS = "import time; print('up', flush=True); time.sleep(60)"


class Made:
    """A child under test, with what it wrote on the console."""

    def __init__(self, logs: Path) -> None:
        self.shown = io.StringIO()
        self.console = Console(logs, self.shown)
        self.pipe = DeathPipe()
        self.states: list[State] = []
        self.child: Child

    def start(
        self, code: str, *, prepare: Callable[[], None] | None = None, grace_s: float = 5.0,
        is_drained: Callable[[], bool] | None = None,
    ) -> Child:  # fmt: skip
        process = Process(
            "tested",
            Launch((sys.executable, "-c", code), signal.SIGTERM, signal.SIGKILL),
            is_ready=lambda: "up" in self.shown.getvalue(),
            prepare=prepare or (lambda: None),
            grace_s=grace_s,
            is_drained=is_drained,
        )
        self.child = Child(
            process,
            console=self.console,
            pipe=self.pipe,
            environment=dict(os.environ),
            changed=lambda: self.states.append(self.child.state),
        )
        self.child.start()
        return self.child

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(60):
            while not condition():  # noqa: ASYNC110
                await asyncio.sleep(0.01)


@pytest.fixture
async def made(tmp_path: Path) -> AsyncIterator[Made]:
    holder = Made(tmp_path)
    yield holder
    await holder.child.stop()
    holder.console.close()
    holder.pipe.close()


async def test_child_that_keeps_failing_is_restarted_with_growing_pauses(made: Made) -> None:
    child = made.start("import sys; print('broken'); sys.exit(3)")
    await made.until(lambda: child.restarts >= 3)
    await made.until(lambda: "in 0.8 s" in made.shown.getvalue())
    said = [line for line in made.shown.getvalue().splitlines() if "starting it again" in line]
    assert [line.split("tested ")[1] for line in said[:3]] == [
        "exited with code 3; starting it again in 0.2 s",
        "exited with code 3; starting it again in 0.4 s",
        "exited with code 3; starting it again in 0.8 s",
    ]


async def test_pauses_have_an_upper_limit(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESTART_PAUSE_MAX_S", "1")
    child = made.start("import sys; sys.exit(1)")
    await made.until(lambda: child.restarts >= 5)
    assert "in 1.0 s" in made.shown.getvalue()
    assert "in 1.6 s" not in made.shown.getvalue()


async def test_stop_ends_it_in_order(made: Made) -> None:
    child = made.start(SLEEPS)
    await asyncio.wait_for(child.ready.wait(), 40)
    pid = child.pid
    assert pid is not None
    await child.stop()
    assert child.state is State.STOPPED
    assert child.pid is None
    # Starting twice: without a pid yet, then with one.
    assert made.states == [State.STARTING, State.STARTING, State.READY, State.STOPPING, State.STOPPED]
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_child_that_does_not_listen_is_killed_after_its_grace(made: Made) -> None:
    child = made.start(IGNORES_TERM, grace_s=0.3)
    await asyncio.wait_for(child.ready.wait(), 40)
    started_at = time.monotonic()
    await child.stop()
    assert 0.3 <= time.monotonic() - started_at < 40
    await made.until(lambda: "did not stop within" in made.shown.getvalue())


async def test_killed_child_is_not_started_again(made: Made) -> None:
    """The second Ctrl-C kills all at once, before most of them were asked to stop."""
    child = made.start(SLEEPS)
    await asyncio.wait_for(child.ready.wait(), 40)
    child.kill()
    await made.until(lambda: child.pid is None)
    await child.stop()
    assert child.state is State.STOPPED
    assert child.restarts == 0
    assert "starting it again" not in made.shown.getvalue()


async def test_stop_while_it_waits_to_restart(made: Made) -> None:
    child = made.start("import sys; sys.exit(1)")
    await made.until(lambda: child.state is State.RESTARTING)
    await asyncio.wait_for(child.stop(), 40)
    assert child.state is State.STOPPED


async def test_stopped_child_stays_down_until_it_is_started_again(made: Made) -> None:
    child = made.start(SLEEPS)
    await asyncio.wait_for(child.ready.wait(), 40)
    first = child.pid
    await child.stop()
    await asyncio.sleep(children.FIRST_PAUSE_S * 2)
    assert (child.state, child.pid) == (State.STOPPED, None)
    child.start()
    await asyncio.wait_for(child.ready.wait(), 40)
    assert child.state is State.READY
    assert child.pid not in (None, first)
    assert child.restarts == 0


async def test_child_that_keeps_failing_can_be_stopped_and_starts_without_a_pause(made: Made) -> None:
    child = made.start("import sys; sys.exit(1)")
    await made.until(lambda: child.restarts >= 3)
    await child.stop()
    made.shown.truncate(0)
    child.start()
    await made.until(lambda: "starting it again in 0.2 s" in made.shown.getvalue())


async def test_paused_child_is_stopped_in_order(made: Made) -> None:
    child = made.start(SLEEPS, grace_s=60)
    await asyncio.wait_for(child.ready.wait(), 40)
    assert child.pid is not None
    os.kill(child.pid, signal.SIGSTOP)
    await asyncio.wait_for(child.stop(), 40)
    assert "did not stop within" not in made.shown.getvalue()


async def test_stop_of_one_that_died_a_moment_ago(made: Made, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """While its last lines are read it still counts as ready, and there is nobody any more to drain."""
    monkeypatch.setattr(children, "LAST_LINES_S", 3600.0)
    # It leaves a process behind that keeps its output open until this test writes.
    held = tmp_path / "held"
    os.mkfifo(held)
    child = made.start(f"import subprocess; subprocess.Popen(['cat', '{held}']); {SLEEPS}", is_drained=lambda: False)
    await asyncio.wait_for(child.ready.wait(), 40)
    assert child.pid is not None
    os.kill(child.pid, signal.SIGKILL)
    await made.until(lambda: child._running is not None and child._running.returncode is not None)
    assert child.state is State.READY
    stopping = asyncio.create_task(child.stop())
    await asyncio.sleep(0)
    held.write_bytes(b"")
    await asyncio.wait_for(stopping, 40)
    assert child.state is State.STOPPED
    assert State.DRAINING not in made.states


async def test_stop_right_after_start(made: Made) -> None:
    child = made.start(SLEEPS)
    await asyncio.wait_for(child.stop(), 40)
    assert child.pid is None


async def test_preparation_that_fails_by_the_system_is_tried_again(made: Made) -> None:
    calls: list[float] = []

    def prepare() -> None:
        calls.append(time.monotonic())
        if len(calls) == 1:
            raise OSError(28, "No space left on device")

    child = made.start(SLEEPS, prepare=prepare)
    await asyncio.wait_for(child.ready.wait(), 40)
    assert len(calls) == 2
    assert "No space left on device" in made.shown.getvalue()


async def test_fault_of_our_own_is_not_hidden_behind_restarts(made: Made) -> None:
    def prepare() -> None:
        raise ZeroDivisionError

    child = made.start(SLEEPS, prepare=prepare)
    await made.until(lambda: child.failed() is not None)
    assert isinstance(child.failed(), ZeroDivisionError)
