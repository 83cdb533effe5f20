"""The decision on sensitive actions, alone: it reads nothing, so what it costs is what every request to one pays."""

import time
from collections.abc import Iterator
from typing import Final

from tests.benchmarks.registry import RUNS, Row, Series, benchmark

DECISIONS: Final = 20_000


@benchmark("decision", "the decision on sensitive actions, alone")
def decision() -> Iterator[Row]:
    from apps.accounts.rules import Action, decide
    from apps.controls.gates import OPEN_GATES
    from tests.accounts.test_rules import ALICE, NOW, WITHDRAWING

    for action, facts in ((Action.WITHDRAW, WITHDRAWING), (Action.KEY_TRADE, ALICE)):
        took_us = []
        for _ in range(RUNS):
            began_s = time.process_time()
            for _ in range(DECISIONS):
                decide(action, facts, OPEN_GATES, NOW)
            took_us.append((time.process_time() - began_s) * 1e6 / DECISIONS)
        yield Row(
            figure=f"decide: {action}, allowed", unit="µs of CPU", series=Series(took_us, lower_is_better=True),
            below=50.0, note="passes every check of its row",
        )  # fmt: skip
