"""Where the clients live: one environment each below .venv/clients, made by `make setup-clients` from its lock.

python-binance and binance-connector both install a package named `binance`, so they can never share one.
"""

import os
from pathlib import Path
from typing import Final

from tests.stack import BASE_DIR

ENVIRONMENTS: Final = BASE_DIR / ".venv" / "clients"


def python_of(name: str) -> Path:
    """The interpreter of a client's environment; AssertionError says how to make it."""
    interpreter = ENVIRONMENTS / name / ("Scripts" if os.name == "nt" else "bin") / "python"
    assert interpreter.exists(), (
        f"There is no environment of {name}: run `make setup-clients`; `make long` makes that of freqtrade."
    )
    return interpreter
