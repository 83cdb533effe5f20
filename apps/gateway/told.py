"""What an account's feed tells, and who listens to it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from apps.gateway import userevents

encode: Final = msgspec.json.Encoder().encode


class Told:
    """All that one command told an account, in order; `seq` is the last event of it that touches the account."""

    __slots__ = ("_texts", "_texts_us", "events", "seq")

    def __init__(self, events: list[dict[str, Any]], seq: int) -> None:
        self.events = events
        self.seq = seq
        self._texts: list[str] | None = None
        self._texts_us: list[str] | None = None

    def texts(self, *, in_microseconds: bool = False) -> list[str]:
        """The events in JSON, encoded once for all subscribers."""
        if in_microseconds:
            if self._texts_us is None:
                self._texts_us = [encode(userevents.in_microseconds(event)).decode() for event in self.events]
            return self._texts_us
        if self._texts is None:
            self._texts = [encode(event).decode() for event in self.events]
        return self._texts


Sink = Callable[[Told], None]


@dataclass(slots=True, eq=False)
class Listener:
    """`tell` gets what commands told after event `after_seq`; `end` is called when the history has a hole."""

    tell: Sink
    end: Callable[[], None]
    after_seq: int = 0
