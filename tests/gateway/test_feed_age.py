"""When public data count as stale (feedage.py): by what market data says and what the gateway has read itself."""

import pytest

from apps.gateway.feedage import SILENT_S, FeedAge


class World:
    """A gateway that has read events up to `seen`, at `now_s`."""

    def __init__(self) -> None:
        self.now_s = 1_000.0
        self.seen = 50
        self.age = FeedAge(lambda: self.seen, lambda: self.now_s)

    def is_stale(self) -> bool:
        return self.age.stale_since_ms() is not None

    def hear_each_second(self, seconds: int, seq: int | None = None) -> list[bool]:
        """Whether it was stale after each of them; `seq`: market data stays there, else it is where the events are."""
        found = []
        for _ in range(seconds):
            self.now_s += 1
            self.age.told(self.seen if seq is None else seq)
            found.append(self.is_stale())
        return found


@pytest.fixture
def world() -> World:
    return World()


def test_a_quiet_market_is_not_stale(world: World) -> None:
    assert not any(world.hear_each_second(600))


def test_a_busy_market_is_not_stale_though_market_data_is_always_a_little_behind(world: World) -> None:
    for _ in range(600):
        world.now_s += 1
        world.seen += 1_000
        world.age.told(world.seen - 50)
        assert not world.is_stale()


def test_silence_is_stale_also_in_a_quiet_market_until_the_next_words(world: World) -> None:
    world.hear_each_second(10)
    since_s = world.now_s - 1
    world.now_s = since_s + SILENT_S
    assert not world.is_stale()
    world.now_s += 0.5
    assert world.is_stale()
    assert world.age.age_s() == SILENT_S + 0.5
    assert world.hear_each_second(2)[-1] is False


def test_market_data_that_speaks_but_falls_behind_is_stale(world: World) -> None:
    world.hear_each_second(10)
    behind_at = world.seen
    world.seen += 1
    assert world.hear_each_second(20, seq=behind_at)[-1] is True
    assert world.hear_each_second(2)[-1] is False


def test_a_log_that_begins_anew_with_lower_numbers_is_not_stale(world: World) -> None:
    world.hear_each_second(10)
    world.seen = 3
    assert not any(world.hear_each_second(20))


def test_a_new_gateway_waits_and_then_names_the_last_word_before_it(world: World) -> None:
    assert not world.is_stale()
    world.age.spoke_before(5_000)
    world.now_s += SILENT_S + 1
    assert world.age.stale_since_ms() == 5_000
    world.hear_each_second(3)
    world.age.spoke_before(6_000)
    world.now_s += SILENT_S + 2
    since_ms = world.age.stale_since_ms()
    assert since_ms is not None
    assert since_ms > 6_000
