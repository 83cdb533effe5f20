"""The comparison itself: it finds what differs, shrinks it, and restarts change nothing."""

import re

import pytest

from apps.matching.engine import Engine
from apps.streams.kinds import CommandKind
from tests.oracle.agreement import Disagreement, agree
from tests.oracle.differential import differ
from tests.oracle.engines import ENGINES
from tests.oracle.streams import CLOSED_IDS_KEPT, History


@pytest.mark.parametrize("seed", range(4))
def test_restarts_from_snapshots_change_no_event_and_no_state(seed: int) -> None:
    differ(seed, 3_000, ENGINES["plain"], ENGINES["plain-restarting"])


class ForgetsAmendments(Engine):
    """An engine with a planted bug."""

    def process(self, frames: bytes) -> bytes:
        return b"" if frames[1] == CommandKind.AMEND_ORDER else super().process(frames)


def test_a_difference_is_reported_with_seed_and_the_shortest_stream() -> None:
    with pytest.raises(Disagreement) as found:
        agree("seed 1", History(1), 2_000, ENGINES["plain"], lambda: ForgetsAmendments(CLOSED_IDS_KEPT))
    text = str(found.value)
    print(text)
    assert text.startswith("seed 1, command ")
    sizes = re.search(r"shrunk from (\d+) to (\d+) commands", text)
    assert sizes is not None
    assert int(sizes[2]) <= 12 + int(sizes[1]) // 10
    assert "AmendOrder(" in text
    assert text.endswith("right:")  # no event at all


def test_a_history_depends_on_its_seed_alone() -> None:
    def steps(seed: int) -> list[object]:
        history, engine = History(seed), Engine(CLOSED_IDS_KEPT)
        taken: list[object] = []
        for _ in range(500):
            frames, skip = history.next()
            taken.append((frames, skip))
            history.hear(engine.process(frames) if skip is None else engine.skip(frames, skip))
        return taken

    assert steps(3) == steps(3)
    assert steps(3) != steps(4)
