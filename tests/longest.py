"""Files with whole exchanges that take longest, the longest first, as measured on a busy machine in November 2026.

A worker of a parallel run takes whole files. Begun in any order, one of these would be left to one worker at the end
while the others had nothing to do; about right is enough.
"""

from typing import Final

LONGEST: Final = (
    "chaos/test_sample.py",
    "nebannpet/test_supervisor.py",
    "flows/test_standby.py",
    "flows/test_restore_drill.py",
    "browser/test_real_exchange.py",
    "clients/test_clients.py",
    "flows/test_worked_example.py",
    "orders/archive/test_running_exchange.py",
    "accounts/test_running_exchange.py",
    "flows/test_two_sites.py",
    "flows/test_replay.py",
    "markets/test_simulator_live.py",
)
PLACES: Final = {file: place for place, file in enumerate(LONGEST)}


def longest_first(file: str) -> int:
    """Key to sort tests by; `file` is the path below tests/."""
    return PLACES.get(file, len(LONGEST))
