"""A matching worker of its own process, on a real redis-core, without PostgreSQL.

python -m tests.benchmarks.matching_worker ENGINE URL DIRECTORY NAME
"""

import signal
import sys
from pathlib import Path

from apps.matching.authority import Settled
from apps.matching.engines import chosen_engine
from apps.matching.worker import Worker
from apps.streams.bus.redis import RedisBus


class NoPostgres:
    """The takeover's two questions, answered at once; the worker asks nothing else while it trades."""

    def settled(self) -> Settled:
        return Settled(0, "")

    def raise_epoch(self, *, above: int, holder: str) -> int:
        return above + 1


def main(engine: str, url: str, directory: str, name: str) -> None:
    worker = Worker(RedisBus(url, "bench"), NoPostgres(), chosen_engine(engine), Path(directory), name=name)
    signal.signal(signal.SIGTERM, lambda *_: worker.stop())
    worker.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
