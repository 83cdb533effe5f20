"""One topic: who listens to it. A message costs those that are behind nothing, however many they are.

Whoever keeps up gets each message into its socket's queue. A client whose connection takes no more is found so when the
next turn of the event loop brings messages, and from then on has a place in the topic's backlog instead, until its
connection takes more.
"""

from collections.abc import Iterator, Mapping
from heapq import heapify, heappop, heappush
from typing import Protocol

from apps.gateway.socket import Socket
from apps.gateway.streams.backlog import Backlog, BookChanges, Log, Place
from apps.gateway.streams.lanes import Lane
from apps.gateway.streams.shared import Behind, SharedMessage


class Subscriber(Protocol):
    """One client, as one of its connections. Its lane is the same while it subscribes to anything."""

    socket: Socket
    lane: Lane
    # Where it goes on, by topic in which it has missed something.
    places: dict["Topic", Place]

    def cut_off_chain(self) -> None:
        """A chain of depth messages that it gets has a gap."""


class Topic:
    def __init__(self) -> None:
        # dict instead of set: clients are served in the order of their subscriptions, the same every time.
        self._ready: dict[Lane, dict[Socket, Subscriber]] = {}
        # By form.
        self._behind: dict[int, dict[Subscriber, None]] = {}
        self._late: list[Subscriber] = []
        self._backlog: Backlog | None = None

    def __len__(self) -> int:
        return sum(map(len, self._ready.values())) + sum(map(len, self._behind.values()))

    def __iter__(self) -> Iterator[Subscriber]:
        for ready in self._ready.values():
            yield from ready.values()
        for behind in self._behind.values():
            yield from behind

    @property
    def ready(self) -> Mapping[Lane, Mapping[Socket, Subscriber]]:
        return self._ready

    def build(self, message: SharedMessage) -> None:
        """In the forms that are wanted now, of the state of now. Changes of a book that are kept are built later."""
        for lane in self._ready:
            message.frame(lane.form)
        if message.behind is not Behind.JOINED:
            for form in self._behind:
                message.frame(form)

    def add(self, subscriber: Subscriber) -> None:
        self._ready.setdefault(subscriber.lane, {})[subscriber.socket] = subscriber

    def remove(self, subscriber: Subscriber) -> None:
        place = subscriber.places.pop(self, None)
        if place is not None:
            place.leave()
            self._leave_behind(subscriber)
        elif subscriber.socket in self._ready.get(subscriber.lane, {}):
            self._leave_ready(subscriber)

    def part(self) -> list[Subscriber]:
        """Who is behind from now on. A message must be kept next."""
        self._late = [
            subscriber for ready in self._ready.values() for socket, subscriber in ready.items() if socket.is_behind
        ]
        for subscriber in self._late:
            self._leave_ready(subscriber)
            self._behind.setdefault(subscriber.lane.form, {})[subscriber] = None
        return self._late

    def keep(self, message: SharedMessage, seq: int) -> int:
        """For those that are behind, if there are any. By how many bytes what waits for each of them grew at most."""
        if not self._behind:
            return 0
        if self._backlog is None:
            self._backlog = BookChanges() if message.behind is Behind.JOINED else Log()
        size = max(len(message.frame(form)) for form in self._behind) if message.behind is not Behind.JOINED else 0
        grown = self._backlog.keep(message, seq, size)
        for subscriber in self._late:
            subscriber.places[self] = self._backlog.place()
        self._late = []
        return grown

    def next_frame(self, subscriber: Subscriber) -> bytes:
        """Of what it has missed. After the last one it is ready."""
        place = subscriber.places[self]
        frame = place.next_frame(subscriber.lane.form)
        if place.is_at_end:
            del subscriber.places[self]
            self._leave_behind(subscriber)
            self.add(subscriber)
        return frame

    def _leave_ready(self, subscriber: Subscriber) -> None:
        ready = self._ready[subscriber.lane]
        del ready[subscriber.socket]
        if not ready:
            del self._ready[subscriber.lane]

    def _leave_behind(self, subscriber: Subscriber) -> None:
        behind = self._behind[subscriber.lane.form]
        del behind[subscriber]
        if not behind:
            del self._behind[subscriber.lane.form]
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
