"""The table of processes is whole: each has a place in the stop order, a colour and a command."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import get_commands

from nebannpet.console import COLOURS
from nebannpet.embedded import READER_NICENESS, Launch
from nebannpet.env import ConfigurationError
from nebannpet.paths import Paths
from nebannpet.processes import APPLICATION, STOP_ORDER, application_processes, embedded_servers


def names(processes: list) -> list[str]:  # type: ignore[type-arg]
    return [process.name for process in processes]


def test_every_process_stops_once_and_readers_after_the_engine(tmp_path: Path) -> None:
    servers = embedded_servers(Paths(tmp_path), postgres=True, core=True, edge=True)
    stopped = [name for group in STOP_ORDER for name in group]
    assert sorted(stopped) == sorted([*APPLICATION, *names(servers)])
    assert stopped.index("gateway") < stopped.index("matching") < stopped.index("settlement")
    assert STOP_ORDER[-1] == ("redis-edge", "redis-core", "postgres")
    assert set(stopped) <= set(COLOURS)


def test_every_process_has_its_command() -> None:
    started = application_processes(Paths(Path()), chosen=APPLICATION, simulator=True, standby=True)
    assert names(started) == list(APPLICATION)
    assert {process.launch.argv[2] for process in started} <= set(get_commands())


def test_readers_give_way_to_the_order_path(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    everything = [
        *application_processes(paths, chosen=APPLICATION, simulator=True, standby=True),
        *embedded_servers(paths, postgres=True, core=True, edge=True),
    ]
    niceness = {process.name: process.launch.niceness for process in everything}
    assert {niceness[name] for name in ("gateway", "matching", "redis-core")} == {0}
    assert {niceness[name] for name in ("settlement", "marketdata", "postgres", "simulator")} == {READER_NICENESS}


def test_a_child_runs_as_nicely_as_its_launch_says() -> None:
    code = "import os; print(os.nice(0))"
    read_end, write_end = os.pipe()
    command = Launch((sys.executable, "-c", code), signal.SIGTERM, signal.SIGKILL, niceness=READER_NICENESS).command(
        parent=os.getpid(), pipe=read_end
    )
    done = subprocess.run(command, pass_fds=(read_end,), capture_output=True, text=True, check=True)
    os.close(read_end)
    os.close(write_end)
    assert int(done.stdout) == os.nice(0) + READER_NICENESS


def test_simulator_only_when_it_is_on() -> None:
    started = names(application_processes(Paths(Path()), chosen=APPLICATION, simulator=False, standby=True))
    assert started == [name for name in APPLICATION if name != "simulator"]


def test_standby_only_when_it_is_on() -> None:
    started = names(application_processes(Paths(Path()), chosen=APPLICATION, simulator=True))
    assert started == [name for name in APPLICATION if name != "standby"]
    standby = application_processes(Paths(Path()), chosen=("standby",), simulator=False, standby=True)
    assert standby[0].launch.argv[-3:] == ("run_matching", "--name", "standby")


def test_chosen_processes_keep_the_start_order() -> None:
    started = names(application_processes(Paths(Path()), chosen=("gateway", "matching"), simulator=True))
    assert started == ["matching", "gateway"]


def test_unknown_process_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="PROCESSES names tea"):
        application_processes(Paths(Path()), chosen=("tea",), simulator=True)


def test_gateways_share_a_port_under_names_of_their_own() -> None:
    made = application_processes(Paths(Path()), chosen=("gateway", "matching"), simulator=False, gateways=3)
    assert names(made) == ["matching", "gateway", "gateway-2", "gateway-3"]
    assert [process.launch.argv[2:] for process in made[1:]] == [
        ("run_gateway",), ("run_gateway", "--name", "gateway-2"), ("run_gateway", "--name", "gateway-3"),
    ]  # fmt: skip
    assert {process.kind for process in made[1:]} == {"gateway"}
    assert all(process.is_drained is not None for process in made[1:])
