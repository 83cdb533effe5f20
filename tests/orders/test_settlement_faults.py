"""PostgreSQL fails in the middle of settlement (fault-F12, fault-F13): nothing half done, nothing twice, said aloud.

Every fault ends with the record equal to a replay of the whole log.
"""

import contextlib
import os
import resource
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from django.conf import settings
from django.db import connections
from prometheus_client import REGISTRY

from apps.orders.settlement.process import connect
from apps.streams.bus.memory import MemoryBus
from apps.streams.events import RelayRefused
from apps.streams.kinds import CommandKind, Reason
from tests.orders.commit_cutter import CommitCutter
from tests.orders.live import SHARD, until
from tests.orders.recorded import Recorded
from tests.orders.settling import Running, assert_record_equals_replay, recorded_log, settled_seq

pytestmark = pytest.mark.django_db(transaction=True)

CATCH_UP_S = 60.0


@pytest.fixture
def log_bus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MemoryBus:
    monkeypatch.setattr("apps.orders.settlement.process.EVENTS_PER_BATCH", 200)
    monkeypatch.setattr("apps.orders.settlement.process.BACK_OFF_LAST_S", 0.2)
    bus = MemoryBus(SHARD)
    recorded_log(bus, tmp_path, commands=600)
    return bus


@pytest.fixture
def owner(log_bus: MemoryBus) -> Iterator[psycopg.Connection[object]]:
    with contextlib.closing(psycopg.connect(settings.DATABASE_DSN, autocommit=True)) as opened:
        yield opened


def waiting() -> float:
    return REGISTRY.get_sample_value("settlement_waiting") or 0.0


def until_it_says_so(settling: Running, word: str) -> None:
    """Health is failing and names the reason; the metric stands."""

    def said() -> bool:
        health = settling.process.check()
        state, error = health.details["state"], str(health.details.get("error", ""))
        return not health.ok and state == "waiting for PostgreSQL" and word in error and waiting() == 1.0

    until(said, f"health says {word}", timeout_s=CATCH_UP_S)
    assert settling.error is None


def until_caught_up(settling: Running, bus: MemoryBus) -> None:
    until(
        lambda: settling.process.seq == bus.head().seq or settling.error is not None, "caught up", timeout_s=CATCH_UP_S
    )
    until(
        lambda: (settling.process.check().ok and waiting() == 0.0) or settling.error is not None,
        "healthy again",
        timeout_s=CATCH_UP_S,
    )
    assert settling.error is None
    assert settled_seq() == bus.head().seq
    assert_record_equals_replay(bus)


# -- F12 --------------------------------------------------------------------------------------------------------------
SLOW_COPY = """
CREATE FUNCTION test_slow_copy() RETURNS trigger LANGUAGE plpgsql
AS $$ BEGIN PERFORM pg_sleep(0.3); RETURN NULL; END $$;
CREATE TRIGGER test_slow_copy BEFORE INSERT ON ledger_entry FOR EACH STATEMENT EXECUTE FUNCTION test_slow_copy();
"""
IN_COPY = """
SELECT pid FROM pg_stat_activity
 WHERE datname = current_database() AND query LIKE 'COPY%ledger_entry%' AND state = 'active'
"""


def backend_in_copy(owner: psycopg.Connection[object]) -> int:
    found: list[int] = []

    def seen() -> bool:
        row = owner.execute(IN_COPY).fetchone()
        found.extend(row or ())
        return bool(found)

    until(seen, "a COPY at work", timeout_s=CATCH_UP_S)
    return found[0]


