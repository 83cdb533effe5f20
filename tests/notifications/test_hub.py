"""Whom the hub lets in: counted by network, with room for those who are logged in, and none whose session has ended."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from apps.notifications.live import hub
from apps.notifications.live.hub import Hub
from apps.notifications.live.visitors import Visitor
from apps.notifications.policy import (
    LIVE_ENDS_KEPT_S,
    LIVE_SOCKETS_MAX,
    LIVE_SOCKETS_WITHOUT_SESSION_MAX,
)


class Socket:
    def __init__(self, visitor: Visitor) -> None:
        self.visitor = visitor
        self.has_ended = False

    def wake(self) -> None: ...

    def tell_notices(self) -> None: ...

    def end(self) -> None:
        self.has_ended = True


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Hub:
    """Without hints over Channels."""
    monkeypatch.setattr(Hub, "_listen", lambda _: None)
    return Hub()


def alice(looked_up_at_s: float) -> Socket:
    return Socket(Visitor("203.0.113.7", 7, "s" * 64, 2**40, looked_up_at_s))


def test_visitors_without_a_session_leave_room_for_those_who_have_one(made: Hub) -> None:
    strangers = [Socket(Visitor(f"network {number}")) for number in range(LIVE_SOCKETS_MAX)]
    joined = [each for each in strangers if made.join(each)]
    assert len(joined) == LIVE_SOCKETS_WITHOUT_SESSION_MAX < LIVE_SOCKETS_MAX
    assert made.join(alice(time.monotonic()))
    made.leave(joined[0])
    assert made.join(strangers[-1])


@pytest.mark.parametrize(
    "ending",
    [lambda h: h.session_ended("s" * 64), lambda h: h.sessions_of_user_ended(7), lambda h: h.sessions_unknown()],
    ids=["session", "user", "unknown"],
)
def test_who_was_looked_up_before_the_session_ended_does_not_join(made: Hub, ending: Callable[[Hub], Any]) -> None:
    before = time.monotonic()
    there = alice(before)
    assert made.join(there)
    ending(made)
    assert there.has_ended
    made.leave(there)
    assert not made.join(alice(before))
    other = Visitor("203.0.113.7", 8, "t" * 64, 2**40, time.monotonic() + 1)
    assert made.join(Socket(other))
    assert made.join(alice(time.monotonic() + 1)), "looked up after the end, it is another answer"


def test_ends_are_kept_for_a_while(made: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    at_s = 1_000.0
    monkeypatch.setattr(hub.time, "monotonic", lambda: at_s)
    made.session_ended("a")
    at_s += LIVE_ENDS_KEPT_S
    made.session_ended("b")
    assert list(made._ended) == ["a", "b"]
    made.session_ended("a")
    at_s += 1
    made.sessions_of_user_ended(7)
    assert list(made._ended) == ["b", "a", 7]
    at_s += LIVE_ENDS_KEPT_S
    made.session_ended("c")
    assert list(made._ended) == [7, "c"]
