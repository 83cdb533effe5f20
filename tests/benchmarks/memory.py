"""What a resting order costs in memory: growth of a fresh process, between two sizes of the same book.

    python -m tests.benchmarks.memory ENGINE SHAPE COUNT

prints the bytes an order, a JSON number. A process of its own for each shape, because memory that was freed is not
always given back.
"""

import gc
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from apps.streams.kinds import CommandKind, OrderKind, Side, StpMode, TimeInForce
from apps.streams.records import COMMAND_VERSION, COMMANDS
from tests.benchmarks.engines import engine_class
from tests.benchmarks.frames import FIRST_MS, MARKET, setup_frames
from tests.benchmarks.workload import ACCOUNTS, FIRST_ACCOUNT, START_TICKS

PAGE: Final = 4096
LEVELS: Final = 10_000
CHUNK: Final = 1_000
LATER_MS: Final = FIRST_MS + 10**9

_place = COMMANDS[CommandKind.PLACE_ORDER].struct.pack


def plain(number: int) -> dict[str, Any]:
    return {}


def icebergs_with_an_end(number: int) -> dict[str, Any]:
    return {"display": 2, "expires": LATER_MS + number, "time_in_force": TimeInForce.GTD}


PLAIN: Final = "plain limit orders"
SHAPES: Final[dict[str, Callable[[int], dict[str, Any]]]] = {
    PLAIN: plain,
    "icebergs, GTD": icebergs_with_an_end,
}


def frame(number: int, fields: dict[str, Any]) -> bytes:
    """An order that rests: both sides in turn, spread over LEVELS prices, with a client id."""
    buy = number % 2 == 0
    away = 1 + number // 2 % (LEVELS // 2)
    packed: bytes = _place(
        COMMAND_VERSION, CommandKind.PLACE_ORDER, 1, 0, MARKET, FIRST_ACCOUNT + number % (2 * ACCOUNTS), FIRST_MS, 1,
        number, START_TICKS - away if buy else START_TICKS + away, 10, 0, fields.get("display", 0), 0,
        fields.get("expires", 0), 1, 0, Side.BUY if buy else Side.SELL, OrderKind.LIMIT,
        fields.get("time_in_force", TimeInForce.GTC), StpMode.EXPIRE_TAKER, b"memory-%x" % number,
    )  # fmt: skip
    return packed


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


def filled(name: str, fields_of: Callable[[int], dict[str, Any]], count: int) -> Any:
    """The engine of that name with `count` resting orders."""
    engine = engine_class(name)()
    engine.process(setup_frames())
    add(engine, fields_of, 0, count)
    return engine


def add(engine: Any, fields_of: Callable[[int], dict[str, Any]], first: int, count: int) -> None:
    for start in range(first, first + count, CHUNK):
        engine.process(b"".join(frame(number, fields_of(number)) for number in range(start, start + CHUNK)))


def measure(name: str, shape: str, count: int) -> float:
    """Bytes an order, over the second half of 2 x `count` orders."""
    engine, fields_of = engine_class(name)(), SHAPES[shape]
    engine.process(setup_frames())
    gc.freeze()
    gc.disable()
    sizes = []
    for first in (0, count):
        add(engine, fields_of, first, count)
        sizes.append(resident_bytes())
    found = engine.counters().open_orders
    if found != 2 * count:
        raise SystemExit(f"{found} of {2 * count} orders rest")
    return (sizes[1] - sizes[0]) / count


if __name__ == "__main__":
    json.dump(measure(sys.argv[1], sys.argv[2], int(sys.argv[3])), sys.stdout)
