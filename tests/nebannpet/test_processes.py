"""The table of processes is whole: each has a place in the stop order, a colour and a command."""

from pathlib import Path

import pytest
from django.core.management import get_commands

from nebannpet.console import COLOURS
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
    started = application_processes(Paths(Path()), chosen=APPLICATION, simulator=True)
    assert names(started) == list(APPLICATION)
    assert {process.launch.argv[-1] for process in started} <= set(get_commands())


def test_simulator_only_when_it_is_on() -> None:
    started = names(application_processes(Paths(Path()), chosen=APPLICATION, simulator=False))
    assert started == [name for name in APPLICATION if name != "simulator"]


def test_chosen_processes_keep_the_start_order() -> None:
    started = names(application_processes(Paths(Path()), chosen=("gateway", "matching"), simulator=True))
    assert started == ["matching", "gateway"]


def test_unknown_process_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="PROCESSES names tea"):
        application_processes(Paths(Path()), chosen=("tea",), simulator=True)
