"""One message in the forms its subscribers want: wrapped with its stream's name or not, times in ms or in µs.

Each form is built once, as a finished frame, and only when somebody wants it.
"""

from collections.abc import Callable
from enum import IntEnum
from typing import Any, Final

import msgspec

from apps.gateway.book import Record
from apps.gateway.markets import Market
from apps.gateway.serverframes import text_frame
from apps.gateway.streams import messages

encode: Final = msgspec.json.Encoder().encode
# Bits of a form.
COMBINED: Final = 1
MICROSECONDS: Final = 2
FORMS: Final = 4

# A message with its times in milliseconds times `unit`: 1 or 1000.
Make = Callable[[int], Any]


class Behind(IntEnum):
    """What a client that is behind gets of several messages of one topic."""

    ALL = 0
    NEWEST = 1
    JOINED = 2


class SharedMessage:
    __slots__ = ("_make", "behind", "frames", "topic")

    def __init__(self, topic: str, make: Make, behind: Behind) -> None:
        self.topic = topic
        self.behind = behind
        self._make = make
        # By form; None where nobody has asked for it.
        self.frames: list[bytes | None] = [None] * FORMS

    def frame(self, form: int) -> bytes:
        built = self.frames[form]
        if built is None:
            built = self.frames[form] = self._build(form)
        return built

    def _build(self, form: int) -> bytes:
        raw = encode(self._make(1000 if form & MICROSECONDS else 1))
        if form & COMBINED:
            raw = b'{"stream":"%b","data":%b}' % (self.topic.encode("ascii"), raw)
        return text_frame(raw)


class DepthMessage(SharedMessage):
    """Changes of a book, each with its first and its last id (BookChanges joins them)."""

    __slots__ = ("market", "record")

    def __init__(self, topic: str, market: Market, record: Record) -> None:
        super().__init__(topic, lambda unit: messages.depth_update(market, record, unit), Behind.JOINED)
        self.market = market
        self.record = record
