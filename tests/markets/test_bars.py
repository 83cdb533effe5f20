"""Bars, the 24-hour window and the live bars against straightforward sums over all prints."""

from dataclasses import dataclass
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.markets.intervals import DAY_MS, INTERVALS, MINUTE_MS, bar_open_ms
from apps.markets.liveintervals import LIVE, SAME_IN_ZONE, ZONE_OFFSET_MS, ZONED, live_close_ms, live_open_ms
from apps.markets.marketdata.bars import Bar, flat_bar, trade_bar
from apps.markets.marketdata.candlewriter import SecondBars
from apps.markets.marketdata.livebars import CLOSE_GRACE_MS, LiveBars
from apps.markets.marketdata.ticker import WINDOWS, Ticker, window_start_ms

START_MS = 1_795_000_000_000


@dataclass(frozen=True)
class Print:
    trade_id: int
    price: int
    lots: int
    time_ms: int
    buyer: bool

    def bar(self) -> Bar:
        return trade_bar(
            trade_id=self.trade_id,
            price_ticks=self.price,
            lots=self.lots,
            quote_units=self.price * self.lots * 10,
            time_ms=self.time_ms,
            taker_is_buyer=self.buyer,
        )


def summed(prints: list[Print], open_ms: int) -> Bar:
    prices = [print_.price for print_ in prints]
    taken = [print_ for print_ in prints if print_.buyer]
    return Bar(
        open_ms, prices[0], max(prices), min(prices), prices[-1],
        sum(print_.lots for print_ in prints), sum(print_.price * print_.lots * 10 for print_ in prints), len(prints),
        sum(print_.lots for print_ in taken), sum(print_.price * print_.lots * 10 for print_ in taken),
        prints[0].trade_id, prints[-1].trade_id,
    )  # fmt: skip


@st.composite
def tapes(draw: st.DrawFn) -> list[Print]:
    steps = draw(st.lists(st.sampled_from([0, 1, 400, 999, 5_000, 61_000, 3_700_000, 40 * 3_600_000]), max_size=60))
    time_ms, prints = START_MS + draw(st.integers(0, 7 * DAY_MS)), []
    for number, step in enumerate(steps, start=1):
        time_ms += step
        prints.append(Print(number, draw(st.integers(1, 50)), draw(st.integers(1, 9)), time_ms, draw(st.booleans())))
    return prints


@given(tapes())
def test_folded_bars_are_sums_of_their_prints(tape: list[Print]) -> None:
    collected = SecondBars()
    for print_ in tape:
        collected.add(7, print_.bar())
    found = {(interval, bar.open_ms): bar for _, interval, bar in collected.rows()}
    expected: dict[tuple[str, int], list[Print]] = {}
    for print_ in tape:
        for interval in INTERVALS:
            expected.setdefault((interval, bar_open_ms(interval, print_.time_ms)), []).append(print_)
    assert found == {key: summed(prints, key[1]) for key, prints in expected.items()}


@given(tapes(), st.integers(0, 2 * DAY_MS))
def test_ticker_window_is_the_sum_of_its_minutes(tape: list[Print], later_ms: int) -> None:
    ticker = Ticker()
    for print_ in tape:
        ticker.add(print_.bar())
        ticker.window(print_.time_ms)
    now_ms = (tape[-1].time_ms if tape else START_MS) + later_ms
    start_ms = window_start_ms(now_ms)
    inside = [print_ for print_ in tape if print_.time_ms >= start_ms]
    before = [print_ for print_ in tape if print_.time_ms < start_ms]
    last_before = before[-1].price if before else 0
    assert ticker.window(now_ms) == (summed(inside, start_ms) if inside else flat_bar(start_ms, last_before))
    record = ticker.record(7, now_ms, bid=(1, 2), ask=(3, 4))
    assert record["x"] == (last_before or (inside[0].price if inside else 0))
    assert record["Q"] == (tape[-1].lots if tape else 0)
    assert start_ms % MINUTE_MS == 0
    assert DAY_MS - MINUTE_MS <= now_ms - start_ms < DAY_MS


@given(tapes(), st.sampled_from(sorted(WINDOWS)))
def test_other_windows_begin_with_a_minute_up_to_a_minute_early(tape: list[Print], window: str) -> None:
    minutes = WINDOWS[window]
    ticker = Ticker(closed_minutes=minutes)
    for print_ in tape:
        ticker.add(print_.bar())
    now_ms = tape[-1].time_ms if tape else START_MS
    record = ticker.window_record(7, window, now_ms)
    assert (record["t"], record["w"], record["O"] % MINUTE_MS) == ("window", window, 0)
    assert minutes * MINUTE_MS <= now_ms - record["O"] < (minutes + 1) * MINUTE_MS
    inside = [print_ for print_ in tape if print_.time_ms >= record["O"]]
    assert (record["n"], record["v"]) == (len(inside), sum(print_.lots for print_ in inside))


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp()) * 1000


