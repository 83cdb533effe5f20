"""A worker as a process of its own:

    python -m tests.matching.worker_process URL DSN SHARD DIRECTORY SNAPSHOT_EVERY_S NAME LEASE_S

Exit codes as of run_matching: 0 after SIGTERM, 3 when another worker is active.
"""

import signal
import sys
from pathlib import Path

from apps.matching import lease, policy
from apps.matching.authority import PostgresAuthority
from apps.matching.engine import Engine
from apps.matching.errors import LeaseLost, TakeoverLost
from apps.matching.worker import Worker
from apps.streams.bus.errors import Fenced
from apps.streams.bus.redis import RedisBus


def main(url: str, dsn: str, shard: str, directory: str, snapshot_every_s: str, name: str, lease_s: str) -> None:
    policy.SNAPSHOT_EVERY_S = float(snapshot_every_s)  # type: ignore[misc]
    ends_s = float(lease_s)
    lease.LEASE_TTL_MS = int(ends_s * 1000)  # type: ignore[misc]
    lease.LEASE_STOP_S = ends_s * policy.LEASE_STOP_S * 1000 / policy.LEASE_TTL_MS  # type: ignore[misc]
    # Orders that wait while a busy machine starts the next process are not stale.
    policy.QUEUE_MAX_MS = 600_000  # type: ignore[misc]
    worker = Worker(RedisBus(url, shard), PostgresAuthority(dsn, shard), Engine, Path(directory), name=name)
    signal.signal(signal.SIGTERM, lambda *_: worker.stop())
    try:
        worker.run()
    except (Fenced, LeaseLost, TakeoverLost) as error:
        print("replaced:", error, flush=True)
        sys.exit(3)


if __name__ == "__main__":
    main(*sys.argv[1:])
