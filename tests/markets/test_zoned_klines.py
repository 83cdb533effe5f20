"""Bars of another time zone are those that the trades make by its clock."""

import random

import pytest
from django.db import connection

from apps.markets.intervals import DAY_MS, FIXED_MS, HOUR_MS, INTERVALS, MINUTE_MS, bar_open_ms
from apps.markets.klines import COLUMNS, fill
from apps.markets.marketdata.bars import Bar, fold, trade_bar
from apps.markets.models import Candle
from apps.markets.zonedklines import CLOSE_BEFORE, SUMS, close_ms, join, plan_opens, source

# 2026-10-20: a Tuesday; the bars below cross the end of a month.
FIRST = 1_792_454_400_000
DAYS = 16
OFFSETS = (8 * HOUR_MS, -HOUR_MS, 5 * HOUR_MS + 45 * MINUTE_MS, -12 * HOUR_MS, 14 * HOUR_MS, 7 * MINUTE_MS)


@pytest.mark.parametrize(
    ("interval", "offset_ms", "expected"),
    [
        ("1d", 0, "1d"), ("1M", 0, "1M"), ("1w", 0, "1w"), ("1m", 7 * MINUTE_MS, "1m"), ("1h", 8 * HOUR_MS, "1h"),
        ("4h", 8 * HOUR_MS, "4h"), ("6h", 8 * HOUR_MS, "2h"), ("1d", 8 * HOUR_MS, "8h"), ("1w", -HOUR_MS, "1h"),
        ("1M", 5 * HOUR_MS + 45 * MINUTE_MS, "15m"), ("1d", 5 * HOUR_MS + 30 * MINUTE_MS, "30m"),
        ("3d", -12 * HOUR_MS, "12h"), ("1h", 7 * MINUTE_MS, "1m"), ("3m", 7 * MINUTE_MS, "1m"),
    ],
)  # fmt: skip
def test_what_bars_are_made_of(interval: str, offset_ms: int, expected: str) -> None:
    assert source(interval, offset_ms) == expected


def trades(rng: random.Random) -> list[Bar]:
    """One-second bars of single trades, with hours in which nothing traded."""
    found, time_ms = [], FIRST
    for trade_id in range(1, 400):
        time_ms += rng.choice((900, 61_000, 3_700_000, 20 * HOUR_MS)) if trade_id % 7 == 0 else rng.randrange(900_000)
        if time_ms >= FIRST + DAYS * DAY_MS:
            break
        price, lots = rng.randint(90, 110), rng.randint(1, 9)
        found.append(
            trade_bar(
                trade_id=trade_id, price_ticks=price, lots=lots, quote_units=price * lots, time_ms=time_ms,
                taker_is_buyer=rng.random() < 0.5,
            )
        )  # fmt: skip
    return found


def shifted(second: Bar, by_ms: int) -> Bar:
    return second.starting_at(second.open_ms + by_ms)


@pytest.mark.django_db
def test_bars_of_a_zone_are_those_of_its_clock() -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    seconds = trades(random.Random(seed))
    stored: dict[tuple[str, int], Bar] = {}
    for second in seconds:
        fold(second.starting_at(second.open_ms), stored)
    Candle.objects.bulk_create(
        Candle(market_id=1, interval=interval, **{name: getattr(bar, _field(name)) for name in COLUMNS})
        for (interval, _), bar in stored.items()
    )
    now_ms = seconds[-1].open_ms + 100
    middle_ms = (FIRST + now_ms) // 2
    for offset_ms in OFFSETS:
        local: dict[tuple[str, int], Bar] = {}
        for second in seconds:
            fold(shifted(second, offset_ms), local)
        for interval in ("15m", "1h", "6h", "1d", "3d", "1w", "1M"):
            part = source(interval, offset_ms)
            if part == interval:
                assert offset_ms % FIXED_MS[interval] == 0
                continue
            first = min(open_ms for name, open_ms in stored if name == part)
            for start_ms, end_ms, limit in ((None, None, 1000), (middle_ms, None, 5), (None, now_ms, 3)):
                opens = plan_opens(
                    interval, offset_ms, first_open_ms=first, now_ms=now_ms, start_ms=start_ms, end_ms=end_ms,
                    limit=limit,
                )  # fmt: skip
                # Where no bar of this length begins in the second half, there is none to ask for.
                assert opens or start_ms is not None
                if not opens:
                    continue
                assert len(opens) <= limit
                found = read(interval, part, offset_ms, opens, live_from_ms=now_ms - 40 * HOUR_MS, stored=stored)
                expected = fill(
                    [open_ms + offset_ms for open_ms in opens],
                    [
                        tuple(getattr(bar, _field(name)) for name in COLUMNS)
                        for (name_of, _), bar in sorted(local.items())
                        if name_of == interval
                    ],
                )
                assert found == [bar.starting_at(bar.open_ms - offset_ms) for bar in expected], (interval, offset_ms)


def _field(column: str) -> str:
    return column.removesuffix("_ticks") if column.endswith("_ticks") else column


def read(
    interval: str, part: str, offset_ms: int, opens: list[int], *, live_from_ms: int,
    stored: dict[tuple[str, int], Bar],
) -> list[Bar]:  # fmt: skip
    """As a reader does it: the newest source bars from memory, the others added up by PostgreSQL."""
    until_ms = close_ms(interval, offset_ms, opens[-1]) + 1
    live = [
        stored[key].starting_at(key[1]) for key in sorted(stored)
        if key[0] == part and max(live_from_ms, opens[0]) <= key[1] < until_ms
    ]  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(SUMS, (opens, 1, part, opens[0], live[0].open_ms if live else until_ms))
        sums = cursor.fetchall()
        cursor.execute(CLOSE_BEFORE, (1, part, opens[0]))
        before = cursor.fetchone()
    return join(opens, sums, live, before[0] if before else None)


def test_planning_is_by_local_time() -> None:
    eight = 8 * HOUR_MS
    opens = plan_opens("1d", eight, first_open_ms=FIRST, now_ms=FIRST + DAY_MS, start_ms=None, end_ms=None, limit=10)
    # Midnight in the zone is 16:00 UTC of the day before.
    assert opens == [FIRST - eight, FIRST - eight + DAY_MS]
    assert close_ms("1d", eight, opens[0]) == opens[1] - 1
    assert bar_open_ms("1d", opens[0] + eight) == opens[0] + eight
    # startTime and endTime are UTC.
    assert plan_opens(
        "1d", eight, first_open_ms=FIRST, now_ms=FIRST + 9 * DAY_MS, start_ms=FIRST, end_ms=FIRST + DAY_MS, limit=10
    ) == [FIRST - eight + DAY_MS]
    assert plan_opens("1d", eight, first_open_ms=None, now_ms=FIRST, start_ms=None, end_ms=None, limit=10) == []


def test_every_interval_has_a_source_in_every_zone() -> None:
    for minutes in range(-12 * 60, 14 * 60 + 1):
        for interval in INTERVALS:
            assert source(interval, minutes * MINUTE_MS) in INTERVALS
