"""Candle arithmetic against the calendar of the standard library."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.markets.intervals import INTERVALS, bar_close_ms, bar_open_ms, bar_opens, shifted_open_ms


def ms(text: str) -> int:
    return (datetime.fromisoformat(text).replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(
        milliseconds=1
    )


@pytest.mark.parametrize(
    ("interval", "time", "opens", "closes"),
    [
        ("1s", "2026-11-21T12:00:00.999", "2026-11-21T12:00:00", "2026-11-21T12:00:00.999"),
        ("1m", "2026-11-21T12:00:59.999", "2026-11-21T12:00", "2026-11-21T12:00:59.999"),
        ("3m", "2026-11-21T12:05", "2026-11-21T12:03", "2026-11-21T12:05:59.999"),
        ("8h", "2026-11-21T15:59", "2026-11-21T08:00", "2026-11-21T15:59:59.999"),
        ("1d", "2026-11-21T23:59:59.999", "2026-11-21", "2026-11-21T23:59:59.999"),
        # 2026-11-21 is day 20778 of the epoch, a multiple of 3.
        ("3d", "2026-11-23T12:00", "2026-11-21", "2026-11-23T23:59:59.999"),
        # A Saturday: its week began on Monday the 16th.
        ("1w", "2026-11-21T12:00", "2026-11-16", "2026-11-22T23:59:59.999"),
        ("1w", "2026-11-23T00:00", "2026-11-23", "2026-11-29T23:59:59.999"),
        ("1M", "2026-11-30T23:59:59.999", "2026-11-01", "2026-11-30T23:59:59.999"),
        ("1M", "2028-02-29T12:00", "2028-02-01", "2028-02-29T23:59:59.999"),
        ("1M", "2026-12-31T12:00", "2026-12-01", "2026-12-31T23:59:59.999"),
    ],
)
def test_bounds(interval: str, time: str, opens: str, closes: str) -> None:
    assert bar_open_ms(interval, ms(time)) == ms(opens)
    assert bar_close_ms(interval, ms(opens)) == ms(closes)


@given(st.sampled_from(INTERVALS), st.integers(0, 4_000_000_000_000), st.integers(-50, 50))
def test_bars_tile_time(interval: str, time_ms: int, bars: int) -> None:
    opens = bar_open_ms(interval, time_ms)
    assert opens <= time_ms <= bar_close_ms(interval, opens)
    assert bar_open_ms(interval, bar_close_ms(interval, opens)) == opens
    assert bar_open_ms(interval, bar_close_ms(interval, opens) + 1) == shifted_open_ms(interval, time_ms, 1)
    shifted = shifted_open_ms(interval, time_ms, bars)
    assert bar_open_ms(interval, shifted) == shifted
    assert shifted_open_ms(interval, shifted, -bars) == opens
    assert opens % 1000 == 0, "every bound is a bound of the one-second bars"


def test_bar_opens_over_a_year_of_months() -> None:
    opens = bar_opens("1M", ms("2026-11-21"), ms("2027-03-01"))
    assert opens == [ms(day) for day in ("2026-11-01", "2026-12-01", "2027-01-01", "2027-02-01", "2027-03-01")]
    assert bar_opens("1d", ms("2026-11-02"), ms("2026-11-01")) == []


def test_unknown_interval_is_refused() -> None:
    with pytest.raises(KeyError):
        bar_open_ms("7m", 0)
