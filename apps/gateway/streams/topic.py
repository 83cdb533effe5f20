"""One topic: who listens to it. A message costs those that are behind nothing, however many they are.

Whoever keeps up gets each message into its socket's queue. A client whose connection takes no more is found so at the
next message, and from then on has a place in the topic's backlog instead, until its connection takes more.
"""

from collections.abc import Iterator
from heapq import heapify, heappop, heappush
from typing import Protocol

from apps.gateway.socket import Socket, share
from apps.gateway.streams.backlog import Backlog, BookChanges, Log, Place
from apps.gateway.streams.shared import Behind, SharedMessage


class Subscriber(Protocol):
    """One client, as one of its connections. The form of its messages is the same while it subscribes to anything."""

    socket: Socket
    form: int
    # Where it goes on, by topic in which it has missed something.
    places: dict["Topic", Place]

    def cut_off_chain(self) -> None:
        """A chain of depth messages that it gets has a gap."""


class Topic:
    def __init__(self) -> None:
        # By form. dict instead of set: clients are served in the order of their subscriptions, the same every time.
        self._ready: dict[int, dict[Socket, Subscriber]] = {}
        self._behind: dict[int, dict[Subscriber, None]] = {}
        self._backlog: Backlog | None = None

    def __len__(self) -> int:
        return sum(map(len, self._ready.values())) + sum(map(len, self._behind.values()))

    def __iter__(self) -> Iterator[Subscriber]:
        for ready in self._ready.values():
            yield from ready.values()
        for behind in self._behind.values():
            yield from behind

    def add(self, subscriber: Subscriber) -> None:
        self._ready.setdefault(subscriber.form, {})[subscriber.socket] = subscriber

    def remove(self, subscriber: Subscriber) -> None:
        place = subscriber.places.pop(self, None)
        if place is not None:
            place.leave()
            self._leave_behind(subscriber)
        elif subscriber.socket in self._ready.get(subscriber.form, {}):
            self._leave_ready(subscriber)

    def deliver(self, message: SharedMessage, seq: int) -> tuple[int, list[Subscriber]]:
        """By how many bytes what waits grew at most, and who is behind from now on."""
        late: list[Subscriber] = []
        for form, ready in self._ready.items():
            late += [ready[socket] for socket in share(ready, message.frame(form))]
        for subscriber in late:
            self._leave_ready(subscriber)
            self._behind.setdefault(subscriber.form, {})[subscriber] = None
        if not self._behind:
            return 0, late
        if self._backlog is None:
            self._backlog = BookChanges() if message.behind is Behind.JOINED else Log()
        # Built now, of the state of now; changes of a book are built when they are joined.
        size = max(len(message.frame(form)) for form in self._behind) if message.behind is not Behind.JOINED else 0
        grown = self._backlog.keep(message, seq, size)
        for subscriber in late:
            subscriber.places[self] = self._backlog.place()
        return grown, late

    def next_frame(self, subscriber: Subscriber) -> bytes:
        """Of what it has missed. After the last one it is ready."""
        place = subscriber.places[self]
        frame = place.next_frame(subscriber.form)
        if place.is_at_end:
            del subscriber.places[self]
            self._leave_behind(subscriber)
            self.add(subscriber)
        return frame

    def _leave_ready(self, subscriber: Subscriber) -> None:
        ready = self._ready[subscriber.form]
        del ready[subscriber.socket]
        if not ready:
            del self._ready[subscriber.form]

    def _leave_behind(self, subscriber: Subscriber) -> None:
        behind = self._behind[subscriber.form]
        del behind[subscriber]
        if not behind:
            del self._behind[subscriber.form]
        if not self._behind:
            self._backlog = None


def missed_frames(subscriber: Subscriber, bytes_max: int | None = None) -> list[bytes]:
    """What it has missed, the oldest first, up to the frame with which it is so many bytes."""
    waits = [(place.seq, number, topic) for number, (topic, place) in enumerate(subscriber.places.items())]
    heapify(waits)
    found: list[bytes] = []
    size = 0
    while waits and (bytes_max is None or size < bytes_max):
        _seq, number, topic = heappop(waits)
        frame = topic.next_frame(subscriber)
        found.append(frame)
        size += len(frame)
        place = subscriber.places.get(topic)
        if place is not None:
            heappush(waits, (place.seq, number, topic))
    return found
