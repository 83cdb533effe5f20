"""Which engines are measured: both, side by side, or the one that ENGINE=native or ENGINE=plain names."""

import os
from functools import cache
from typing import Any, Final

from apps.matching.core import CoreClass
from apps.matching.engine import Engine
from apps.matching.engines import BEST, NATIVE, PLAIN
from apps.matching.native import build

WANTED: Final = os.environ.get("ENGINE", BEST)


@cache
def measured() -> tuple[str, ...]:
    """Their names, the compiled one first. SystemExit where ENGINE names none."""
    if WANTED == BEST:
        return (NATIVE, PLAIN)
    if WANTED not in (NATIVE, PLAIN):
        raise SystemExit(f"ENGINE is {WANTED!r}; it must be {NATIVE}, {PLAIN} or {BEST} (both)")
    return (WANTED,)


def engine_class(name: str) -> Any:
    """The class of that name, compiled first where it must be; SystemExit where no compiler can."""
    if name == PLAIN:
        return Engine
    from apps.matching.native.engine import Engine as NativeEngine

    try:
        build.library()
    except build.NoCompiler as error:
        raise SystemExit(f"The compiled engine cannot be built ({error}); ENGINE=plain measures the other") from error
    chosen: CoreClass = NativeEngine
    return chosen
