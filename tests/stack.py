"""A whole running exchange in a temporary data directory: every process a real one, under the real supervisor.

    with Stack(SIMULATOR="0") as stack:
        httpx.get(stack.base_url + "/api/v3/ping")
        stack.kill("matching")              # -9 by default
        stack.wait_ready("matching")        # restarted by the supervisor, and healthy again
        stack.stop_process("settlement")    # in order; it stays down until start_process

On a failure inside the block the processes' logs are printed. The end of the block kills the exchange: what an orderly
stop does is for tests to look at, with `stop_processes`. The supervisor dies with the test process, and the exchange
with the supervisor.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from apps.streams.shards import DEFAULT_SHARD
from nebannpet import control
from nebannpet.embedded import Launch, Postgres
from nebannpet.paths import Paths
from tests.account_maker import AccountMaker
from tests.ports import free_port
from tests.prepared import copy_prepared, run_dir

BASE_DIR = Path(__file__).resolve().parent.parent
MANAGE = str(BASE_DIR / "manage.py")
START_TIMEOUT_S = 180.0
STOP_TIMEOUT_S = 40.0
LOG_LINES_SHOWN = 60
# PROCESSES of an exchange that takes orders and shows its market; each further one costs a second of two cores.
TRADING = "matching,settlement,marketdata,outbox,gateway"
INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "VIRTUAL_ENV", "TMPDIR", "LD_LIBRARY_PATH", "ENGINE")


class StackError(AssertionError):
    """The exchange did not do what a test's set-up needs."""


