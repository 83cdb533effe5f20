"""Processes of several shards share a data directory and never a file of their own."""

import os
from pathlib import Path

from apps.streams.shards import SHARD_NUMBERS
from nebannpet.paths import LONGEST_SOCKET_NAME, Paths
from nebannpet.preflight import remove_stale_run_files
from nebannpet.processes import APPLICATION


def own_files(paths: Paths) -> list[Path]:
    return [
        paths.lock_file, paths.process_table, paths.control_socket, paths.site_socket,
        *(paths.health_socket(name) for name in APPLICATION), *(paths.logs_dir / f"{name}.log" for name in APPLICATION),
    ]  # fmt: skip


def test_no_two_shards_have_a_file_in_common(tmp_path: Path) -> None:
    files = [path for shard in SHARD_NUMBERS for path in own_files(Paths(tmp_path, shard))]
    assert len(set(files)) == len(files)


def test_servers_are_the_same_for_all(tmp_path: Path) -> None:
    first, second = Paths(tmp_path), Paths(tmp_path, "drill")
    assert first.socket_dir == second.socket_dir
    assert first.redis_socket("redis-core") == second.redis_socket("redis-core")
    assert first.postgres_socket_dir == second.postgres_socket_dir


def test_no_socket_name_is_longer_than_the_longest() -> None:
    files = [path for shard in SHARD_NUMBERS for path in own_files(Paths(Path("x"), shard))]
    names = [path.name for path in files if path.suffix == ".sock"] + ["postgres/.s.PGSQL.5432.lock"]
    assert max(map(len, names)) <= len(LONGEST_SOCKET_NAME)


def test_start_of_one_shard_leaves_the_sockets_of_the_others(tmp_path: Path) -> None:
    shards = [Paths(tmp_path, shard) for shard in SHARD_NUMBERS]
    for paths in shards:
        paths.make_private()
        for path in (paths.control_socket, paths.health_socket("matching"), paths.redis_socket("redis-core")):
            path.touch()
    remove_stale_run_files(shards[1])
    assert sorted(os.listdir(shards[0].socket_dir)) == ["matching.health.sock", "redis-core.sock", "supervisor.sock"]
    shards[1].control_socket.touch()
    remove_stale_run_files(shards[0])
    assert os.listdir(shards[0].socket_dir) == ["supervisor.drill.sock"]
    shards[1].remove_short_socket_dir()
    assert shards[0].socket_dir.exists()
    shards[0].remove_short_socket_dir()
