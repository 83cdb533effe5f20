"""The engines that are compared, by name. Each is made anew for a stream."""

from collections.abc import Callable, Mapping
from itertools import cycle
from typing import Any, Final

from apps.matching.engine import Engine
from apps.matching.native.engine import Engine as NativeEngine
from tests.oracle.agreement import EngineLike
from tests.oracle.model import Oracle
from tests.oracle.streams import CLOSED_IDS_KEPT


class Restarting:
    """An engine that is written to a snapshot and restored from it after every `every` commands, each time as the next
    of `made_by`.
    """

    def __init__(self, *made_by: Any, every: int = 97) -> None:
        self.made_by, self.every, self.count = cycle(made_by), every, 0
        self.engine = next(self.made_by)(CLOSED_IDS_KEPT)

    def process(self, frames: bytes, /) -> bytes:
        self.restart_at_times()
        answer: bytes = self.engine.process(frames)
        return answer

    def skip(self, run: bytes, reason: Any, /) -> bytes:
        self.restart_at_times()
        answer: bytes = self.engine.skip(run, reason)
        return answer

    def restart_at_times(self) -> None:
        self.count += 1
        if self.count % self.every == 0:
            self.engine = next(self.made_by).restore(self.engine.snapshot())

    def validate(self) -> None:
        self.engine.validate()

    def state_hash(self) -> str:
        answer: str = self.engine.state_hash()
        return answer


def oracle() -> EngineLike:
    return Oracle(CLOSED_IDS_KEPT)


ENGINES: Final[Mapping[str, Callable[[], Any]]] = {
    "plain": lambda: Engine(CLOSED_IDS_KEPT),
    "plain-restarting": lambda: Restarting(Engine),
    "native": lambda: NativeEngine(CLOSED_IDS_KEPT),
    "native-restarting": lambda: Restarting(NativeEngine),
    "taking-turns": lambda: Restarting(NativeEngine, Engine, every=23),
}
