"""Cuts off clients that have missed too much, without a look at each of them for each message.

Nobody's arrears grow by more than what is kept in all backlogs together. So each client is looked at when as much was
kept as it was short of the limit, and then again; and few in one turn of the event loop, because many that fell behind
together would end together, and the others would wait for that.
"""

from heapq import heappop, heappush
from itertools import count
from typing import Final

from apps.gateway.policy import CLIENT_QUEUE_BYTES_MAX, CLIENT_QUEUE_MESSAGES_MAX
from apps.gateway.streams.topic import Subscriber

# Of the limit on messages: so many bytes are one at least.
MESSAGE_BYTES_MIN: Final = CLIENT_QUEUE_BYTES_MAX // CLIENT_QUEUE_MESSAGES_MAX
# Whoever is close to the limit is looked at again only after so much more.
STEP_BYTES: Final = CLIENT_QUEUE_BYTES_MAX // 256

# In one turn one client, and one more for each so many that are watched.
CLIENTS_A_LOOK: Final = 256


class Arrears:
    def __init__(self) -> None:
        self._kept = 0
        # When so much was kept, that client is looked at, if it is still here.
        self._due: list[tuple[int, int]] = []
        self._clients: dict[int, Subscriber] = {}
        self._numbers: dict[Subscriber, int] = {}
        self._count = count()

    def watch(self, subscriber: Subscriber) -> None:
        """It is behind. Whoever is watched already stays so."""
        if subscriber not in self._numbers:
            number = self._numbers[subscriber] = next(self._count)
            self._clients[number] = subscriber
            self._look(number, subscriber)

    def forget(self, subscriber: Subscriber) -> None:
        number = self._numbers.pop(subscriber, None)
        if number is not None:
            del self._clients[number]

    def grow(self, kept: int) -> None:
        """So many bytes more were kept, of one message."""
        self._kept += max(kept, MESSAGE_BYTES_MIN)

    def end_turn(self) -> None:
        """Look at those whose time has come."""
        for _ in range(1 + len(self._clients) // CLIENTS_A_LOOK):
            if not self._due or self._due[0][0] > self._kept:
                return
            _, number = heappop(self._due)
            subscriber = self._clients.get(number)
            if subscriber is not None:
                self._look(number, subscriber)

    def _look(self, number: int, subscriber: Subscriber) -> None:
        if not subscriber.places or subscriber.socket.closed:
            self.forget(subscriber)
            return
        left = _left(subscriber, exactly=False)
        if left < 0:
            left = _left(subscriber, exactly=True)
        if left < 0:
            self.forget(subscriber)
            subscriber.socket.cut_off()
        else:
            heappush(self._due, (self._kept + max(left, STEP_BYTES), number))


def _left(subscriber: Subscriber, *, exactly: bool) -> int:
    """How many bytes it may still miss; negative when it has missed too much."""
    size, number = subscriber.socket.queued_bytes, subscriber.socket.queued_messages
    for place in subscriber.places.values():
        missed_bytes, missed_messages = place.missed() if exactly else place.missed_at_most()
        size += missed_bytes
        number += missed_messages
    left = CLIENT_QUEUE_BYTES_MAX - size
    return min(left, (CLIENT_QUEUE_MESSAGES_MAX - number) * MESSAGE_BYTES_MIN)
