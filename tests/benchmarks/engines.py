"""Which engine is measured: ENGINE=plain (the default) or ENGINE=native."""

import importlib
import os
from typing import Any, Final

MODULES: Final = {"plain": "apps.matching.engine", "native": "apps.matching.native"}
NAME: Final = os.environ.get("ENGINE", "plain")


def engine_class() -> Any:
    """The class of that name; SystemExit, with what to do, where there is none."""
    if NAME not in MODULES:
        raise SystemExit(f"ENGINE is {NAME!r}; it must be one of {', '.join(MODULES)}")
    try:
        return importlib.import_module(MODULES[NAME]).Engine
    except ImportError as error:
        raise SystemExit(f"The {NAME} engine cannot be loaded ({error}). Is it built?") from error
