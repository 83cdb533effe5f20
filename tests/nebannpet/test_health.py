"""/healthz and /metrics of a process on its unix socket."""

import http.client
import os
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import MagicMock

import pytest
from django.db import OperationalError

from nebannpet.health import Health, Said, _UnixConnection, ask_health, is_healthy, serve_health, what_it_says
from nebannpet.management.commands import run_site
from nebannpet.paths import Paths


@pytest.fixture
def paths(tmp_path: Path) -> Iterator[Paths]:
    yield (paths := Paths(tmp_path))
    paths.remove_short_socket_dir()


def test_healthy_process_answers_200_with_its_details(paths: Paths) -> None:
    with serve_health("matching", lambda: Health(ok=True, details={"seq": 7}), paths) as socket_path:
        status, body = ask_health(socket_path)
        assert is_healthy(socket_path)
        assert socket_path.stat().st_mode & 0o077 == 0
    assert status == 200
    assert body == {"status": "ok", "process": "matching", "pid": os.getpid(), "seq": 7}


def test_failing_process_answers_503_and_says_why(paths: Paths) -> None:
    with serve_health("settlement", lambda: Health(ok=False, details={"lag_events": 9000}), paths) as socket_path:
        assert ask_health(socket_path) == (
            503,
            {"status": "failing", "process": "settlement", "pid": os.getpid(), "lag_events": 9000},
        )
        assert not is_healthy(socket_path)


def test_details_cannot_hide_the_status(paths: Paths) -> None:
    with serve_health("site", lambda: Health(ok=False, details={"status": "ok"}), paths) as socket_path:
        assert ask_health(socket_path)[1]["status"] == "failing"


def test_check_that_raises_is_a_failure_not_a_hang(paths: Paths) -> None:
    def check() -> Health:
        raise RuntimeError("engine gone")

    with serve_health("matching", check, paths) as socket_path:
        status, body = ask_health(socket_path)
    assert status == 503
    assert "engine gone" in str(body["error"])


@pytest.mark.parametrize(
    ("health", "said"),
    [
        (Health(ok=True, details={"phase": "following"}), Said("following")),
        (Health(ok=True), Said("")),
        (
            Health(ok=False, details={"state": "stopped", "explanation": "two histories"}),
            Said("FAILING: stopped", "two histories"),
        ),
        (Health(ok=False, details={"core": False}), Said("FAILING", '{"core": false}')),
    ],
)
def test_health_in_words(health: Health, said: Said, paths: Paths) -> None:
    with serve_health("matching", lambda: health, paths) as socket_path:
        assert what_it_says(socket_path) == said
    assert what_it_says(socket_path) == Said("")


def test_a_failed_check_of_the_site_gives_its_connection_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kept, it would be a place in the pool that is gone until the process ends."""
    broken = MagicMock()
    broken.cursor.side_effect = OperationalError("terminating connection due to unexpected postmaster exit")
    monkeypatch.setattr(run_site, "connection", broken)
    with pytest.raises(OperationalError):
        run_site.ask_database()
    broken.close.assert_called_once_with()


def test_metrics_and_unknown_paths(paths: Paths) -> None:
    with serve_health("site", lambda: Health(ok=True), paths) as socket_path:
        for path, status, text in (("/metrics", 200, b"process_cpu_seconds_total"), ("/else", 404, b"/healthz")):
            connection = _UnixConnection(socket_path, 2.0)
            connection.request("GET", path)
            response = connection.getresponse()
            assert response.status == status
            assert text in response.read()
            connection.close()


def test_socket_left_by_a_crash_is_replaced_and_then_removed(paths: Paths) -> None:
    paths.make_private()
    paths.health_socket("site").write_text("left behind")
    with serve_health("site", lambda: Health(ok=True), paths) as socket_path:
        assert is_healthy(socket_path)
    assert not socket_path.exists()
    assert not is_healthy(socket_path)


def test_a_client_that_says_nothing_does_not_block_others(paths: Paths) -> None:
    with serve_health("site", lambda: Health(ok=True), paths) as socket_path:
        silent = _UnixConnection(socket_path, 2.0)
        silent.connect()
        assert ask_health(socket_path)[0] == 200
        silent.close()


def test_nobody_there(paths: Paths) -> None:
    with pytest.raises((OSError, http.client.HTTPException)):
        ask_health(paths.health_socket("site"))
