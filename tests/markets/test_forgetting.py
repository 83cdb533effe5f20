"""Candles of one second go when they are old; what is read of the seconds after them stays as it was."""

from typing import Any

import pytest

from apps.common.clock import now_ms
from apps.markets.intervals import DAY_MS
from apps.markets.models import Candle, Market
from apps.markets.selectors import klines
from apps.markets.services import create_market, forgetting
from tests.markets.conftest import TERMS

KEEP_DAYS = 3
# Half a day before now: no candle is near the end of what is kept.
START_MS = now_ms() // 1_000 * 1_000 - DAY_MS // 2


def candles(market: Market, interval: str, **prices: int) -> None:
    """`d5=100`: a bar at 100 ticks that began five days ago."""
    for name, ticks in prices.items():
        Candle.objects.create(
            market=market, interval=interval, open_ms=began(int(name[1:])), open_ticks=ticks, high_ticks=ticks,
            low_ticks=ticks, close_ticks=ticks, volume_lots=1, quote_units=1, trades=1, taker_base_lots=0,
            taker_quote_units=0, first_trade_id=1, last_trade_id=1,
        )  # fmt: skip


def began(days_ago: int) -> int:
    return START_MS - days_ago * DAY_MS


def left(market: Market, interval: str) -> list[int]:
    """Prices, oldest first."""
    of_market = Candle.objects.filter(market=market, interval=interval)
    return list(of_market.order_by("open_ms").values_list("close_ticks", flat=True))


@pytest.fixture
def two(btcusdt: Market, settings: Any, monkeypatch: pytest.MonkeyPatch) -> tuple[Market, Market]:
    """One that trades and one that has not for long; two candles go in one transaction."""
    settings.SECOND_CANDLES_KEEP_DAYS = KEEP_DAYS
    monkeypatch.setattr(forgetting, "CANDLES_AT_ONCE", 2)
    quiet = create_market(base="USDT", quote="BTC", terms=TERMS, reason="listing", requested_by="test")
    candles(btcusdt, "1s", d9=90, d8=80, d7=70, d6=60, d5=50, d2=20, d1=10)
    candles(btcusdt, "1m", d9=90, d1=10)
    candles(quiet, "1s", d9=91, d8=81)
    return btcusdt, quiet


def test_old_ones_go_and_the_seconds_after_them_read_as_before(two: tuple[Market, Market]) -> None:
    market, quiet = two
    window = {"start_ms": began(KEEP_DAYS - 1) - 5_000, "limit": 10}
    before = [klines(each.id, "1s", **window) for each in two]
    assert [bar.close for bar in before[0]] == [50] * 5 + [20] * 5
    assert [bar.close for bar in before[1]] == [81] * 10
    assert forgetting.forget_second_candles() == 5
    assert (left(market, "1s"), left(quiet, "1s"), left(market, "1m")) == ([50, 20, 10], [81], [90, 10])
    assert [klines(each.id, "1s", **window) for each in two] == before
    assert klines(market.id, "1s", start_ms=0, limit=1)[0].open_ms == began(5)
    assert forgetting.forget_second_candles() == 0


def test_without_a_number_of_days_all_stay(two: tuple[Market, Market], settings: Any) -> None:
    settings.SECOND_CANDLES_KEEP_DAYS = 0
    assert forgetting.forget_second_candles() == 0
    assert len(left(two[0], "1s")) == 7
