"""Named points at which a test may kill this very process (the chaos rig; production settings refuse the variable).

`CRASH_AT` names a file with lines `point:count`, read when the process starts. At the count-th pass through `point`
the line is taken out of the file, so that the restarted process lives, and the process ends as by kill -9: no exit
handler, no flush, nothing is told to anybody.

Points are `<process>.<step>.<before|after>`, such as `matching.append.before`; `grep -rn 'reach("' apps` lists them.
Without the variable a pass costs one look-up in an empty dictionary.
"""

import os
import signal
from pathlib import Path
from typing import Final

VARIABLE: Final = "CRASH_AT"


def _armed() -> dict[str, int]:
    name = os.environ.get(VARIABLE, "").strip()
    if not name:
        return {}
    path = Path(name)
    lines = path.read_text("ascii").split() if path.exists() else []
    return {point: int(count) for point, _, count in (line.rpartition(":") for line in lines)}


_passes_left: Final = _armed()


def allowed() -> bool:
    """Whether this process runs under the chaos rig."""
    return bool(os.environ.get(VARIABLE, "").strip())


def reach(point: str) -> None:
    """Die here, if the rig asked for it."""
    if point not in _passes_left:
        return
    _passes_left[point] -= 1
    if _passes_left[point] <= 0:
        path = Path(os.environ[VARIABLE])
        kept = [line for line in path.read_text("ascii").split() if line.rpartition(":")[0] != point]
        path.write_text("\n".join(kept), "ascii")
        os.kill(os.getpid(), signal.SIGKILL)
