"""What a failing process means for the others, with small programs in the place of the real ones."""

import asyncio
import io
import signal
import sys
from pathlib import Path

import pytest

from nebannpet import preparation
from nebannpet import supervisor as module
from nebannpet.console import Console
from nebannpet.embedded import Launch
from nebannpet.paths import Paths
from nebannpet.preparation import StartError
from nebannpet.processes import Process
from nebannpet.supervisor import Supervisor

WORKS = "import time; time.sleep(60)"
FAILS = "import sys; sys.exit('broken')"


class Prepared:
    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch
        self._directory = directory
        self.shown = io.StringIO()
        monkeypatch.setattr(module, "READY_TIMEOUT_S", 5.0)

    def supervisor(self, *, servers: dict[str, str], application: dict[str, str], dsn: str) -> Supervisor:
        self._monkeypatch.setenv("DATABASE_URL", "set, so that no PostgreSQL is started")
        self._monkeypatch.setattr(module, "embedded_servers", lambda *_, **__: self._made(servers))
        self._monkeypatch.setattr(module, "application_processes", lambda *_, **__: self._made(application))
        paths = Paths(self._directory)
        paths.make_private()
        made = Supervisor(
            paths=paths,
            address="http://localhost:1",
            simulator=False,
            standby=False,
            demo_data=False,
            dsn=dsn,
            console=Console(paths.logs_dir, self.shown),
        )

        async def no_set_up(*_arguments: str, secret: bool = False) -> list[str]:
            return []

        self._monkeypatch.setattr(made._preparation, "manage", no_set_up)
        return made

    def _made(self, programs: dict[str, str]) -> list[Process]:
        return [
            Process(
                name,
                Launch((sys.executable, "-c", code), signal.SIGTERM, signal.SIGKILL),
                is_ready=lambda code=code: code == WORKS,  # type: ignore[misc]
            )
            for name, code in programs.items()
        ]

    async def says(self, text: str) -> None:
        async with asyncio.timeout(60):
            while text not in self.shown.getvalue():  # noqa: ASYNC110
                await asyncio.sleep(0.02)


@pytest.fixture
def prepared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Prepared:
    return Prepared(tmp_path, monkeypatch)


async def test_process_that_never_starts_leaves_the_others_running(prepared: Prepared, postgres: str) -> None:
    supervisor = prepared.supervisor(
        servers={"redis-core": WORKS}, application={"matching": FAILS, "site": WORKS}, dsn=postgres
    )
    running = asyncio.create_task(supervisor.run())
    await prepared.says("not ready after 5 s: matching. Their logs:")
    await prepared.says("The others run: http://localhost:1")
    await prepared.says("broken")
    assert not running.done()
    signal.raise_signal(signal.SIGTERM)
    await asyncio.wait_for(running, 60)
    await prepared.says("stopped after")


async def test_server_that_never_starts_stops_everything(prepared: Prepared, postgres: str) -> None:
    supervisor = prepared.supervisor(servers={"redis-core": FAILS}, application={"site": WORKS}, dsn=postgres)
    with pytest.raises(StartError, match="not ready after 5 s: redis-core"):
        await asyncio.wait_for(supervisor.run(), 60)
    assert "starting processes" not in prepared.shown.getvalue()


async def test_database_that_does_not_answer_stops_everything(
    prepared: Prepared, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(preparation, "EXTERNAL_TIMEOUT_S", 0.5)
    supervisor = prepared.supervisor(
        servers={}, application={"site": WORKS}, dsn=f"host={tmp_path} dbname=nobody connect_timeout=1"
    )
    with pytest.raises(StartError, match="DATABASE_URL does not answer"):
        await asyncio.wait_for(supervisor.run(), 60)
    assert "starting processes" not in prepared.shown.getvalue()


async def test_second_shard_without_the_first_says_what_to_start(
    prepared: Prepared, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(preparation, "EXTERNAL_TIMEOUT_S", 0.5)
    supervisor = prepared.supervisor(
        servers={}, application={"site": WORKS}, dsn=f"host={tmp_path} dbname=nobody connect_timeout=1"
    )
    del supervisor._preparation._environment["DATABASE_URL"]
    with pytest.raises(StartError, match="first shard's supervisor keeps, are down; start that first"):
        await asyncio.wait_for(supervisor.run(), 60)
    assert "starting processes" not in prepared.shown.getvalue()


async def test_demo_logins_that_cannot_be_made_stop_nothing(prepared: Prepared, postgres: str) -> None:
    supervisor = prepared.supervisor(servers={}, application={"site": WORKS}, dsn=postgres)
    supervisor._demo_data = True
    running = asyncio.create_task(supervisor.run())
    await prepared.says("there are no demo logins: demo_account printed no login")
    await prepared.says("Ctrl-C stops everything")
    assert not running.done()
    signal.raise_signal(signal.SIGINT)
    await asyncio.wait_for(running, 60)
