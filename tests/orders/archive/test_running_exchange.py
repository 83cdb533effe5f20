"""The archive of a whole exchange at work: whole, joined to the live log, and replayed to the live engine's state."""

import json
from contextlib import closing

from apps.matching import snapshots
from apps.orders.archive import segments
from apps.orders.archive.log import ArchivedLog
from apps.orders.archive.reader import Archive
from apps.orders.archive.replaying import replay_archive, replay_live
from apps.orders.archive.verifying import verify_archive
from apps.streams.bus.base import EntryId
from apps.streams.bus.redis import RedisBus
from nebannpet.embedded import redis_core
from nebannpet.health import ask_health
from tests.stack import Stack


def test_the_archive_of_a_running_exchange() -> None:
    with Stack(SIMULATOR="1") as stack:
        directory = segments.shard_dir(stack.data_dir, "spot")
        assert ask_health(stack.paths.health_socket("archive"))[1]["state"] == "archiving"
        stack.kill("archive")
        stack.wait_ready("archive")
        status = json.loads(stack.manage("engine_status", "--json"))
        assert {"archive-commands", "archive-events"} <= {reader["name"] for reader in status["readers"]}
        with closing(RedisBus(redis_core(stack.paths).url, "spot")) as bus:
            through = EntryId.parse(status["state_command"])
            live = replay_live(bus, snapshots.shard_dir(stack.data_dir, "spot"), status["state_seq"], through)
        assert live.state_hash == status["state_hash"]
        said = stack.manage("verify_log")
        assert said.endswith("whole\n"), said
        assert " event entries are in both and equal" in said
        stack.stop_processes()
        assert verify_archive(directory).wrong == ""
        archived = replay_archive(ArchivedLog(Archive(directory)))
        assert archived.seq >= live.seq > 0
        # The archiver stops after the worker, so that it sees the last event.
        newest = snapshots.newest(snapshots.shard_dir(stack.data_dir, "spot"))
        assert newest is not None
        assert (archived.seq, archived.chain) == (newest.seq, newest.chain)