def test_fault_f12_postgres_killed_in_copy(log_bus: MemoryBus, owner: psycopg.Connection[object]) -> None:
    """kill -9 of one backend makes PostgreSQL end all others at once and recover from its log."""
    owner.execute(SLOW_COPY)
    try:
        with Running(log_bus) as settling:
            until(lambda: settling.process.seq > 0, "settling", timeout_s=CATCH_UP_S)
            pid, before = backend_in_copy(owner), settled_seq()
            try:
                os.kill(pid, signal.SIGKILL)
            except PermissionError:
                pytest.skip("the server runs as another user")
            connections.close_all()
            until(lambda: settling.process.seq > before or settling.error is not None, "again", timeout_s=CATCH_UP_S)
            until_caught_up(settling, log_bus)
    finally:
        connections.close_all()
        with psycopg.connect(settings.DATABASE_DSN, autocommit=True) as again:
            again.execute("DROP FUNCTION test_slow_copy CASCADE")


def test_fault_f12_the_lag_grows_while_postgres_is_away(log_bus: MemoryBus, monkeypatch: pytest.MonkeyPatch) -> None:
    """It stood still: nobody measured while the connection was refused."""

    def refused() -> psycopg.Connection[object]:
        raise psycopg.OperationalError("connection refused")

    monkeypatch.setattr("apps.orders.settlement.process.connect", refused)
    with Running(log_bus) as settling:
        until_it_says_so(settling, "connection refused")
        assert settling.process.lag_events == log_bus.head().seq
        first = settling.process.lag_s
        until(lambda: settling.process.lag_s > first, "the lag grows")
        assert REGISTRY.get_sample_value("settlement_lag_events") == log_bus.head().seq
        monkeypatch.undo()
        until_caught_up(settling, log_bus)
        assert settling.process.lag_events == 0


# -- F13 --------------------------------------------------------------------------------------------------------------
def test_fault_f13_connection_limit_exhausted(log_bus: MemoryBus, owner: psycopg.Connection[object]) -> None:
    with contextlib.ExitStack() as others:
        with pytest.raises(psycopg.OperationalError, match="too many clients"):
            for _ in range(1_000):
                others.enter_context(contextlib.closing(psycopg.connect(settings.DATABASE_DSN, autocommit=True)))
        with Running(log_bus) as settling:
            until_it_says_so(settling, "too many clients")
            others.close()
            until_caught_up(settling, log_bus)


def test_fault_f13_a_lock_held_longer_than_the_limit(log_bus: MemoryBus, owner: psycopg.Connection[object]) -> None:
    holder = psycopg.connect(settings.DATABASE_DSN)
    holder.execute("LOCK TABLE ledger_balance IN ACCESS EXCLUSIVE MODE")
    with Running(log_bus) as settling:
        until_it_says_so(settling, "lock timeout")
        row = owner.execute("SELECT seq FROM matching_watermark WHERE reader = 'settlement'").fetchone()
        assert row == (0,), "the watermark moves with its batch or not at all"
        assert owner.execute("SELECT count(*) FROM ledger_entry").fetchone() == (0,)
        holder.rollback()
        holder.close()
        until_caught_up(settling, log_bus)


GROW = """
INSERT INTO ledger_entry (id, shard, seq, n, asset_id, kind, owner_id, amount_units)
SELECT -n, 'none', -n, 0, 1, 4, 0, 1 FROM generate_series(1, 300000) AS n
"""


def grown(owner: psycopg.Connection[object], bytes_min: int) -> int:
    """Make the file of ledger_entry larger than that by rows that are never committed; its size then."""
    with owner.transaction(force_rollback=True):
        owner.execute("SET LOCAL session_replication_role = replica")
        owner.execute(GROW)
    row = owner.execute("SELECT pg_relation_size('ledger_entry')").fetchone()
    assert row is not None
    assert row[0] > bytes_min  # type: ignore[index]
    return int(row[0])  # type: ignore[index]


