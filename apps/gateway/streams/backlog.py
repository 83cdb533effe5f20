"""What clients that are behind have still to get of one topic: kept once, however many they are, and conflated.

Each of them has a `Place`, from which it goes on when its connection takes more. Numbers (`seq`) count the messages of
all topics, so that what was missed of several is sent in its order.
"""

from typing import Final, Protocol

from apps.gateway.book import Record
from apps.gateway.streams.shared import Behind, DepthMessage, SharedMessage

# Of one level in a message, about: ["50000.00000000","0.50000000"],
LEVEL_BYTES: Final = 32
HEAD_BYTES: Final = 128
# So many levels, and twice what was left of them last, before those that nobody waits for are looked for.
LEVELS_KEPT: Final = 1_000


class Place(Protocol):
    """Where one client goes on. Bytes are of finished frames; of changes of a book an estimate."""

    @property
    def seq(self) -> int:
        """Of the first message that it has missed."""

    @property
    def is_at_end(self) -> bool:
        """Whether nothing was missed any more."""

    def next_frame(self, form: int) -> bytes: ...

    def missed(self) -> tuple[int, int]:
        """Bytes and messages that it would get now."""

    def missed_at_most(self) -> tuple[int, int]:
        """The same from above, without looking at all of it."""

    def leave(self) -> None:
        """The client gets nothing of it any more."""


class Backlog(Protocol):
    def keep(self, message: SharedMessage, seq: int, size: int) -> int:
        """The next message of the topic, built in all forms that are wanted, and the size of its frames at most.

        By how many bytes each place grew at most.
        """

    def place(self) -> Place:
        """For a client that has missed the message that was kept last, and none before."""


class _Entry:
    __slots__ = ("behind", "bytes_before", "count_before", "frames", "later", "seq", "size")

    def __init__(self, message: SharedMessage, seq: int, size: int, before: "_Entry | None") -> None:
        self.behind = message.behind
        # Not the message, which is made of more objects than all of these, for the collector of garbage to look at.
        self.frames = message.frames
        self.seq = seq
        self.size = size
        self.later: _Entry | None = None
        # In all entries before this one, since the first.
        self.bytes_before: int = before.bytes_before + before.size if before is not None else 0
        self.count_before: int = before.count_before + 1 if before is not None else 0


class Log:
    """Messages in a row. The newest takes the place of the one before where both say so.

    A chain of which places hold the entry where they go on: what is before all of them is gone by itself.
    """

    def __init__(self) -> None:
        self.last: _Entry | None = None

    def keep(self, message: SharedMessage, seq: int, size: int) -> int:
        last = self.last
        if last is not None and message.behind is Behind.NEWEST and last.behind is Behind.NEWEST:
            last.frames, last.size = message.frames, size
        else:
            self.last = _Entry(message, seq, size, last)
            if last is not None:
                last.later = self.last
        return size

    def place(self) -> "LogPlace":
        assert self.last is not None, "a message was kept"
        return LogPlace(self, self.last)


class LogPlace:
    """Satisfies Place."""

    __slots__ = ("_entry", "_log")

    def __init__(self, log: Log, entry: _Entry) -> None:
        self._log = log
        self._entry: _Entry | None = entry

    @property
    def seq(self) -> int:
        assert self._entry is not None, "not at the end"
        return self._entry.seq

    @property
    def is_at_end(self) -> bool:
        return self._entry is None

    def next_frame(self, form: int) -> bytes:
        entry = self._entry
        assert entry is not None, "not at the end"
        self._entry = entry.later
        frame = entry.frames[form]
        assert frame is not None, "built in all forms that were wanted"
        return frame

    def missed(self) -> tuple[int, int]:
        first, last = self._entry, self._log.last
        if first is None or last is None:
            return 0, 0
        return last.bytes_before + last.size - first.bytes_before, last.count_before + 1 - first.count_before

    missed_at_most = missed

    def leave(self) -> None:
        self._entry = None


class BookChanges:
    """Changes of a book: of each price the newest quantity and when it came, so that each place has its own first id.

    Quantities are absolute: joined, the changes are those from the first id to the last.
    """

    def __init__(self) -> None:
        self.sides: dict[str, dict[int, tuple[int, int]]] = {"b": {}, "a": {}}
        self.newest: DepthMessage | None = None
        self.places: set[BookPlace] = set()
        self._seq = 0
        self._levels_max = LEVELS_KEPT
        # The one that was joined last, and from where: clients that fell behind together come back together.
        self._joined: tuple[int, DepthMessage] | None = None

    @property
    def levels(self) -> int:
        return sum(map(len, self.sides.values()))

    def keep(self, message: SharedMessage, seq: int, size: int) -> int:
        assert isinstance(message, DepthMessage), "all of the topic are"
        self.newest, self._seq, self._joined = message, seq, None
        count = 0
        for name, side in self.sides.items():
            changes = message.record[name]
            count += len(changes)
            for price, quantity in changes:
                side[price] = (quantity, seq)
        if self.levels > self._levels_max:
            self._drop_old()
        return HEAD_BYTES + LEVEL_BYTES * count

    def _drop_old(self) -> None:
        oldest = min((place.seq for place in self.places), default=self._seq)
        self.sides = {
            name: {price: level for price, level in side.items() if level[1] >= oldest}
            for name, side in self.sides.items()
        }
        self._levels_max = LEVELS_KEPT + 2 * self.levels

    def place(self) -> "BookPlace":
        assert self.newest is not None, "a message was kept"
        place = BookPlace(self, self._seq, self.newest.record["U"])
        self.places.add(place)
        return place

    def joined(self, seq: int, first_id: int) -> DepthMessage:
        """All changes from that message to the newest."""
        if self._joined is None or self._joined[0] != seq:
            assert self.newest is not None, "a message was kept"
            sides = {
                name: sorted(
                    ((price, quantity) for price, (quantity, changed) in side.items() if changed >= seq),
                    reverse=name == "b",
                )
                for name, side in self.sides.items()
            }
            record: Record = {**self.newest.record, **sides, "U": first_id}
            self._joined = seq, DepthMessage(self.newest.topic, self.newest.market, record)
        return self._joined[1]


class BookPlace:
    """Satisfies Place: one message, whatever was missed."""

    __slots__ = ("_book", "_first_id", "is_at_end", "seq")

    def __init__(self, book: BookChanges, seq: int, first_id: int) -> None:
        self._book = book
        self._first_id = first_id
        self.seq = seq
        self.is_at_end = False

    def next_frame(self, form: int) -> bytes:
        message = self._book.joined(self.seq, self._first_id)
        self.leave()
        return message.frame(form)

    def missed(self) -> tuple[int, int]:
        seq = self.seq
        levels = sum(changed >= seq for side in self._book.sides.values() for _quantity, changed in side.values())
        return HEAD_BYTES + LEVEL_BYTES * levels, 1

    def missed_at_most(self) -> tuple[int, int]:
        return HEAD_BYTES + LEVEL_BYTES * self._book.levels, 1

    def leave(self) -> None:
        self.is_at_end = True
        self._book.places.discard(self)
