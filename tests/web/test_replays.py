"""threat-T7: a signature counts once, in all processes as long as redis-edge is there."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from pytest_django import Settings

from apps.web.api.policy import CLOCK_OFF_MAX_MS, SIGNATURES_KEPT_MS
from apps.web.api.problems import Refused
from apps.web.api.replays import Seen, use_once


def test_of_fifty_at_once_redis_edge_lets_one_through(edge: Any) -> None:
    """As in fifty processes, none of which has seen it before."""

    def is_let_through(number: int) -> bool:
        try:
            use_once("fifty", changes_something=True, here=Seen(lambda: 0))
        except Refused as refusal:
            return refusal.code != "SIGNATURE_USED"
        return True

    with ThreadPoolExecutor(10) as pool:
        assert sum(pool.map(is_let_through, range(50))) == 1


def test_a_process_forgets_what_is_too_old_to_count_again() -> None:
    now_ms = 0
    seen = Seen(lambda: now_ms)
    assert [seen.is_first("a"), seen.is_first("a")] == [True, False]
    now_ms = SIGNATURES_KEPT_MS - 1
    assert [seen.is_first("a"), seen.is_first("b")] == [False, True]
    now_ms = SIGNATURES_KEPT_MS
    assert [seen.is_first("a"), seen.is_first("b")] == [True, False]
    assert SIGNATURES_KEPT_MS > 2 * CLOCK_OFF_MAX_MS, "its time is looked at before it is remembered"


def test_what_was_not_carried_out_is_not_called_made_when_it_is_sent_again(settings: Settings) -> None:
    settings.REDIS_EDGE_URL = "unix:///nowhere/redis.sock"
    here = Seen(lambda: 0)
    for code, words in (
        ("UNAVAILABLE", "Sign it again with a new time"),
        ("SIGNATURE_USED", "used already, whether the request was carried out or not"),
    ):
        with pytest.raises(Refused, match=words) as refusal:
            use_once("unlucky", changes_something=True, here=here)
        assert refusal.value.code == code
