"""What manage.py promote says before it comes to any server, and when one is away."""

from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command


def test_a_watch_of_zero_seconds_never_promotes() -> None:
    out = StringIO()
    call_command("promote", "--watch", "--after", "0", stdout=out)
    assert out.getvalue() == "--after 0: the primary site is not watched. Nothing was changed.\n"


@pytest.mark.parametrize("after", ["-1", "86401"])
def test_silly_times_are_refused(after: str) -> None:
    with pytest.raises(CommandError, match="between 0 and 86400 seconds"):
        call_command("promote", "--watch", "--after", after)


@pytest.mark.parametrize("arguments", [[], ["--check"], ["--primary-is-lost"]])
def test_without_its_own_servers_nothing_happens(settings: Any, tmp_path: Path, arguments: list[str]) -> None:
    settings.DATABASE_DSN = f"host={tmp_path} dbname=nowhere"
    settings.REDIS_CORE_URL = f"unix://{tmp_path}/nowhere.sock"
    settings.DATA_DIR = tmp_path
    with pytest.raises(CommandError, match="A server of this site is away") as refused:
        call_command("promote", *arguments)
    assert refused.value.returncode == 2
    assert list(tmp_path.iterdir()) == []
