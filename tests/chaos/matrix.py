"""The fault matrix of reliability.md 2.12 as data: each row is one named test, or says why it is none here."""

from dataclasses import dataclass

WORKERS = "tests/chaos/test_matrix_workers.py::"
CORE = "tests/chaos/test_matrix_core.py::"
POSTGRES = "tests/chaos/test_matrix_postgres.py::"
EDGES = "tests/chaos/test_matrix_edges.py::"
CORRUPTION = "tests/corruption/"


@dataclass(frozen=True, slots=True)
class Row:
    """`tests` are pytest ids; `missing` says what of the row cannot be run on one machine of ours, and why."""

    fault: str
    what: str
    expected: str
    tests: tuple[str, ...] = ()
    missing: str = ""


MATRIX: tuple[Row, ...] = (
    Row(
        "F1",
        "active worker killed before and after read, process, append and snapshot",
        "the standby trades within seconds; nothing acknowledged is lost, nothing filled twice",
        (WORKERS + "test_f01_worker_killed_before_and_after_each_step",),
    ),
    Row(
        "F2",
        "active worker stopped by SIGSTOP for 5 s, then SIGCONT",
        "the standby takes over; the old worker is refused by the fence and ends",
        (WORKERS + "test_f02_worker_paused_until_another_took_over_is_refused_and_ends",),
    ),
    Row(
        "F3",
        "active worker hardly gets a processor",
        "as F2, or it keeps its lease; no promise depends on which",
        (WORKERS + "test_f03_worker_that_hardly_runs_keeps_every_promise",),
    ),
    Row(
        "F4",
        "both workers dead",
        "orders get 503; those that waited too long are rejected at the restart, never executed",
        (WORKERS + "test_f04_both_workers_dead_orders_are_refused_and_old_ones_never_executed",),
    ),
    Row(
        "F5",
        "redis-core killed",
        "503 or unknown meanwhile; after the restart nothing acknowledged is lost",
        (CORE + "test_f05_redis_core_killed_under_load",),
    ),
    Row(
        "F6",
        "redis-core loses power",
        "as F5: what was acknowledged was fsynced before",
        (
            CORRUPTION + "test_power_loss.py::test_two_hundred_power_losses",
            CORRUPTION + "test_power_loss.py::test_no_answer_leaves_before_fdatasync",
        ),
        missing="the file is cut where its disk may have stopped; no machine is switched off",
    ),
    Row(
        "F7",
        "append-only file cut, one byte flipped, deleted; FLUSHALL",
        "the shard halts with the failed check's name; with the right file back nothing is missing",
        (
            CORE + "test_f07_log_cut_or_deleted_halts_the_shard",
            CORE + "test_f07_log_flushed_by_an_administrator_halts_the_shard",
            CORRUPTION + "test_append_only_file.py::test_five_hundred_damaged_files",
            CORRUPTION + "test_log_entries.py::test_four_thousand_damaged_logs",
        ),
    ),
    Row(
        "F8",
        "redis-core restored from an old copy",
        "the log is behind PostgreSQL and the snapshots: the shard halts",
        (CORE + "test_f08_log_restored_from_an_old_copy_halts_the_shard",),
    ),
    Row(
        "F9",
        "redis-core's disk full",
        "the server ends instead of acknowledging; nothing is lost",
        (CORE + "test_f09_redis_core_without_disk_ends_and_loses_nothing",),
        missing="an fsync that fails with EIO needs a fault injected into the kernel; the server ends the same way",
    ),
    Row(
        "F10",
        "redis-core stopped for a moment and for seconds",
        "requests end as unknown; shorter than the lease, nobody takes over",
        (CORE + "test_f10_redis_core_that_sleeps_costs_answers_and_nothing_else",),
    ),
    Row(
        "F11",
        "two redis-core with different histories",
        "the chains differ: halt",
        ("tests/flows/test_two_sites.py::test_without_reading_from_the_replica_a_lost_tail_is_found_and_refused",),
    ),
    Row(
        "F12",
        "PostgreSQL killed, also in the middle of a COPY",
        "trading goes on; settlement catches up exactly",
        (POSTGRES + "test_f12_postgres_killed_also_in_copy_trading_goes_on",),
    ),
    Row(
        "F13",
        "PostgreSQL: no connection left, a lock held for 30 s, disk full",
        "as F12; no partial batch",
        (
            POSTGRES + "test_f13_postgres_without_connections_and_locked_for_half_a_minute",
            "tests/orders/test_settlement_faults.py::test_fault_f13_disk_full",
        ),
    ),
    Row(
        "F14",
        "PostgreSQL restored from a backup",
        "settled again from the log or the archive; the same balances",
        ("tests/flows/test_restore_drill.py::test_restore_drill",),
    ),
    Row(
        "F15",
        "settlement and relay killed at each of their points",
        "no entry twice, no deposit twice",
        (POSTGRES + "test_f15_settlement_killed_at_each_point",),
    ),
    Row(
        "F16", "payment killed before and after signing and broadcast", "paid once", missing="there are no wallets yet"
    ),
    Row(
        "F17",
        "redis-edge flushed and killed",
        "no effect on orders and money; feeds come back",
        (EDGES + "test_f17_redis_edge_flushed_and_killed_costs_no_order",),
        missing="a task delivered five times: there are no background tasks yet",
    ),
    Row(
        "F18",
        "gateway killed in the middle of requests",
        "every unknown order resolves by its client id; feeds join again",
        (EDGES + "test_f18_gateway_killed_mid_request_and_every_unknown_order_resolves_by_its_client_id",),
    ),
    Row(
        "F19",
        "network between processes: cut, dropped, one way, delayed, half closed",
        "bounded waits, nothing twice, recovery by itself",
        (EDGES + "test_f19_network_cut_dropped_delayed_and_half_closed",),
        missing="a proxy in the place of the servers' sockets, not a network of the kernel",
    ),
    Row(
        "F20",
        "clock one hour ahead, then one hour behind the log",
        "markets halt; order is kept; staff opens them again",
        (EDGES + "test_f20_clock_an_hour_ahead_halts_the_markets_and_staff_opens_them_again",),
        missing="shown as redis-core shows it, by entry ids; the machine's own clock is not moved",
    ),
    Row(
        "F21",
        "the archive's disk full",
        "trimming waits for it and nothing else does; it catches up",
        (EDGES + "test_f21_archive_without_disk_holds_back_trimming_and_nothing_else",),
    ),
    Row(
        "F22",
        "commands at which the engine raises or dies by a signal",
        "rejected, everything else goes on; the third of a market stops its orders",
        (WORKERS + "test_f22_poison_commands_are_rejected_and_the_third_stops_the_market",),
    ),
    Row(
        "F23",
        "a release with other rules",
        "takes over at a hand-over only, from a snapshot at the head; else it halts and says how",
        (WORKERS + "test_f23_other_rules_take_over_at_a_hand_over_only",),
    ),
    Row(
        "F24",
        "a process ended by the kernel for want of memory",
        "as kill -9, which is how the kernel ends it",
        (WORKERS + "test_f24_every_process_killed_as_the_kernel_does_without_memory",),
    ),
    Row(
        "F25",
        "newest snapshot damaged, half written, missing; all missing",
        "an older one is used, with the same state; without any the shard halts",
        (WORKERS + "test_f25_snapshots_damaged_half_written_missing",),
    ),
)
