"""A command at which processes die is known after their death, by whatever they died (fault-F22, fault-F1)."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from apps.matching import crash_marker
from apps.matching.crash_marker import SIZE, CrashMarker, crashes
from apps.matching.engine import Engine
from tests.matching.crashing_process import AT_MS

COMMAND = (AT_MS, 7, 2)
OTHER = (AT_MS, 7, 3)


def process(directory: Path, name: str, how: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "tests.matching.crashing_process", str(directory), name, how],
        stdout=subprocess.PIPE,
        text=True,
    )


def run(directory: Path, name: str, how: str) -> int:
    """The exit code, negative for a signal."""
    with process(directory, name, how) as running:
        running.communicate(timeout=60)
    return running.returncode


def left_at(directory: Path, name: str, command: tuple[int, int, int]) -> None:
    """What a process leaves behind that died at the command."""
    marker = CrashMarker.open(directory, name)
    ms, n, index = command
    marker.buffer[:] = ms.to_bytes(8, "little") + n.to_bytes(4, "little") + index.to_bytes(4, "little")
    marker.close()


# -- real processes ---------------------------------------------------------------------------------------------------
def test_a_process_that_dies_twice_at_one_command_by_a_signal_of_its_own(tmp_path: Path) -> None:
    for times in (1, 2):
        assert run(tmp_path, "matching", "crash") == -signal.SIGSEGV
        assert crashes(tmp_path) == {COMMAND: times}
    marker = CrashMarker.open(tmp_path, "matching")
    assert marker.count_of(COMMAND) == 2
    assert marker.count_of(OTHER) == 0
    assert crashes(tmp_path) == {COMMAND: 2}


@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGABRT])
def test_a_process_that_is_killed_within_a_command(tmp_path: Path, blow: signal.Signals) -> None:
    running = process(tmp_path, "matching", "wait")
    assert running.stdout is not None
    try:
        assert running.stdout.readline() == "applying\n"
        # Alive and at work: to anybody else the command counts as one crash, which is no reason to skip it.
        assert crashes(tmp_path) == {COMMAND: 1}
    finally:
        os.kill(running.pid, blow)
        running.communicate(timeout=60)
    assert running.returncode == -blow
    assert crashes(tmp_path) == {COMMAND: 1}


@pytest.mark.parametrize("how", ["done", "raise"])
def test_a_process_that_ends_by_itself_leaves_nothing(tmp_path: Path, how: str) -> None:
    """An exception is not a crash: the worker sees it and skips the command by itself."""
    assert run(tmp_path, "matching", how) == 0
    assert crashes(tmp_path) == {}


def test_active_worker_and_standby_die_at_the_same_command(tmp_path: Path) -> None:
    assert run(tmp_path, "matching", "crash") == -signal.SIGSEGV
    assert run(tmp_path, "standby", "crash") == -signal.SIGSEGV
    assert crashes(tmp_path) == {COMMAND: 2}
    CrashMarker.open(tmp_path, "matching")
    assert crashes(tmp_path) == {COMMAND: 2}


# -- counting ---------------------------------------------------------------------------------------------------------
def test_a_new_marker_knows_no_crash(tmp_path: Path) -> None:
    marker = CrashMarker.open(tmp_path / "new" / "directory", "matching")
    assert bytes(marker.buffer) == bytes(16)
    assert marker.count_of(COMMAND) == 0
    path = tmp_path / "new" / "directory" / "matching.applying"
    assert path.stat().st_size == SIZE
    assert path.stat().st_mode & 0o077 == 0
    assert crashes(path.parent) == {}
    assert crashes(tmp_path / "nowhere") == {}


def test_opening_twice_counts_a_crash_once(tmp_path: Path) -> None:
    left_at(tmp_path, "matching", COMMAND)
    for _ in range(3):
        assert CrashMarker.open(tmp_path, "matching").count_of(COMMAND) == 1


def test_a_crash_at_another_command_starts_a_new_count(tmp_path: Path) -> None:
    left_at(tmp_path, "matching", COMMAND)
    left_at(tmp_path, "matching", OTHER)
    assert crashes(tmp_path) == {COMMAND: 1, OTHER: 1}  # not opened since
    marker = CrashMarker.open(tmp_path, "matching")
    assert (marker.count_of(COMMAND), marker.count_of(OTHER)) == (0, 1)


def test_clear_is_for_the_command_and_forget_for_the_count(tmp_path: Path) -> None:
    left_at(tmp_path, "matching", COMMAND)
    marker = CrashMarker.open(tmp_path, "matching")
    marker.buffer[:] = b"\1" * 16
    assert sum(crashes(tmp_path).values()) == 2
    marker.clear()
    assert bytes(marker.buffer) == bytes(16)
    assert crashes(tmp_path) == {COMMAND: 1}
    for durable in ((0, 0), (AT_MS - 1, 99), (AT_MS, 6)):
        marker.forget(durable)
        assert marker.count_of(COMMAND) == 1
    for _ in range(2):
        marker.forget((AT_MS, 7))
        assert marker.count_of(COMMAND) == 0
    assert crashes(tmp_path) == {}
    marker.close()
    assert CrashMarker.open(tmp_path, "matching").count_of(COMMAND) == 0
    assert crashes(tmp_path) == {}


def test_a_paused_process_of_the_same_name_writes_into_its_own_file(tmp_path: Path) -> None:
    old = CrashMarker.open(tmp_path, "matching")
    new = CrashMarker.open(tmp_path, "matching")
    old.buffer[:] = b"\1" * 16
    assert bytes(new.buffer) == bytes(16)
    assert crashes(tmp_path) == {}


def test_after_close_an_engine_that_still_marks_there_says_so(tmp_path: Path) -> None:
    marker, core = CrashMarker.open(tmp_path, "matching"), Engine()
    core.mark_in(marker.buffer)
    marker.close()
    tick = bytes([1, 1, 1]) + bytes(125)
    with pytest.raises(TypeError, match="read-write bytes-like"):
        core.process(tick)


@pytest.mark.parametrize("name", ["", ".", "../matching", "a/b", "a b", "ä", "x" * 101])
def test_a_name_that_is_no_file_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="named by letters"):
        CrashMarker.open(tmp_path, name)
    assert list(tmp_path.iterdir()) == []


# -- damage -----------------------------------------------------------------------------------------------------------
def flipped(content: bytes, position: int) -> bytes:
    return content[:position] + bytes([content[position] ^ 0x10]) + content[position + 1 :]


@pytest.mark.parametrize("size", [0, 1, 15, 16, SIZE - 1, SIZE + 1, 5_000])
def test_a_file_of_another_size_counts_as_empty(tmp_path: Path, size: int, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "matching.applying"
    path.write_bytes(b"\7" * size)
    assert crashes(tmp_path) == {}
    assert "damaged" in caplog.text
    caplog.clear()
    marker = CrashMarker.open(tmp_path, "matching")
    assert bytes(marker.buffer) == bytes(16)
    assert path.stat().st_size == SIZE
    assert crashes(tmp_path) == {}
    assert "damaged" in caplog.text


@pytest.mark.parametrize("position", range(16, 48))
def test_a_flipped_bit_in_what_is_remembered_counts_as_empty(tmp_path: Path, position: int) -> None:
    left_at(tmp_path, "matching", COMMAND)
    CrashMarker.open(tmp_path, "matching").close()
    path = tmp_path / "matching.applying"
    path.write_bytes(flipped(path.read_bytes(), position))
    assert crashes(tmp_path) == {}
    assert CrashMarker.open(tmp_path, "matching").count_of(COMMAND) == 0


def test_bytes_of_another_program_with_a_good_checksum(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as other:
        other.setattr(crash_marker, "MAGIC", b"SOMEBODY")
        left_at(tmp_path, "matching", COMMAND)
    assert crashes(tmp_path) == {}


def test_a_process_that_dies_between_writing_and_renaming_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left_at(tmp_path, "matching", COMMAND)

    def die(source: object, target: object) -> None:
        raise OSError("no space left on device")

    with monkeypatch.context() as full:
        full.setattr(os, "replace", die)
        with pytest.raises(OSError, match="no space"):
            CrashMarker.open(tmp_path, "matching")
    assert crashes(tmp_path) == {COMMAND: 1}
    assert CrashMarker.open(tmp_path, "matching").count_of(COMMAND) == 1
