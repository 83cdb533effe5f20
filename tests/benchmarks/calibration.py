"""A fixed piece of work that depends only on the machine and the interpreter, so that figures can be compared.

One loop is what the engine does most: unpack a frame, look things up, change slotted objects, pack a record. A CPU
figure divided by loops a second says how fast the code is; the loops alone say how fast the machine is just now.

Single-threaded figures are reckoned per second of CPU time, so that other processes on a shared machine do not count
(their use of the caches still does). Latencies and whole pipelines use the wall clock.
"""

import time
from collections.abc import Callable
from struct import Struct

LOOPS = 100_000


class _Slot:
    __slots__ = ("count", "units")

    def __init__(self) -> None:
        self.count = 0
        self.units = 0


def calibrate() -> float:
    """Loops per second of CPU time, over about a twentieth of a second."""
    layout = Struct("<BBHIQQqqqqQ")
    frame = layout.pack(1, 2, 3, 4, 1_700_000_000_000, 1001, 50_000, 20, 10**12, 10**11, 7)
    slots = {account: _Slot() for account in range(64)}
    records: list[bytes] = []
    unpack, pack, append = layout.unpack, layout.pack, records.append
    started = time.process_time()
    for turn in range(LOOPS):
        version, kind, flags, market, now_ms, account, price, lots, available, held, order = unpack(frame)
        slot = slots[turn & 63]
        slot.count += 1
        slot.units = (slot.units + price * lots) % 1_000_003
        append(pack(version, kind, flags, market, now_ms, account, price, lots, available - slot.units, held, order))
        if len(records) >= 256:
            records.clear()
    return LOOPS / (time.process_time() - started)


def beside(work: Callable[[], float]) -> tuple[float, float]:
    """(what `work` returns, loops per second measured right before and after it, averaged)."""
    before = calibrate()
    result = work()
    return result, (before + calibrate()) / 2
