"""One child process: started so that it cannot outlive us, its output drained, restarted with growing pauses."""

import asyncio
import enum
import os
import signal
import time
from collections.abc import Callable

from nebannpet import env
from nebannpet.console import Console
from nebannpet.processes import DRAIN_DEFAULT_S, DRAIN_SIGNAL, Process

FIRST_PAUSE_S = 0.2
# What fails again and again must not keep a core busy. The chaos rig kills on purpose and sets a shorter one.
LONGEST_PAUSE_DEFAULT_S = 15
STEADY_AFTER_S = 30.0
READY_POLL_S = 0.1
LAST_LINES_S = 0.5
READ_BYTES = 65_536
LINE_BYTES_MAX = 1_000_000


class State(enum.StrEnum):
    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"
    RESTARTING = "restarting"
    STOPPING = "stopping"
    STOPPED = "stopped"


class DeathPipe:
    """Closed by the kernel when the supervisor dies; the guard of launch.py watches the other end."""

    def __init__(self) -> None:
        self.read_end, self._write_end = os.pipe()

    def close(self) -> None:
        os.close(self.read_end)
        os.close(self._write_end)


class Child:
    """`changed` is called after every change of `state` or `pid`."""

    def __init__(
        self,
        process: Process,
        *,
        console: Console,
        pipe: DeathPipe,
        environment: dict[str, str],
        changed: Callable[[], None],
    ) -> None:
        self.process = process
        self.name = process.name
        self.state = State.STOPPED
        self.pid: int | None = None
        self.restarts = 0
        self.ready = asyncio.Event()
        self._console = console
        self._pipe = pipe
        self._environment = environment
        self._pause_s_max = env.integer("RESTART_PAUSE_MAX_S", LONGEST_PAUSE_DEFAULT_S, minimum=1, maximum=600)
        self._drain_s = env.integer("DRAIN_S", DRAIN_DEFAULT_S, minimum=0, maximum=600)
        self._changed = changed
        self._stopping = asyncio.Event()
        self._running: asyncio.subprocess.Process | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Keep it running from now on; it is not kept already."""
        assert self._task is None or self._task.done(), f"{self.name} is kept already"
        self._stopping.clear()
        self._become(State.STARTING)
        self._task = asyncio.create_task(self._keep(), name=f"keep {self.name}")

    def failed(self) -> BaseException | None:
        """The error that ended the keeping of this child, which is a fault of the supervisor itself, if any."""
        if self._task is None or not self._task.done() or self._task.cancelled():
            return None
        return self._task.exception()

    async def stop(self) -> None:
        """Ask it to stop, and make it after its time of grace. It stays down until `start`."""
        if self._task is None:
            return
        self._stopping.set()
        await self._drain()
        self._ask_to_stop()
        done, _ = await asyncio.wait([self._task], timeout=self.process.grace_s)
        if not done:
            self._console.say(f"{self.name} did not stop within {self.process.grace_s:.0f} s; killing it")
            self.kill()
            await asyncio.wait([self._task])
        self._become(State.STOPPED)

    async def _drain(self) -> None:
        """Let its clients go elsewhere first; one that is not ready has none."""
        is_drained = self.process.is_drained
        running, task = self._running, self._task
        if is_drained is None or self.state is not State.READY or running is None or task is None:
            return
        if running.returncode is not None:
            # It died a moment ago, and its last lines are still being read.
            return
        self._become(State.DRAINING)
        self._signal(DRAIN_SIGNAL)
        deadline = time.monotonic() + self._drain_s
        while not task.done() and time.monotonic() < deadline and not await asyncio.to_thread(is_drained):  # noqa: ASYNC110
            await asyncio.sleep(READY_POLL_S)

    def _ask_to_stop(self) -> None:
        if self._running is not None and self._running.returncode is None:
            self._become(State.STOPPING)
            self._signal(self.process.launch.stop_signal)

    def kill(self) -> None:
        """End it at once, for good: it is not started again."""
        self._stopping.set()
        if self._running is not None and self._running.returncode is None:
            self._signal(self.process.launch.death_signal)

    def _signal(self, number: int) -> None:
        """One that was paused (SIGSTOP) goes on first: it could not see a signal that it handles itself."""
        assert self._running is not None
        self._running.send_signal(signal.SIGCONT)
        self._running.send_signal(number)

    async def _keep(self) -> None:
        pause_s = FIRST_PAUSE_S
        while not self._stopping.is_set():
            started_at = time.monotonic()
            code = await self._run_once()
            if self._stopping.is_set():
                return
            if time.monotonic() - started_at > STEADY_AFTER_S:
                pause_s = FIRST_PAUSE_S
            self.restarts += 1
            self._become(State.RESTARTING)
            self._console.say(f"{self.name} {describe_exit(code)}; starting it again in {pause_s:.1f} s")
            try:
                await asyncio.wait_for(self._stopping.wait(), pause_s)
            except TimeoutError:
                pause_s = min(pause_s * 2, self._pause_s_max)

    async def _run_once(self) -> int:
        self.ready.clear()
        try:
            await asyncio.to_thread(self.process.prepare)
            if self._stopping.is_set():
                return 0
            self._running = await spawn(self.process.launch.command, self._pipe, self._environment)
        except OSError as error:
            self._console.line(self.name, f"cannot start: {error}")
            return 127
        self.pid = self._running.pid
        self._become(State.STARTING)
        if self._stopping.is_set():
            self._ask_to_stop()
        watching = asyncio.create_task(self._watch_ready(), name=f"ready {self.name}")
        assert self._running.stdout is not None
        draining = asyncio.create_task(pump(self._running.stdout, lambda line: self._console.line(self.name, line)))
        try:
            code = await self._running.wait()
            # A child of the child may hold the pipe open longer; what the child itself wrote is there by now.
            await asyncio.wait([draining], timeout=LAST_LINES_S)
            return code
        finally:
            watching.cancel()
            draining.cancel()
            self.pid = None
            self.ready.clear()

    async def _watch_ready(self) -> None:
        while not await asyncio.to_thread(self.process.is_ready):  # noqa: ASYNC110  it asks another process
            await asyncio.sleep(READY_POLL_S)
        if self.state is State.STARTING:
            self.ready.set()
            self._become(State.READY)

    def _become(self, state: State) -> None:
        self.state = state
        self._changed()


async def spawn(
    command: Callable[..., list[str]], pipe: DeathPipe, environment: dict[str, str]
) -> asyncio.subprocess.Process:
    """In a session of its own, so that Ctrl-C reaches only the supervisor, which stops things in order."""
    return await asyncio.create_subprocess_exec(
        *command(parent=os.getpid(), pipe=pipe.read_end),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        pass_fds=(pipe.read_end,),
        start_new_session=True,
        env=environment,
    )


async def pump(stream: asyncio.StreamReader, emit: Callable[[str], None]) -> None:
    """Hand on every line; an endless one is cut into pieces instead of growing without bound."""
    rest = b""
    while chunk := await stream.read(READ_BYTES):
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            emit(line.decode("utf-8", "replace").rstrip("\r"))
        if len(rest) > LINE_BYTES_MAX:
            emit(rest.decode("utf-8", "replace"))
            rest = b""
    if rest:
        emit(rest.decode("utf-8", "replace"))


def describe_exit(code: int) -> str:
    if code >= 0:
        return f"exited with code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"
