"""When the primary site counts as silent, and when it counts as alive."""

from collections.abc import Callable
from itertools import pairwise

import pytest

from apps.orders.promotion.core import CoreAway
from apps.orders.promotion.errors import NoSecondSite
from apps.orders.promotion.heartbeat import Watch, signs_of_life
from apps.streams.bus.base import EntryId
from apps.streams.bus.errors import BusAway

AFTER_S = 5


class World:
    """One second at each sleep. `ticks` and `pings` say in which seconds the primary is heard, and how."""

    def __init__(
        self, *, ticks: Callable[[int], bool] = lambda _: False, pings: Callable[[int], bool] = lambda _: False
    ) -> None:
        self.second = 0
        self.said: list[str] = []
        self._ticks = ticks
        self._pings = pings
        self._newest = EntryId(1, 0)
        self.away: range = range(0)
        self.promoted_at = 10**9

    def watch(self) -> Watch:
        return Watch(
            self, self, after_s=AFTER_S, say=self.said.append,
            monotonic_s=lambda: float(self.second), sleep=self.sleep,
        )  # fmt: skip

    def sleep(self, _seconds: float) -> None:
        self.second += 1
        assert self.second < 1_000, "the watch waits for ever"

    def last_command(self) -> EntryId:
        if self.second in self.away:
            raise BusAway("gone")
        if self._ticks(self.second):
            self._newest = EntryId(self._newest.ms + 100, 0)
        return self._newest

    def is_replica(self) -> bool:
        return self.second < self.promoted_at

    def primary_answers(self) -> bool:
        return self._pings(self.second)


def test_it_promotes_after_so_many_seconds_without_tick_and_ping() -> None:
    world = World(ticks=lambda second: second < 20)
    world.watch().wait_for_silence()
    assert world.second == 19 + AFTER_S
    assert world.said == [
        "the primary site is heard; this site is promoted after 5 s of silence", "the primary site is silent",
    ]  # fmt: skip


def test_a_primary_that_only_answers_is_alive() -> None:
    """Its worker may be down or halted: a standby of its own takes over there, or a person."""
    world = World(ticks=lambda second: second < 3, pings=lambda second: second < 40)
    world.watch().wait_for_silence()
    assert world.second == 39 + AFTER_S


def test_every_sign_of_life_starts_the_count_anew() -> None:
    signs = (1, 5, 9, 13, 17)
    assert max(later - earlier for earlier, later in pairwise(signs)) < AFTER_S
    world = World(ticks=lambda second: second in signs)
    world.watch().wait_for_silence()
    assert world.second == 17 + AFTER_S
    assert world.said.count("the primary site is heard again") == len(signs) - 1


def test_a_watch_that_never_heard_the_primary_promotes_nothing() -> None:
    """The first look at a stream that has entries is no heartbeat: it may be years old."""
    world = World(pings=lambda second: second == 300)
    world.watch().wait_for_silence()
    assert world.second == 300 + AFTER_S


def test_while_a_server_of_this_site_is_away_nothing_is_counted() -> None:
    world = World(ticks=lambda second: second < 5)
    world.away = range(6, 60)
    world.watch().wait_for_silence()
    assert world.second == 59 + AFTER_S
    assert any("nothing can be heard: gone" in line for line in world.said)


def test_a_site_that_is_promoted_meanwhile_ends_the_watch() -> None:
    world = World(ticks=lambda _: True)
    world.promoted_at = 7
    with pytest.raises(NoSecondSite):
        world.watch().wait_for_silence()


def test_a_server_of_this_site_that_does_not_say_its_role_is_away() -> None:
    class Mute(World):
        def is_replica(self) -> bool:
            if self.second == 2:
                raise CoreAway("redis-core here cannot be asked")
            return True

    world = Mute(ticks=lambda second: second < 4)
    world.watch().wait_for_silence()
    assert world.second == 3 + AFTER_S


@pytest.mark.parametrize(
    ("ticks", "core", "postgres", "expected"),
    [
        (True, False, False, ["commands arrive through the replica"]),
        (False, True, False, ["its redis-core answers"]),
        (False, False, True, ["its PostgreSQL answers"]),
        (False, False, False, []),
    ],
)
def test_signs_of_life_are_named(ticks: bool, core: bool, postgres: bool, expected: list[str]) -> None:
    world = World(ticks=lambda second: ticks and second == 1, pings=lambda _: core)
    record = World(pings=lambda _: postgres)
    assert list(signs_of_life(world, world, record, sleep=world.sleep)) == expected
