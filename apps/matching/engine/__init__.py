"""The matching engine in plain Python: the executable specification (docs/matching)."""

from apps.matching.engine.engine import RULES_VERSION, Engine
from apps.matching.engine.errors import FrameError, InvariantBroken, RelayGap, SnapshotError, UnreadableVersion

__all__ = [
    "RULES_VERSION",
    "Engine",
    "FrameError",
    "InvariantBroken",
    "RelayGap",
    "SnapshotError",
    "UnreadableVersion",
]
