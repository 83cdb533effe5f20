"""Which engine matches: the compiled one where it is built, else the plain one; ENGINE=native|plain decides otherwise.

Both give the same bytes (tests/matching/native), so they may change at any restart and beside each other.
"""

from typing import Final

from apps.matching.core import Core, CoreClass
from apps.matching.engine import Engine
from apps.matching.native import build
from apps.matching.native.engine import Engine as NativeEngine

BEST: Final = "best"
NATIVE: Final = "native"
PLAIN: Final = "plain"
CHOICES: Final = (BEST, NATIVE, PLAIN)
HOW_TO_BUILD: Final = "python -m apps.matching.native.build builds it or says why it cannot"


# About 200,000 open orders and as many remembered client ids; what is more comes as it is needed.
RESERVED_BYTES: Final = 64 << 20


class NotBuilt(Exception):
    """ENGINE asks for the compiled engine, and it is not there; the message says what to do."""


def chosen_engine(wanted: str) -> CoreClass:
    """The engine of these CHOICES. NotBuilt where it must be native and is not there."""
    if wanted == PLAIN:
        return Engine
    if build.built() is not None:
        return NativeEngine
    if wanted == NATIVE:
        raise NotBuilt(f"ENGINE=native, but there is no compiled engine: {HOW_TO_BUILD}. ENGINE=plain runs without.")
    return Engine


def prepare(core: Core) -> None:
    """Before the first command, while nobody waits: the compiled engine takes memory in large pages."""
    if isinstance(core, NativeEngine):
        core.reserve(RESERVED_BYTES)
