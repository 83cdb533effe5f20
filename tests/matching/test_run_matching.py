"""run_matching as the supervisor starts it: health, metrics, engine_status beside it, a clean end."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest
import redis
from psycopg.conninfo import conninfo_to_dict

from apps.matching import snapshots
from apps.streams.bus.redis import RedisBus
from nebannpet.health import ask_health, is_healthy, what_it_says
from nebannpet.paths import Paths
from tests.matching.traffic import opening, trading
from tests.matching.waiting import until

BASE_DIR = Path(__file__).resolve().parents[2]


@dataclass
class Manage:
    """manage.py with an environment of its own."""

    environment: dict[str, str]
    data_dir: Path

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "manage.py", *arguments], cwd=BASE_DIR, env=self.environment)

    def output(self, *arguments: str) -> str:
        command = [sys.executable, "manage.py", *arguments]
        return subprocess.run(
            command, cwd=BASE_DIR, env=self.environment, check=True, capture_output=True, text=True
        ).stdout

    @property
    def health(self) -> Path:
        return Paths(self.data_dir).health_socket("matching")


@pytest.fixture
def manage(core: redis.Redis, redis_core_url: str, matching_tables: str, tmp_path: Path) -> Manage:
    parts = {key: str(value) for key, value in conninfo_to_dict(matching_tables).items()}
    database = quote(parts.pop("dbname"))
    parts.pop("application_name", None)
    environment = os.environ | {
        "NEBANNPET_DATA": str(tmp_path),
        "REDIS_CORE_URL": redis_core_url,
        "DATABASE_URL": f"postgresql:///{database}?{urlencode(parts)}",
    }
    made = Manage(environment, tmp_path)
    made.output("apply_roles")
    return made


@pytest.fixture
def matching(manage: Manage) -> Iterator[subprocess.Popen[bytes]]:
    process = manage.start("run_matching")
    until(lambda: is_healthy(manage.health), what="a healthy matching process")
    yield process
    if process.poll() is None:
        process.kill()
    process.wait(60)


def test_a_life(manage: Manage, matching: subprocess.Popen[bytes], redis_core_url: str) -> None:
    bus = RedisBus(redis_core_url, "spot")
    last = bus.append_commands(b"".join([*opening(), *trading(200, seed=21)]))
    until(lambda: bus.head().cmd >= last)
    until(lambda: ask_health(manage.health, timeout_s=20)[1]["seq"] == bus.head().seq)
    status, details = ask_health(manage.health, timeout_s=20)
    assert (status, details["phase"], details["epoch"]) == (200, "active", 1)

    shown = json.loads(manage.output("engine_status", "--json"))
    assert shown["epoch"] == shown["epoch_in_postgres"] == 1
    assert shown["seq"] == shown["state_seq"] == bus.head().seq
    assert shown["holder"] == bus.lease_holder()
    assert shown["books"][0]["symbol"] == "BTCUSDT"
    assert "BTCUSDT" in manage.output("engine_status")

    matching.send_signal(signal.SIGTERM)
    assert matching.wait(60) == 0
    assert bus.lease_holder() is None
    newest = snapshots.newest(snapshots.shard_dir(manage.data_dir, "spot"))
    assert newest is not None
    assert newest.seq == bus.head().seq
    assert not manage.health.exists()
    after = json.loads(manage.output("engine_status", "--json"))
    assert (after["holder"], after["books"]) == ("", shown["books"])
    bus.close()


def test_a_fenced_process_ends_with_its_own_code(
    manage: Manage, matching: subprocess.Popen[bytes], redis_core_url: str
) -> None:
    bus = RedisBus(redis_core_url, "spot")
    bus.raise_epoch(5)
    assert matching.wait(60) == 3
    bus.close()


def test_a_halted_process_stays_and_says_why(manage: Manage, redis_core_url: str) -> None:
    bus = RedisBus(redis_core_url, "spot")
    bus.raise_epoch(1)
    directory = snapshots.shard_dir(manage.data_dir, "spot")
    directory.mkdir(parents=True)
    bus.trim(epoch=1, commands_to=bus.append_commands(b"".join(opening())), events_to=0)
    process = manage.start("run_matching")
    try:
        until(lambda: what_it_says(manage.health, timeout_s=20).word == "FAILING: halted", what="the halt")
        status, details = ask_health(manage.health, timeout_s=20)
        assert (status, details["halt_reason"]) == (503, "no-usable-snapshot")
        assert "Bring one back from a backup" in str(details["explanation"])
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()
        bus.close()
