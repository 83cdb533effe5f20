"""How far a promotion has come, in a file: what was interrupted is gone on with, what was never begun is not."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from apps.orders.promotion.errors import PromotionRefused

NAME: Final = "promotion.json"


@dataclass(frozen=True, slots=True)
class Begun:
    """Written after all checks and before the first change; `finished_ms` is 0 until the last one is done."""

    shard: str
    begun_ms: int
    seq: int
    state_hash: str
    finished_ms: int = 0


class Progress:
    def __init__(self, directory: Path) -> None:
        self._path = directory / NAME

    def read(self) -> Begun | None:
        """PromotionRefused for a file that this class did not write."""
        try:
            text = self._path.read_text()
        except FileNotFoundError:
            return None
        try:
            return Begun(**json.loads(text))
        except (TypeError, ValueError) as error:
            raise PromotionRefused(
                f"{self._path} is not what a promotion writes ({error}). Find out who wrote it, move it away, and run"
                " this again."
            ) from error

    def write(self, begun: Begun) -> None:
        """On disk when this returns: the next run must know that a PostgreSQL promoted meanwhile was meant to be."""
        fresh = self._path.with_suffix(".new")
        with fresh.open("w") as file:
            file.write(json.dumps(asdict(begun)))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._path)
        directory = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
