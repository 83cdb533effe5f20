"""make reset deletes only what it was told to, only when told so, and never a running exchange."""

import io
from pathlib import Path

import pytest

from apps.streams.shards import SHARD_NUMBERS
from nebannpet.paths import Paths
from nebannpet.preflight import EXIT_FAILED, PreflightError, lock_data_directory
from nebannpet.reset import reset


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    paths = Paths(tmp_path / "data")
    paths.make_private()
    paths.lock_file.touch()
    (paths.data_dir / "redis-core").mkdir()
    (paths.data_dir / "redis-core" / "appendonly.aof").write_text("money")
    return paths


def answer(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(text))


def test_confirmed_reset_deletes_all(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    answer("delete\n", monkeypatch)
    assert reset(paths) == 0
    assert not paths.data_dir.exists()


@pytest.mark.parametrize("text", ["", "\n", "yes\n", "y\n", "DELETE\n", "delete everything\n"])
def test_anything_else_deletes_nothing(paths: Paths, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    answer(text, monkeypatch)
    assert reset(paths) == EXIT_FAILED
    assert (paths.data_dir / "redis-core" / "appendonly.aof").read_text() == "money"


@pytest.mark.parametrize("shard", SHARD_NUMBERS)
def test_running_exchange_is_refused(paths: Paths, shard: str, monkeypatch: pytest.MonkeyPatch) -> None:
    answer("delete\n", monkeypatch)
    with (
        lock_data_directory(Paths(paths.data_dir, shard), "http://localhost:8000"),
        pytest.raises(PreflightError, match="already running"),
    ):
        reset(paths)
    assert (paths.data_dir / "redis-core").exists()


def test_foreign_directory_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answer("delete\n", monkeypatch)
    (tmp_path / "holiday.jpg").write_text("picture")
    assert reset(Paths(tmp_path)) == 0
    assert (tmp_path / "holiday.jpg").exists()