class Stack:
    """`environment` is added to a clean one; The simulator and demo logins are off and demo data on by default.

    SHARD="drill" with the `data_dir` of a running stack adds the processes of a second shard beside it.
    `user` (uid, gid) runs it all as that user, when the tests run as root; `data_dir` must belong to it then.
    `first_start=True` makes the database from nothing, as a given `data_dir` does, instead of copying a prepared one.
    """

    def __init__(
        self,
        *,
        data_dir: Path | None = None,
        user: tuple[int, int] | None = None,
        first_start: bool = False,
        **environment: str,
    ) -> None:
        self._own_directory = data_dir is None
        self._copies = self._own_directory and not first_start and "DATABASE_URL" not in environment
        self.data_dir = data_dir or Path(tempfile.mkdtemp(prefix="nebannpet-stack-", dir=run_dir()))
        self.port = free_port()
        self._user = user
        self.paths = Paths(self.data_dir, environment.get("SHARD", DEFAULT_SHARD))
        self.environment = {name: os.environ[name] for name in INHERITED if name in os.environ} | {
            "NEBANNPET_ENV": "development",
            "NEBANNPET_DATA": str(self.data_dir),
            "PORT": str(self.port),
            "SIMULATOR": "0",
            "DEMO_LOGINS": "0",
            **environment,
        }
        self._supervisor: subprocess.Popen[bytes] | None = None
        self._account_maker: AccountMaker | None = None
        self.console_path = self.data_dir / f"{self.paths.of_shard('console')}.log"
        self._console_start = 0

    @property
    def base_url(self) -> str:
        return f"http://localhost:{self.port}"

    @property
    def ws_url(self) -> str:
        return f"ws://localhost:{self.port}"

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.print_logs()
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self.print_logs()
        self.stop()

    def start(self) -> None:
        """Start and wait until every process is ready. May be called again after `stop_processes`."""
        if self._copies:
            copy_prepared(self.data_dir, self.environment)
            self._copies = False
        self._console_start = len(self.console())
        read_end, write_end = os.pipe()
        launch = Launch((sys.executable, "-m", "nebannpet.supervisor"), signal.SIGTERM, signal.SIGKILL, self._user)
        with self.console_path.open("ab") as console:
            self._supervisor = subprocess.Popen(
                launch.command(parent=os.getpid(), pipe=read_end),
                pass_fds=(read_end,),
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                cwd=BASE_DIR,
                env=self.environment,
            )
        os.close(read_end)
        self._death_pipe = write_end
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._all_ready():
            code = self._supervisor.poll()
            if code is not None:
                raise StackError(f"the supervisor ended with code {code}")
            if time.monotonic() > deadline:
                raise StackError(f"not ready after {START_TIMEOUT_S:.0f} s: {self.processes()}")
            time.sleep(0.05)

    def stop_processes(self, number: int = signal.SIGTERM) -> None:
        """An orderly stop; the data stays for another `start`."""
        if self._account_maker is not None:
            self._account_maker.close()
            self._account_maker = None
        if self._supervisor is None:
            return
        if self._supervisor.poll() is None:
            self._supervisor.send_signal(number)
            try:
                self._supervisor.wait(timeout=STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self.print_logs()
                self._supervisor.kill()
                self._supervisor.wait()
                raise StackError(f"the supervisor did not stop within {STOP_TIMEOUT_S:.0f} s") from None
        os.close(self._death_pipe)
        self._supervisor = None

    def stop(self) -> None:
        """Kill everything and remove the data directory, unless the test brought it."""
        try:
            if self._supervisor is not None and self._supervisor.poll() is None:
                # Asked twice it waits for nothing. Not the same signal: two of one kind may arrive as one.
                self._supervisor.send_signal(signal.SIGINT)
            self.stop_processes()
        finally:
            self.paths.remove_short_socket_dir()
            if self._own_directory:
                shutil.rmtree(self.data_dir, ignore_errors=True)

    def kill_supervisor(self) -> None:
        """kill -9, as a crash of the supervisor itself."""
        assert self._supervisor is not None
        self._supervisor.kill()
        self._supervisor.wait()
        os.close(self._death_pipe)
        self._supervisor = None

    @property
    def dsn(self) -> str:
        """libpq connection string of this exchange's embedded PostgreSQL, as its owner."""
        return Postgres(self.paths).dsn()

    @property
    def is_started(self) -> bool:
        """The supervisor exists; it need not be ready."""
        return self._supervisor is not None

    @property
    def supervisor_pid(self) -> int:
        assert self._supervisor is not None
        return self._supervisor.pid

    def processes(self) -> dict[str, dict[str, Any]]:
        """{name: {"pid": int or None, "state": str, "restarts": int}}, empty while the supervisor starts."""
        return dict(self._table().get("processes", {}))

    def _table(self) -> dict[str, Any]:
        try:
            return dict(json.loads(self.paths.process_table.read_text()))
        except FileNotFoundError:
            return {}

    def _all_ready(self) -> bool:
        assert self._supervisor is not None
        table = self._table()
        return table.get("supervisor") == self._supervisor.pid and table.get("ready", False)

    def pid(self, name: str) -> int:
        """The pid of process `name`; StackError when it is down just now."""
        found = self.processes().get(name)
        if found is None or found["pid"] is None:
            raise StackError(f"{name} is not running: {found}")
        return int(found["pid"])

    def kill(self, name: str, number: int = signal.SIGKILL) -> None:
        """Signal process `name`. After -9 this returns once its death was seen: wait_ready then means the new one."""
        before = self.processes()[name]
        os.kill(self.pid(name), number)
        if number == signal.SIGKILL:
            self._wait_for(name, lambda now: now["restarts"] > before["restarts"], 60.0)

    def stop_process(self, name: str) -> None:
        """An orderly stop of one process, as an operator does it; it stays down until `start_process`."""
        self._control(do="stop", name=name)

    def start_process(self, name: str, *, wait_s: int = 60) -> None:
        """Start what `stop_process` stopped; returns when it is healthy, StackError if it is not in time."""
        self._control(do="start", name=name, wait_s=wait_s)

    def _control(self, **request: Any) -> None:
        try:
            control.ask(self.paths.control_socket, request, timeout_s=STOP_TIMEOUT_S + request.get("wait_s", 0))
        except control.Refused as refusal:
            raise StackError(str(refusal)) from refusal

    def wait_ready(self, name: str, *, timeout_s: float = 60.0) -> None:
        self._wait_for(name, lambda now: now["state"] == "ready", timeout_s)

    def _wait_for(self, name: str, condition: Any, timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        while not condition(now := self.processes().get(name, {"state": "absent", "pid": None, "restarts": 0})):
            if time.monotonic() > deadline:
                raise StackError(f"{name} after {timeout_s:.0f} s: {now}")
            time.sleep(0.02)

    def manage(self, *arguments: str, check: bool = True) -> str:
        """Standard output of a manage.py command in this exchange's environment; StackError if it fails and `check`."""
        done = subprocess.run(
            [sys.executable, MANAGE, *arguments], cwd=BASE_DIR, env=self.environment, capture_output=True, text=True
        )
        if check and done.returncode != 0:
            raise StackError(f"manage.py {' '.join(arguments)}: code {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def demo_account(self, *arguments: str) -> dict[str, Any]:
        """What `manage.py demo_account` prints for these arguments; AssertionError if it refuses."""
        if self._account_maker is None:
            self._account_maker = AccountMaker(self.environment)
        return self._account_maker.make(*arguments)

    def log(self, name: str) -> str:
        path = self.paths.logs_dir / f"{name}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def console(self) -> str:
        return self.console_path.read_text(errors="replace") if self.console_path.exists() else ""

    def wait_for_console(self, text: str, *, timeout_s: float = 60.0) -> None:
        """Until the supervisor's console of this start has `text`."""
        deadline = time.monotonic() + timeout_s
        while text not in self.console()[self._console_start :]:
            if time.monotonic() > deadline:
                raise StackError(f"the console does not say {text!r} within {timeout_s:.0f} s")
            time.sleep(0.05)

    def print_logs(self) -> None:
        if self.console_path.exists():
            print(f"----- console of {self.data_dir}")
            print("\n".join(self.console().splitlines()[-LOG_LINES_SHOWN * 3 :]))
