"""What client ids, money and events cost in the compiled engine: each left out in turn, beside the whole.

Client ids are left out of the commands. Money (holds, their release, what a print moves) and events (192 bytes each)
are left out of builds of their own, which are no engines: BENCH_WITHOUT_HOLDS, BENCH_WITHOUT_EVENTS. The parts overlap
in the time that they wait for memory, so they do not add up.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from apps.matching.engine.engine import CLOSED_IDS_KEPT
from apps.matching.engines import NATIVE, prepare
from apps.matching.native import build, library
from apps.matching.native.engine import Engine
from apps.streams.kinds import CommandKind
from apps.streams.records import FRAME_SIZE
from tests.benchmarks.bench_engine import COUNT
from tests.benchmarks.engines import measured
from tests.benchmarks.frames import frames
from tests.benchmarks.registry import RUNS, Row, Series, benchmark

BATCH: Final = 1_000
CLIENT_ID: Final = slice(92, 128)  # of a PLACE_ORDER frame
DIRECTORY: Final = Path("build/benchmarks")


class _Partial(Engine):
    """An engine that some parts are left out of."""

    def __init__(self, defines: tuple[str, ...]) -> None:
        lib = library.load(build.library(DIRECTORY, defines=defines) if defines else build.library())
        self._open(lib, lib.nbp_create(CLOSED_IDS_KEPT, 0, 1))


def without_client_ids(commands: bytes) -> bytes:
    """The same commands; orders carry no id of the client's."""
    changed = bytearray(commands)
    nothing = bytes(CLIENT_ID.stop - CLIENT_ID.start)
    for at in range(0, len(changed), FRAME_SIZE):
        if changed[at + 1] == CommandKind.PLACE_ORDER:
            changed[at + CLIENT_ID.start : at + CLIENT_ID.stop] = nothing
    return bytes(changed)


def nanoseconds_a_command(defines: tuple[str, ...], setup: bytes, commands: bytes) -> float:
    """CPU time of the calls alone."""
    engine: Any = _Partial(defines)
    prepare(engine)
    engine.process(setup)
    size = BATCH * FRAME_SIZE
    started = time.process_time()
    for offset in range(0, len(commands), size):
        engine.process(commands[offset : offset + size])
    return (time.process_time() - started) * 1e9 / (len(commands) / FRAME_SIZE)


@benchmark("engine-parts", "compiled engine alone: what client ids, money and events cost, by leaving each out")
def engine_parts() -> Iterator[Row]:
    if NATIVE not in measured():
        return
    for name in ("mix", "sweep"):
        work = frames(name, COUNT)
        plain = without_client_ids(work.commands)
        parts: dict[str, tuple[tuple[str, ...], bytes]] = {
            "all of it": ((), work.commands),
            "client ids": ((), plain),
            "money": (("BENCH_WITHOUT_HOLDS",), work.commands),
            "events": (("BENCH_WITHOUT_EVENTS",), work.commands),
            "client ids, money and events": (("BENCH_WITHOUT_HOLDS", "BENCH_WITHOUT_EVENTS"), plain),
        }
        taken: dict[str, list[float]] = {part: [] for part in parts}
        for _ in range(RUNS):
            for part, (defines, commands) in parts.items():
                taken[part].append(nanoseconds_a_command(defines, work.setup, commands))
        whole = min(taken["all of it"])
        for part, values in taken.items():
            left_out = part != "all of it"
            yield Row(
                figure=f"{name}, {'without ' if left_out else ''}{part}",
                engine=NATIVE,
                unit="CPU-ns/command",
                series=Series(values, lower_is_better=True),
                note=f"{whole - min(values):,.0f} ns less" if left_out else f"{COUNT:,} commands, {BATCH:,} a call",
            )
