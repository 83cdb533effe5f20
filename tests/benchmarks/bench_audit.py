"""The audit log: a record in its caller's transaction, the sequencer, and proofs from a tree of a million entries.

On a fresh embedded PostgreSQL with fsync. Timed is what a caller waits for: the statement inside a transaction, and
apart from it a whole transaction that does nothing else, which is one fsync more. The million entries are nodes and a
checkpoint only, because a proof reads nothing else.
"""

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from statistics import median, quantiles
from typing import Any, Final

from tests.benchmarks.bench_settlement import migrated
from tests.benchmarks.registry import RUNS, Row, Series, benchmark

INSERTS: Final = 1_000
SEQUENCED: Final = 10_000
ENTRIES: Final = int(os.environ.get("BENCH_AUDIT_ENTRIES", "1000000"))
PROOFS: Final = 1_000
ORIGIN: Final = "bench.example/audit"


@benchmark("audit", "audit log: pending insert, sequencer, proofs from a million entries", apart=True)
def audit() -> Iterator[Row]:
    from tests.servers import running_servers

    data_dir = Path(tempfile.mkdtemp(prefix="nebannpet-bench-"))
    with running_servers(data_dir, durable=True) as servers:
        dsn = migrated(servers.postgres.dsn(), data_dir)
        yield from _inserts()
        yield _sequencer(dsn, data_dir)
        yield from _proofs(dsn)
        from django.db import connections

        connections.close_all()


def _inserts() -> Iterator[Row]:
    from django.db import transaction

    from apps.audit import actors
    from apps.audit.services import record

    def one() -> None:
        record(
            actor=actors.named("staff: ann@exchange.example"), action="market.state", object="market:BTCUSDT",
            before={"state": "open"}, after={"state": "halted"}, reason="a benchmark",
        )  # fmt: skip

    def alone() -> None:
        with transaction.atomic():
            one()

    def within() -> list[float]:
        took = []
        for _ in range(INSERTS // 10):
            with transaction.atomic():
                took += [_took_ms(one) for _ in range(10)]
        return took

    for name, series, below in (
        ("pending insert, in its caller's transaction", [within() for _ in range(RUNS)], 2.0),
        ("pending insert, a transaction of its own", [[_took_ms(alone) for _ in range(INSERTS)] for _ in range(RUNS)],
         None),
    ):  # fmt: skip
        yield _latency(name, "median", [median(took) for took in series], below)
        yield _latency(name, "p99", [quantiles(took, n=100)[98] for took in series], None)


def _sequencer(dsn: str, data_dir: Path) -> Row:
    import psycopg
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from apps.audit.keptcheckpoint import KeptCheckpoint
    from apps.audit.sequencer import Sequencer
    from apps.audit.services import INSERT

    kept = KeptCheckpoint(data_dir / "audit-checkpoint.head")
    rates = []
    with psycopg.connect(dsn, autocommit=True) as writer, psycopg.connect(dsn, autocommit=True) as connection:
        sequencer = Sequencer(connection, key=Ed25519PrivateKey.generate(), origin=ORIGIN, kept=kept)
        assert sequencer.acquire()
        sequencer.load()
        _drain(sequencer)
        for _ in range(RUNS):
            for _ in range(SEQUENCED // 100):
                with writer.transaction(), writer.cursor() as cursor:
                    cursor.executemany(INSERT, [_row()] * 100)
            began_s = time.perf_counter()
            done = _drain(sequencer)
            rates.append(done / (time.perf_counter() - began_s))
    return Row(
        figure="sequencer", unit="entries/s", series=Series(rates), at_least=500,
        note=f"{SEQUENCED:,} pending records, a checkpoint for each step; wall clock",
    )  # fmt: skip


def _row() -> list[str | None]:
    from apps.audit import actors
    from apps.audit.services import row

    return row(
        actor=actors.user(17), action="api-key.revoked", object="api-key:40", before=None, after=None, reason="",
        request_id="",
    )  # fmt: skip


def _drain(sequencer: Any) -> int:
    done = 0
    while True:
        step = sequencer.step()
        done += step.sequenced
        if not step.more:
            return done


def _proofs(dsn: str) -> Iterator[Row]:
    from apps.audit.selectors import consistency_proof, inclusion_proof

    filled_s = _fill(dsn)
    rng = Random(5)
    for name, ask in (
        ("inclusion proof", lambda: inclusion_proof(index=rng.randrange(ENTRIES), size=ENTRIES)),
        ("consistency proof", lambda: consistency_proof(old=rng.randrange(1, ENTRIES), size=ENTRIES)),
    ):
        series = [[_took_ms(ask) for _ in range(PROOFS)] for _ in range(RUNS)]
        note = f"{ENTRIES:,} entries, filled in {filled_s:.0f} s"
        yield _latency(name, "p99", [quantiles(took, n=100)[98] for took in series], 20.0, note)
        yield _latency(name, "median", [median(took) for took in series], None, note)


def _fill(dsn: str) -> float:
    """Seconds to put the tree of ENTRIES leaves in place of what the sequencer has made."""
    import psycopg

    from apps.audit.tree import Peak, append, fold, leaf_hash

    began_s = time.monotonic()
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute("TRUNCATE audit_node, audit_checkpoint")
        peaks: list[Peak] = []
        with connection.cursor().copy("COPY audit_node (level, position, hash) FROM STDIN") as copy:
            for index in range(ENTRIES):
                for node in append(peaks, index, leaf_hash(index.to_bytes(8))):
                    copy.write_row(node)
        root = fold([peak.hash for peak in peaks])
        connection.execute(
            "INSERT INTO audit_checkpoint (size, root, made_at_ms, key, note) VALUES (%s, %s, 0, '', '')",
            [ENTRIES, root],
        )
        connection.execute("ANALYZE audit_node")
    return time.monotonic() - began_s


def _took_ms(work: Callable[[], object]) -> float:
    began_s = time.perf_counter()
    work()
    return (time.perf_counter() - began_s) * 1000


def _latency(name: str, which: str, values: list[float], below: float | None, note: str = "") -> Row:
    return Row(
        figure=f"{name}: {which}", unit="ms", series=Series(values, lower_is_better=True), below=below, note=note
    )