def limit_files(pid: int, bytes_max: int) -> bool:
    """The process can write no file beyond that from now on; done by a child under its own user, who may do this."""
    owner = Path(f"/proc/{pid}").stat()
    child = os.fork()
    if child == 0:
        try:
            if os.geteuid() != owner.st_uid:
                os.setgid(owner.st_gid)
                os.setuid(owner.st_uid)
            _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (bytes_max, hard))
        except BaseException:  # noqa: BLE001  a forked child ends here
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_fault_f13_disk_full(
    log_bus: MemoryBus, owner: psycopg.Connection[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ledger's file may not grow: a limit on settlement's own backend, above the size of the server's log files."""
    size = grown(owner, bytes_min=17 * 2**20)
    full = threading.Event()
    full.set()

    def connect_limited() -> psycopg.Connection[object]:
        connection = connect()
        if full.is_set() and not limit_files(connection.info.backend_pid, size):
            connection.close()
            refused.set()
        return connection

    refused = threading.Event()
    monkeypatch.setattr("apps.orders.settlement.process.connect", connect_limited)
    with Running(log_bus) as settling:
        until(lambda: refused.is_set() or settling.process.error != "", "the disk is full", timeout_s=CATCH_UP_S)
        if refused.is_set():
            full.clear()
            pytest.skip("this user may not limit the server's processes")
        until_it_says_so(settling, "could not extend file")
        assert settled_seq() < log_bus.head().seq
        full.clear()
        until_caught_up(settling, log_bus)


def test_a_session_ended_in_the_middle_of_a_transaction(log_bus: MemoryBus, monkeypatch: pytest.MonkeyPatch) -> None:
    """As after SIGSTOP for longer than idle_in_transaction_session_timeout: this error is no OperationalError."""
    from apps.orders.settlement import transaction

    real, failures = transaction.write_balances, iter([True])

    def paused(cursor: psycopg.Cursor[object], *arguments: object) -> None:
        if next(failures, False):
            cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 50")
            until(lambda: cursor.connection.pgconn.socket >= 0 and _ended(cursor), "the session ends")
        real(cursor, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(transaction, "write_balances", paused)
    with Running(log_bus) as settling:
        until_caught_up(settling, log_bus)
    assert next(failures, None) is None


def _ended(cursor: psycopg.Cursor[object]) -> bool:
    import select

    return bool(select.select([cursor.connection.pgconn.socket], [], [], 0.05)[0])


def test_a_missing_right_stops_with_the_reason(log_bus: MemoryBus, owner: psycopg.Connection[object]) -> None:
    owner.execute("ALTER TABLE orders_trade RENAME COLUMN quote_units TO other_units")
    try:
        with Running(log_bus) as settling:
            until(lambda: settling.error is not None, "it stops", timeout_s=CATCH_UP_S)
        assert "PostgreSQL refuses the statement" in str(settling.error)
        assert "quote_units" in str(settling.error)
    finally:
        owner.execute("ALTER TABLE orders_trade RENAME COLUMN other_units TO quote_units")


# -- commits without a reply ------------------------------------------------------------------------------------------
def test_fault_f12_commit_reply_lost(
    log_bus: MemoryBus, owner: psycopg.Connection[object], loopback: CommitCutter
) -> None:
    with Running(log_bus) as settling:
        until_caught_up(settling, log_bus)
    assert loopback.done == 3


@pytest.fixture
def loopback(log_bus: MemoryBus, monkeypatch: pytest.MonkeyPatch) -> Iterator[CommitCutter]:
    """settings.DATABASE_DSN, which settlement connects to, leads through the cutter."""
    from tests.orders.commit_cutter import cutting_commits

    with cutting_commits(settings.DATABASE_DSN, cuts=3) as cutter:
        monkeypatch.setattr(settings, "DATABASE_DSN", cutter.dsn)
        yield cutter


# -- found on the way -------------------------------------------------------------------------------------------------
def test_a_refused_command_of_an_unknown_source_does_not_stop_settlement(recorded: Recorded) -> None:
    """The engine refuses it with an event that names the source; no outbox row waits for that."""
    recorded.tape.write(
        RelayRefused, reason=int(Reason.MALFORMED), relay_seq=9, source=7, op=CommandKind.CREDIT, object_id=1,
        amount_units=5, key="k",
    )  # fmt: skip
    assert recorded.settle().seq == recorded.tape.seq
