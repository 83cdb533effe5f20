"""What other processes take of the machine: asked just before a benchmark, since it cannot be told apart later."""

from typing import Final

import psutil

LISTENING_S: Final = 1.0


def cores_of_others() -> float:
    """How many cores were in use while this process slept for LISTENING_S; 0 on a machine that does nothing else."""
    return psutil.cpu_percent(interval=LISTENING_S) / 100 * (psutil.cpu_count() or 1)
