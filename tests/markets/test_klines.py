"""Which bars a reader gets, and that empty ones are flat (clients.md section 4)."""

import pytest

from apps.markets.intervals import MINUTE_MS
from apps.markets.klines import fill, plan

FIRST = 1_000 * MINUTE_MS
NOW = FIRST + 10 * MINUTE_MS + 30_000


def minutes(*numbers: int) -> list[int]:
    return [FIRST + number * MINUTE_MS for number in numbers]


@pytest.mark.parametrize(
    ("start", "end", "limit", "expected"),
    [
        (None, None, 500, range(11)),
        (None, None, 3, (8, 9, 10)),
        (0, None, 1, (0,)),
        (0, None, 3, (0, 1, 2)),
        (FIRST + MINUTE_MS, None, 2, (1, 2)),
        (FIRST + MINUTE_MS + 1, None, 2, (2, 3)),
        (FIRST, FIRST + 2 * MINUTE_MS, 500, (0, 1, 2)),
        (FIRST, FIRST + 2 * MINUTE_MS - 1, 500, (0, 1)),
        (None, FIRST + 5 * MINUTE_MS, 2, (4, 5)),
        (FIRST + 9 * MINUTE_MS, None, 500, (9, 10)),
        (FIRST + 11 * MINUTE_MS, None, 500, ()),
        (None, FIRST - 1, 500, ()),
        (FIRST + 5 * MINUTE_MS, FIRST + 4 * MINUTE_MS, 500, ()),
        (None, None, 0, ()),
    ],
)
def test_plan(start: int | None, end: int | None, limit: int, expected: range) -> None:
    opens = plan("1m", first_open_ms=FIRST, now_ms=NOW, start_ms=start, end_ms=end, limit=limit)
    assert opens == minutes(*expected)


def test_a_market_that_never_traded_has_no_bars() -> None:
    assert plan("1m", first_open_ms=None, now_ms=NOW, start_ms=None, end_ms=None, limit=5) == []


def row(open_ms: int, price: int) -> tuple[int, ...]:
    return (open_ms, price, price + 2, price - 2, price + 1, 5, 50, 1, 0, 0, 1, 1, False)


def test_empty_bars_take_the_close_before_them() -> None:
    bars = fill(minutes(3, 4, 5, 6), [row(FIRST, 100), row(minutes(5)[0], 200)])
    assert [bar.open_ms for bar in bars] == minutes(3, 4, 5, 6)
    assert [(bar.open, bar.high, bar.low, bar.close) for bar in bars] == [
        (101, 101, 101, 101), (101, 101, 101, 101), (200, 202, 198, 201), (201, 201, 201, 201)
    ]  # fmt: skip
    assert [bar.trades for bar in bars] == [0, 0, 1, 0]
    assert [bar.last_trade_id for bar in bars] == [-1, -1, 1, -1]
