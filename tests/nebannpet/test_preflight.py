"""What stops a start before anything runs: the message names the thing, the cause and the way out."""

import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import pytest

from nebannpet import preflight
from nebannpet.embedded import Launch
from nebannpet.paths import Paths
from nebannpet.preflight import (
    EXIT_ALREADY_RUNNING,
    EXIT_CONFIGURATION,
    EXIT_DATA_DIRECTORY,
    EXIT_PORT_TAKEN,
    PreflightError,
    check_data_directory,
    check_port,
    lock_data_directory,
)
from tests.ports import free_port
from tests.servers import living_processes
from tests.stack import BASE_DIR, INHERITED

Usage = namedtuple("Usage", "total used free")


def start(data_dir: Path, *, port: int, user: tuple[int, int] | None = None, **environment: str) -> tuple[int, str]:
    """Exit code and standard error of a supervisor that is expected to refuse."""
    launch = Launch((sys.executable, "-m", "nebannpet.supervisor"), signal.SIGTERM, signal.SIGKILL, user)
    clean = {name: os.environ[name] for name in INHERITED if name in os.environ}
    read_end, write_end = os.pipe()
    try:
        done = subprocess.run(
            launch.command(parent=os.getpid(), pipe=read_end),
            pass_fds=(read_end,),
            env={**clean, "NEBANNPET_DATA": str(data_dir), "PORT": str(port), **environment},
            cwd=BASE_DIR,
            capture_output=True,
            text=True,
            timeout=60,
        )
    finally:
        os.close(read_end)
        os.close(write_end)
    return done.returncode, done.stderr


def test_taken_port_is_named_before_anything_starts(tmp_path: Path) -> None:
    paths = Paths(tmp_path / ("d" * 100) / "data")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, error = start(paths.data_dir, port=port)
    assert code == EXIT_PORT_TAKEN
    assert f"Port {port} on 127.0.0.1 cannot be used: Address already in use" in error
    assert f"pid {os.getpid()}" in error
    assert "PORT=" in error
    assert not (paths.data_dir / "postgres").exists()
    assert paths.socket_dir != paths.run_dir
    assert not paths.socket_dir.exists(), "the directory for sockets, outside the data directory, goes with the start"


def test_second_supervisor_names_the_first(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    paths.make_private()
    with lock_data_directory(paths, "http://localhost:1234"):
        code, error = start(tmp_path, port=free_port())
    assert code == EXIT_ALREADY_RUNNING
    assert f"already running with the data directory {tmp_path} (pid {os.getpid()}, at http://localhost:1234)" in error
    assert f"kill {os.getpid()}" in error


def test_second_supervisor_while_the_first_is_between_states(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    paths.make_private()
    with lock_data_directory(paths, "http://localhost:1234"):
        paths.lock_file.write_text("")
        with (
            pytest.raises(PreflightError, match="Try again in a few seconds"),
            lock_data_directory(paths, "http://localhost:1"),
        ):
            pytest.fail("two holders of one lock")


def test_lock_file_left_by_a_dead_supervisor_does_not_matter(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    paths.make_private()
    paths.lock_file.write_text(json.dumps({"pid": 1, "address": "http://localhost:1"}))
    with lock_data_directory(paths, "http://localhost:2"):
        assert json.loads(paths.lock_file.read_text()) == {"pid": os.getpid(), "address": "http://localhost:2"}


def test_data_directory_that_may_not_be_written(tmp_path: Path) -> None:
    """As an ordinary user: root may write everywhere, so it steps down for this test."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o555)
    user = (65534, 65534) if os.geteuid() == 0 else None
    code, error = start(closed / "data", port=free_port(), user=user)
    assert code == EXIT_DATA_DIRECTORY
    assert f"{closed / 'data'} cannot be used: Permission denied" in error
    assert "NEBANNPET_DATA=" in error
    assert list(closed.iterdir()) == []


def test_data_directory_below_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    code, error = start(tmp_path / "file" / "data", port=free_port())
    assert code == EXIT_DATA_DIRECTORY
    assert "Not a directory" in error


def test_disk_that_refuses_to_write(tmp_path: Path) -> None:
    """A real failed write: the limit on file sizes stands in for a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        with pytest.raises(PreflightError, match="cannot be used: File too large") as caught:
            check_data_directory(Paths(tmp_path))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert caught.value.exit_code == EXIT_DATA_DIRECTORY
    assert list(tmp_path.glob(".probe*")) == []


def test_disk_that_is_nearly_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: Usage(10**9, 10**9, preflight.FREE_BYTES_MIN - 1))
    with pytest.raises(PreflightError, match=r"is full: 199 MB free, at least 200 MB are needed") as caught:
        check_data_directory(Paths(tmp_path))
    assert caught.value.exit_code == EXIT_DATA_DIRECTORY


def test_port_of_another_machine_is_refused() -> None:
    with pytest.raises(PreflightError, match=r"on 192\.0\.2\.1 cannot be used"):
        check_port("192.0.2.1", 8000)


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({"SIMULATOR": "perhaps"}, "SIMULATOR must be 1 or 0"),
        ({"PROCESSES": "site,tea"}, "PROCESSES names tea"),
        ({"NEBANNPET_ENV": "staging"}, "NEBANNPET_ENV must be one of"),
        ({"REDIS_CORE_URL": "http://x"}, "REDIS_CORE_URL must start with"),
    ],
)
def test_wrong_configuration(tmp_path: Path, environment: dict[str, str], named: str) -> None:
    code, error = start(tmp_path / "data", port=free_port(), **environment)
    assert code == EXIT_CONFIGURATION
    assert named in error
    assert "Traceback" not in error
    assert living_processes(tmp_path / "data") == []
