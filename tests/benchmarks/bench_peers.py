"""The same commands through Python order books published on PyPI (peers.py), and through the exchange's engines.

A book of PyPI is measured only where its trades are those of the book-only oracle.
"""

import gc
import sys
import time
from collections.abc import Callable, Iterator
from typing import Final

from tests.benchmarks.bench_engine import commands_per_second, in_turns
from tests.benchmarks.book_oracle import BookOracle
from tests.benchmarks.engines import measured
from tests.benchmarks.frames import SEED, Frames, frames
from tests.benchmarks.peers import PEERS, Peer
from tests.benchmarks.registry import Row, Series, benchmark
from tests.benchmarks.workload import SHAPES, Step, steps

COUNT: Final = 60_000
WORKLOADS: Final = ("mix", "sweep")
OWN_NOTE: Final = "with funds, fees, ids, breakers, band, self-trade prevention; events out"
PEER_NOTE: Final = "matching alone; the same trades"


@benchmark("peers", f"the first {COUNT:,} commands through order books published on PyPI, and through both engines")
def peers() -> Iterator[Row]:
    books = [peer for peer in PEERS if _installed(peer)]
    for name in WORKLOADS:
        oracle = BookOracle()
        commands = list(steps(SHAPES[name], COUNT, SEED, oracle))
        work = frames(name, COUNT)
        right = [peer for peer in books if _trades_alike(peer, commands, oracle)]
        kinds: list[tuple[str, str, Callable[[], float]]] = [
            *((f"this engine, {name}", engine, _own(engine, work)) for engine in measured()),
            *((f"{peer.name()}, {name}", "", _theirs(peer, commands)) for peer in right),
        ]
        for (figure, engine, _), pairs in in_turns(kinds, lambda kind: kind[2]()):
            yield Row(
                figure=figure,
                engine=engine,
                unit="commands/CPU-s",
                series=Series([rate for rate, _ in pairs]),
                ratio=Series([rate / loops for rate, loops in pairs]),
                ratio_to="calibration",
                note=OWN_NOTE if engine else PEER_NOTE,
            )


def _installed(peer: type[Peer]) -> bool:
    try:
        peer()
    except ImportError as error:
        print(f"  SKIPPED: {peer.PACKAGE} is not installed here ({error})", file=sys.stderr)
        return False
    return True


def _trades_alike(peer: type[Peer], commands: list[Step], oracle: BookOracle) -> bool:
    book = peer()
    book.run(commands)
    if book.trades() == oracle.trades:
        return True
    print(f"  SKIPPED: the trades of {peer.name()} are not those of these commands", file=sys.stderr)
    return False


def _own(engine: str, work: Frames) -> Callable[[], float]:
    return lambda: commands_per_second(engine, work, COUNT, 1_000)


def _theirs(peer: type[Peer], commands: list[Step]) -> Callable[[], float]:
    def rate() -> float:
        book = peer()
        gc.collect()
        gc.disable()
        try:
            started = time.process_time()
            book.run(commands)
            return len(commands) / (time.process_time() - started)
        finally:
            gc.enable()

    return rate