@pytest.mark.parametrize(
    ("name", "opens", "ends"),
    [
        ("6h", "2026-11-22T12:00:00+00:00", "2026-11-22T18:00:00+00:00"),
        ("6h@+08:00", "2026-11-22T16:00:00+00:00", "2026-11-22T22:00:00+00:00"),
        ("1d", "2026-11-22T00:00:00+00:00", "2026-11-23T00:00:00+00:00"),
        ("1d@+08:00", "2026-11-23T00:00:00+08:00", "2026-11-24T00:00:00+08:00"),
        ("1w@+08:00", "2026-11-23T00:00:00+08:00", "2026-11-30T00:00:00+08:00"),
        ("1M@+08:00", "2026-11-01T00:00:00+08:00", "2026-12-01T00:00:00+08:00"),
    ],
)
def test_bars_at_utc_plus_8(name: str, opens: str, ends: str) -> None:
    """A Sunday evening in UTC, which is Monday there."""
    open_ms = live_open_ms(name, ms("2026-11-22T17:30:00+00:00"))
    assert (open_ms, live_close_ms(name, open_ms)) == (ms(opens), ms(ends) - 1)


def test_which_bars_differ_at_utc_plus_8() -> None:
    assert tuple(f"{name}@+08:00" for name in ("6h", "12h", "1d", "3d", "1w", "1M")) == ZONED
    for name in SAME_IN_ZONE:
        assert bar_open_ms(name, START_MS + ZONE_OFFSET_MS) - ZONE_OFFSET_MS == bar_open_ms(name, START_MS)


@given(tapes())
def test_live_bars_agree_with_the_written_ones(tape: list[Print]) -> None:
    live, collected = LiveBars(7), SecondBars()
    closed = []
    for print_ in tape:
        closed += live.add(print_.bar())
        collected.add(7, print_.bar())
        closed += [record for record in live.tick(print_.time_ms) if record["x"]]
    written = {(interval, bar.open_ms): bar for _, interval, bar in collected.rows()}
    for interval in INTERVALS if tape else ():
        bar = live.current[interval]
        assert bar == written[interval, bar.open_ms]
    for name in ZONED if tape else ():
        bar = live.current[name]
        inside = [print_ for print_ in tape if live_open_ms(name, print_.time_ms) == bar.open_ms]
        assert bar == summed(inside, bar.open_ms)
    for record in closed:
        bar = written.get((record["i"], record["o"]))
        if bar is not None:
            assert record["p"] == [bar.open, bar.high, bar.low, bar.close]
            assert (record["v"], record["q"], record["n"]) == (bar.volume_lots, bar.quote_units, bar.trades)


def bar_at(trade_id: int, price: int, time_ms: int) -> Bar:
    return Print(trade_id, price, 1, time_ms, True).bar()


def test_a_bar_closes_once_and_an_empty_one_follows() -> None:
    live = LiveBars(7)
    minute = START_MS - START_MS % MINUTE_MS
    live.add(bar_at(1, 100, minute + 500))
    first = {record["i"]: record for record in live.tick(minute + 900)}
    assert set(first) == set(LIVE)
    assert not any(record["x"] for record in first.values())
    assert live.tick(minute + 999 + CLOSE_GRACE_MS) == []
    closed, opened = live.tick(minute + 1_000 + CLOSE_GRACE_MS)
    assert (closed["i"], closed["x"], closed["o"], closed["c"], closed["n"]) == ("1s", True, minute, minute + 999, 1)
    assert (opened["i"], opened["x"], opened["o"], opened["n"]) == ("1s", False, minute + 1_000, 0)
    assert opened["p"] == [100, 100, 100, 100]
    assert (opened["f"], opened["l"]) == (-1, -1)


def test_a_late_print_is_told_with_the_closed_bar_again() -> None:
    live = LiveBars(7)
    minute = START_MS - START_MS % MINUTE_MS
    live.add(bar_at(1, 100, minute + 500))
    live.tick(minute + 1_000 + CLOSE_GRACE_MS + 1)
    live.add(bar_at(2, 90, minute + 999))
    news = live.tick(minute + 1_000 + CLOSE_GRACE_MS + 2)
    late = next(record for record in news if record["i"] == "1s" and record["x"])
    assert (late["o"], late["n"], late["p"]) == (minute, 2, [100, 100, 90, 90])
    assert live.current["1s"] == flat_bar(minute + 1_000, 90)
    assert live.current["1m"].trades == 2
