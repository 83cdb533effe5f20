"""Bugs in recovery, fence, settlement and archive, each as exact edits, with what must find it (tests/planting.py)."""

from tests.planting import Bug, Finder, tests


def rig(*options: str) -> Finder:
    return ("tests.chaos", "--seed", "1", *options)


REIGN, WORKER, RECOVERY = "apps/matching/reign.py", "apps/matching/worker.py", "apps/matching/recovery.py"
SCRIPTS, BATCHER = "apps/streams/bus/scripts.py", "apps/gateway/batcher.py"
SETTLE, SETTLEMENT = "apps/orders/settlement/transaction.py", "apps/orders/settlement/process.py"
ARCHIVE, TAKEOVER = "apps/orders/archive/process.py", "apps/matching/takeover.py"

BUGS: tuple[Bug, ...] = (
    Bug(
        "reply-before-durable",
        "redis-core answers before its file is synced, so an acknowledged order can be lost with the power",
        (("nebannpet/embedded/redis.py", '"appendfsync": "always"', '"appendfsync": "everysec"'),),
        (tests("tests/corruption/test_power_loss.py", "tests/nebannpet/test_embedded.py"),),
    ),
    Bug(
        "fence-without-chain",
        "the append checks epoch and number, not that the history before it is the same",
        ((SCRIPTS, " or chain~=ARGV[4] then", " then"),),
        (tests("tests/streams/test_bus.py"),),
    ),
    Bug(
        "lease-as-safety",
        "the append does not check the epoch: whoever thinks that it has the lease writes",
        ((SCRIPTS, "APPEND_EVENTS: Final = (\n    _FENCE\n    + ", "APPEND_EVENTS: Final = (\n    "),),
        (tests("tests/streams/test_bus.py"),),
    ),
    Bug(
        "watermark-outside-the-transaction",
        "the watermark is committed before the batch it stands for",
        (
            (
                SETTLE,
                "    with connection.transaction(), connection.cursor() as cursor:\n"
                "        _move_watermark(cursor, shard, batch)\n",
                "    with connection.cursor() as cursor:\n"
                "        _move_watermark(cursor, shard, batch)\n"
                "    with connection.transaction(), connection.cursor() as cursor:\n",
            ),
        ),
        (rig("--faults", "crash-point:settlement.copy.after", "--count", "2"),),
    ),
    Bug(
        "settled-before-commit",
        "settlement is announced before it is committed, so a reader sees the past as the present",
        (
            (
                SETTLEMENT,
                "                    position = settle(connection, self._shard, batch, markets)\n",
                "                    bus.announce_settled(batch.to_seq)\n"
                "                    position = settle(connection, self._shard, batch, markets)\n",
            ),
        ),
        (rig("--faults", "postgres-lock", "--count", "2"),),
    ),
    Bug(
        "snapshot-of-undurable-state",
        "a snapshot is taken of what was applied and not yet published, under the position before it",
        (
            (
                REIGN,
                '        reach("matching.process.after")\n',
                '        reach("matching.process.after")\n'
                "        self._snapshots.look_after(self._core, before, wanted=True, patience=1.0)\n",
            ),
        ),
        (tests("tests/matching/test_kills.py::test_kill_9_at_random_points"),),
    ),
    Bug(
        "trim-at-the-newest-snapshot",
        "commands are trimmed that the older kept snapshots still need",
        (
            (
                REIGN,
                "oldest = snapshots.position_in_name(paths[-1])",
                "oldest = snapshots.position_in_name(paths[0])",
            ),
        ),
        (tests("tests/matching/test_trimming.py", "tests/matching/test_worker.py", "tests/matching/test_standby.py"),),
    ),
    Bug(
        "retry-of-the-append",
        "an append without an answer is sent again, as redis clients do by default",
        (
            (
                BATCHER,
                "            batch.fail(errors.unknown_outcome)\n",
                "            self._batch, later = batch, self._batch\n            self._flush()\n"
                "            self._batch = later\n",
            ),
        ),
        (
            tests("tests/gateway/test_core.py", "tests/gateway/test_outages.py"),
            rig("--faults", "network:gateway/redis-core/drop-answers", "--count", "4"),
        ),
    ),
    Bug(
        "unknown-told-as-refused",
        "an append without an answer is reported as not executed",
        (
            (
                BATCHER,
                "            batch.fail(errors.unknown_outcome)\n",
                "            batch.fail(errors.not_executed)\n",
            ),
        ),
        (rig("--faults", "network:gateway/redis-core/drop-answers", "--count", "4"),),
    ),
    Bug(
        "head-before-epoch",
        "the takeover reads the head before its epoch keeps the old worker from appending",
        (
            (
                WORKER,
                "            epoch, settled = self._raise_epoch()\n",
                '            setattr(self._bus, "early_head", self._bus.head())\n'
                "            epoch, settled = self._raise_epoch()\n",
            ),
            (
                RECOVERY,
                "    head = bus.head()\n    skips = Skips.parse(bus.read_skips())\n    check_record",
                '    head = getattr(bus, "early_head", None) or bus.head()\n    skips = Skips.parse(bus.read_skips())\n'
                "    check_record",
            ),
        ),
        (tests("tests/matching/test_takeover_order.py"),),
    ),
    Bug(
        "skip-not-written",
        "a poison command is skipped by the worker that met it and by no replay",
        ((WORKER, "        self._bus.write_skip(key, Reason.INTERNAL.name, epoch=epoch)\n", ""),),
        (tests("tests/matching/test_poison.py"),),
    ),
    Bug(
        "stale-orders-executed",
        "orders that waited through an outage are executed at prices of another time",
        ((TAKEOVER, "    if unprocessed_is_stale(", "    if False and unprocessed_is_stale("),),
        (tests("tests/matching/test_poison.py"),),
    ),
    Bug(
        "cursor-before-fsync",
        "the archive says what it has before it has it, and trimming believes it",
        (
            (
                ARCHIVE,
                "        written = writer.append(commands=found.commands",
                "        if found.commands:\n"
                "            self._set_cursors(bus, Ends(seq=found.head.seq, cmd=found.commands[-1].id))\n"
                "        written = writer.append(commands=found.commands",
            ),
        ),
        (
            tests("tests/orders/archive/test_writing.py", "tests/orders/archive/test_kills.py"),
            rig("--faults", "crash-point:archive.write.before", "--count", "3"),
        ),
    ),
    Bug(
        "replay-not-compared",
        "recovery does not compare what it makes with what was published",
        (
            (
                "apps/matching/replay.py",
                "        if entry.first_seq != self._seq + 1 or chain != entry.chain:\n",
                "        if entry.first_seq != self._seq + 1:\n",
            ),
        ),
        (tests("tests/matching/test_recovery.py"),),
    ),
    Bug(
        "relay-counts-before-it-sends",
        "the relay takes its rows for sent before they are, and keeps to it when they were not",
        (
            ("apps/outbox/process.py", "                relay.forget()\n", ""),
            (
                "apps/outbox/relay.py",
                '        reach("outbox.append.before")\n',
                '        self.sent_seq = numbers[-1]\n        reach("outbox.append.before")\n',
            ),
        ),
        (tests("tests/outbox"), rig("--faults", "network:outbox/redis-core/cut", "--count", "3")),
    ),
    Bug(
        "settlement-believes-any-history",
        "settlement does not compare its chain with the log's",
        ((SETTLEMENT, "        if chain is not None and chain != position.chain:\n", "        if False:\n"),),
        (tests("tests/orders/test_settlement_process.py", "tests/orders/test_settlement.py"),),
    ),
)
