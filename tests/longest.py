"""In which order the files of a parallel run begin: what takes longest first, as measured in November 2026.

A worker of a parallel run takes whole files. Begun in any order, one of these would be left to one worker at the end
while the others had nothing to do; about right is enough. Of the other files those of the gateway come next and
together, since each worker that leaves them ends their exchange, then those with the most tests.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest

LONGEST: Final = (
    # With whole exchanges.
    "nebannpet/test_supervisor.py",
    "flows/test_isolation.py",
    "flows/test_restore_drill.py",
    "flows/test_standby.py",
    "clients/test_clients.py",
    "chaos/test_sample.py",
    "markets/test_simulator_live.py",
    "browser/test_real_exchange.py",
    "flows/test_two_shards.py",
    "browser/test_trading_page.py",
    "browser/test_accessibility.py",
    "flows/test_two_sites.py",
    "flows/test_replay.py",
    "flows/test_gateways.py",
    "accounts/test_running_exchange.py",
    "flows/test_worked_example.py",
    # The others.
    "pages/test_access.py",
    "pages/test_hostile_texts.py",
    "matching/engine/test_random.py",
    "oracle/test_agreement_even.py",
    "oracle/test_agreement_odd.py",
    "oracle/test_coverage.py",
    "matching/native/test_differential_even.py",
    "matching/native/test_differential_odd.py",
    "matching/engine/test_machine.py",
    "matching/native/test_planted.py",
    "orders/test_settlement_process.py",
    "audit/test_sequencer.py",
    "outbox/test_relay_process.py",
    "orders/archive/test_kills.py",
    "notifications/test_live_in_a_browser.py",
    "oracle/test_crowd.py",
    "matching/native/test_programs.py",
    "matching/test_kills.py",
    "matching/test_takeover.py",
    "pages/test_mass_assignment.py",
    "gateway/test_schemathesis.py",
    "gateway/test_loadgen.py",
    "gateway/test_outages.py",
    "gateway/test_generator.py",
    "gateway/test_session_generator.py",
)
PLACES: Final = {file: place for place, file in enumerate(LONGEST)}


def longest_first(items: list[pytest.Item], tests: Path) -> None:
    """Sort in place, by file; `tests` is the folder of all of them."""
    files = [item.path.relative_to(tests).as_posix() for item in items]
    counts = Counter(files)

    def key(file: str) -> Sequence[int | str]:
        return PLACES.get(file, len(LONGEST)), not file.startswith("gateway/"), -counts[file], file

    order = sorted(range(len(items)), key=lambda place: key(files[place]))
    items[:] = [items[place] for place in order]
