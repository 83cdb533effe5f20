"""Clients in lanes: those of one lane get all of a turn's messages, and the network gets them, before the next lane.

So the first do not wait until everything was queued for the last, and the network works meanwhile. All clients of a
lane have the same form.
"""

from collections.abc import Iterable
from typing import Final

# Each message is looked up once for each lane that listens to it, so few clients a lane would cost time.
LANE_CLIENTS: Final = 64


class Lane:
    __slots__ = ("clients", "form", "number")

    def __init__(self, number: int, form: int) -> None:
        self.number = number
        self.form = form
        self.clients = 0


class Lanes:
    def __init__(self) -> None:
        # A number without clients is taken again before there is a new one.
        self._lanes: list[Lane] = []

    def enter(self, form: int) -> Lane:
        """A lane for one more client: the first with room."""
        for lane in self._lanes:
            if not lane.clients:
                lane.form = form
            if lane.form == form and lane.clients < LANE_CLIENTS:
                break
        else:
            lane = Lane(len(self._lanes), form)
            self._lanes.append(lane)
        lane.clients += 1
        return lane

    @staticmethod
    def leave(lane: Lane) -> None:
        lane.clients -= 1


def in_turn(lanes: Iterable[Lane]) -> list[Lane]:
    """Each once, in the order in which they are served."""
    return sorted(set(lanes), key=lambda lane: lane.number)
