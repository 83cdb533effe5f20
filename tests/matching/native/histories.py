"""Files of random commands with the plain engine's answers."""

from pathlib import Path

from apps.matching.engine import Engine
from tests.oracle.streams import CLOSED_IDS_KEPT, History


def write_history(directory: Path, seed: int, count: int, kind: type[History] = History) -> tuple[Path, bytes]:
    """(file of the stamped frames of `count` random commands, the plain engine's events)."""
    print(f"seed {seed}, {count} commands")
    history, engine = kind(seed), Engine(CLOSED_IDS_KEPT)
    history.skip_rate = 0
    frames, events = bytearray(), bytearray()
    for _ in range(count):
        run, _ = history.next()
        answer = engine.process(run)
        history.hear(answer)
        frames += run
        events += answer
    path = directory / f"history-{seed}.frames"
    path.write_bytes(frames)
    return path, bytes(events)
