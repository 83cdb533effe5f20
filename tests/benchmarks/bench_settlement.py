"""Settlement by itself: events of the engine's workloads into a durable PostgreSQL, as fast as it takes them.

The event log is made beforehand by the plain engine (200 commands a stream entry); what is timed is everything from
the entries on: chain check, columns, the transactions with their commits. fsync is on; the server is a fresh embedded
one, and each repeat settles into a database of its own.
"""

import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.calibration import beside
from tests.benchmarks.frames import AN_ENTRY, frames
from tests.benchmarks.registry import RUNS, Row, Series, benchmark

COMMANDS = int(os.environ.get("BENCH_SETTLED_COMMANDS", "60000"))
TARGETS = {"sweep": ("trades", 8_000.0), "mix": ("order events", 15_000.0)}
SHARD = "spot"


@benchmark("settlement", "events into PostgreSQL with fsync: ledger, balances, orders, trades, exactly once")
def settlement() -> Iterator[Row]:
    from tests.servers import running_servers

    data_dir = Path(tempfile.mkdtemp(prefix="nebannpet-bench-"))
    with running_servers(data_dir, durable=True) as servers:
        template = migrated(servers.postgres.dsn(), data_dir)
        for name, (counted, target) in TARGETS.items():
            log = EventLog(name)
            count = log.trades if counted == "trades" else log.events
            pairs = [beside(lambda log=log, count=count: count / log.settle(template)) for _ in range(RUNS)]
            yield Row(
                figure=f"{name}, {log.trades:,} trades, {log.events:,} events",
                unit=f"{counted}/s",
                series=Series([rate for rate, _ in pairs]),
                ratio=Series([rate / loops for rate, loops in pairs]),
                ratio_to="calibration",
                at_least=target,
                note=f"{log.events * 1.0 / count:.2g} events for each counted",
            )


def migrated(dsn: str, data_dir: Path) -> str:
    """DSN of a database with all tables; copies of it are made by CREATE DATABASE ... TEMPLATE."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "nebannpet.settings")
    os.environ["NEBANNPET_DATA"] = str(data_dir)
    import django
    from django.core.management import call_command

    django.setup()
    from django.conf import settings
    from django.db import connections
    from psycopg.conninfo import conninfo_to_dict

    # A run of several benchmarks has one after another, and settings are read once.
    named = conninfo_to_dict(dsn)
    keys = {"NAME": "dbname", "HOST": "host", "PORT": "port", "USER": "user", "PASSWORD": "password"}
    connections["default"].settings_dict |= {key: str(named.get(name, "")) for key, name in keys.items()}
    settings.DATABASE_DSN = dsn
    call_command("migrate", verbosity=0)
    connections.close_all()
    return dsn


class EventLog:
    """The workload's events as stream entries, and the outbox rows their set-up came from."""

    def __init__(self, name: str, commands: int = COMMANDS) -> None:
        from apps.common.hashchain import GENESIS, extend
        from apps.matching.engine import RULES_VERSION, Engine
        from apps.streams.bus.base import EntryId, EventEntry
        from apps.streams.records import EVENT_SIZE, FRAME_SIZE

        work = frames(name, commands)
        engine = Engine()
        self.setup = work.setup
        self.entries: list[EventEntry] = []
        seq, chain, size = 0, GENESIS, AN_ENTRY * FRAME_SIZE
        for run in (work.setup, *(work.commands[at : at + size] for at in range(0, len(work.commands), size))):
            body = engine.process(run)
            last = seq + len(body) // EVENT_SIZE
            if last > seq:
                following = extend(chain, seq + 1, last, body)
                command = EntryId(1, len(self.entries))
                self.entries.append(EventEntry(seq + 1, last, 1, chain, following, command, body, RULES_VERSION))
                seq, chain = last, following
        self.trades = len(work.trades)
        self.events = seq - self.entries[0].last_seq

    def settle(self, template: str) -> float:
        """Seconds from the first entry after the set-up to the last commit."""
        from django.conf import settings

        from apps.orders.settlement import process
        from apps.orders.settlement.entries import take
        from apps.orders.settlement.transaction import load_markets, read_position, settle

        settings.DATABASE_DSN = self.fresh_database(template)
        with process.connect() as connection:
            position = read_position(connection, SHARD)
            markets = load_markets(connection, SHARD)
            batch, _ = take(self.entries[:1], position, events_max=1)
            position = settle(connection, SHARD, batch, markets)
            connection.execute("CHECKPOINT")
            left, at = self.entries, 1
            started = time.perf_counter()
            while at < len(left):
                batch, taken = take(left[at : at + 512], position, events_max=process.EVENTS_PER_BATCH)
                position = settle(connection, SHARD, batch, markets)
                at += taken
            return time.perf_counter() - started

    def fresh_database(self, template: str) -> str:
        """DSN of a copy of the template in which nothing is settled and the set-up's outbox rows wait."""
        import psycopg
        from psycopg.conninfo import conninfo_to_dict, make_conninfo

        with psycopg.connect(template, dbname="postgres", autocommit=True) as admin:
            admin.execute("DROP DATABASE IF EXISTS bench_settlement WITH (FORCE)")
            source = psycopg.sql.Identifier(str(conninfo_to_dict(template)["dbname"]))
            admin.execute(psycopg.sql.SQL("CREATE DATABASE bench_settlement TEMPLATE {}").format(source))
        dsn = make_conninfo(template, dbname="bench_settlement")
        with psycopg.connect(dsn, autocommit=True) as connection:
            self._insert_outbox_rows(connection)
        return dsn

    def _insert_outbox_rows(self, connection: object) -> None:
        from apps.outbox.relay import stamped
        from apps.streams.codec import decode_command, iter_runs

        rows = []
        for offset, length in iter_runs(self.setup):
            run = self.setup[offset : offset + length]
            command = decode_command(run)
            key = getattr(command, "key", "") or f"setup:{command.relay_seq}"
            rows.append((SHARD, key, command.source, command.KIND, stamped(run, 0, 0), command.relay_seq))
        with connection.cursor() as cursor:  # type: ignore[attr-defined]
            cursor.executemany(
                "INSERT INTO outbox_outboxrow (shard, key, source, kind, frames, relay_seq, state, reason)"
                " VALUES (%s, %s, %s, %s, %s, %s, 'waiting', 0)",
                rows,
            )
