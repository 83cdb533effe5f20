"""A process that applies one batch with a crash marker: python -m tests.matching.crashing_process DIRECTORY NAME HOW.

`crash` dies at the batch's third command by SIGSEGV, `raise` leaves process() by an exception and clears the marker as
the worker does, `wait` says 'applying' within that command and stays there until it is killed, `done` applies it all.
"""

import sys
import threading
from pathlib import Path

from apps.matching.crash_marker import CrashMarker
from apps.matching.engine import Engine
from apps.matching.engine.state import State
from apps.matching.faults import faulty
from apps.streams.kinds import CommandKind
from tests.matching.engine.play import Table
from tests.matching.test_faults import orders

AT_MS = 1_900_000_000_000


def wait(state: State, frames: bytes, offset: int) -> None:
    print("applying", flush=True)
    threading.Event().wait()


class Waiting(Engine):
    HANDLERS = {**Engine.HANDLERS, int(CommandKind.CANCEL_ALL): wait}


def main(directory: str, name: str, how: str) -> None:
    table = Table()
    table.account("alice")
    core_class = Waiting if how == "wait" else faulty(Engine)
    core = core_class.restore(table.engine.snapshot())
    marker = CrashMarker.open(Path(directory), name)
    core.mark_in(marker.buffer)
    third = {"crash": "crash-1", "raise": "poison-1", "wait": "c", "done": "c"}[how]
    frames = bytearray(orders("a", "b", third, "d"))
    if how == "wait":
        frames[2 * 128 + 1] = CommandKind.CANCEL_ALL
    try:
        core.process(bytes(frames))
    except RuntimeError:
        print("raised", flush=True)
    marker.clear()
    print("cleared", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
