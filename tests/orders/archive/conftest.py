from pathlib import Path

import pytest

from tests.orders.archive.logs import Log


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "archive" / "spot"


@pytest.fixture
def log(tmp_path: Path) -> Log:
    """An open market with money, nothing archived."""
    made = Log(tmp_path / "snapshots" / "spot")
    made.open()
    return made
