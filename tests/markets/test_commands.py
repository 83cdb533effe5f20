"""`manage.py market` and `manage.py demo_data`."""

from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from apps.markets import demo
from apps.markets.intervals import DAY_MS, INTERVALS, bar_open_ms
from apps.markets.management.commands import market as market_command
from apps.markets.models import Asset, Candle, Market, MarketSettingsChange, MarketStateChange
from apps.markets.selectors import klines
from apps.markets.services import states
from apps.outbox.models import OutboxRow, OutboxState
from apps.streams.kinds import MarketState, Reason
from apps.streams.messages import SCALE


def run(*arguments: str) -> str:
    out = StringIO()
    call_command(*arguments, stdout=out)
    return out.getvalue()


def rows() -> list[Any]:
    models = (Asset, Market, MarketSettingsChange, MarketStateChange, OutboxRow, Candle)
    return [list(model.objects.order_by("pk").values()) for model in models]


@pytest.fixture
def answered_by_the_engine(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The outbox row of a state change is settled as soon as it is written."""

    def answer(state: OutboxState, reason: Reason) -> None:
        real = states.outbox.enqueue

        def enqueue(**arguments: Any) -> OutboxRow:
            row = real(**arguments)
            OutboxRow.objects.filter(pk=row.pk).update(
                state=state, reason=reason, event_seq=77, relay_seq=9, settled_at="2026-11-21T00:00Z"
            )
            return row

        monkeypatch.setattr(states.outbox, "enqueue", enqueue)

    return answer


def test_market_says_when_the_engine_has_done_it(btcusdt: Market, answered_by_the_engine: Any) -> None:
    answered_by_the_engine(OutboxState.DONE, Reason.NONE)
    assert run("market", "BTCUSDT", "halt", "--reason", "drill") == "BTCUSDT: Halted since event 77.\n"
    change = MarketStateChange.objects.get()
    assert (change.state, change.reason) == (MarketState.HALTED, "drill")
    assert change.requested_by.startswith("command line: ")


def test_market_says_why_the_engine_refused(btcusdt: Market, answered_by_the_engine: Any) -> None:
    answered_by_the_engine(OutboxState.REFUSED, Reason.UNKNOWN_MARKET)
    with pytest.raises(CommandError, match="refused: UNKNOWN_MARKET"):
        run("market", "BTCUSDT", "open", "--reason", "drill")


def test_market_says_that_it_is_queued(btcusdt: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(market_command, "STATE_WAIT_S", 0)
    assert "Cancel-only is queued" in run("market", "BTCUSDT", "cancel-only", "--reason", "drill")
    assert MarketStateChange.objects.get().state == MarketState.CANCEL_ONLY


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("NOPE", "halt", "--reason", "x"), "no market NOPE"),
        (("BTCUSDT", "halt", "--reason", " "), "Give a reason"),
        (("BTCUSDT", "halt"), "--reason"),
        (("BTCUSDT", "explode", "--reason", "x"), "invalid choice"),
    ],
)
def test_market_refuses_and_changes_nothing(btcusdt: Market, arguments: tuple[str, ...], message: str) -> None:
    before = rows()
    with pytest.raises(CommandError, match=message):
        run("market", *arguments)
    assert rows() == before


@pytest.mark.parametrize("market", demo.MARKETS, ids=lambda market: market.symbol)
def test_demo_terms_are_exact(market: demo.DemoMarket) -> None:
    terms = market.terms()
    assert terms.tick_size * terms.lot_size % SCALE == 0
    assert terms.initial_price_ticks * terms.tick_size == demo.parse_decimal(market.initial_price)
    assert terms.max_lots * terms.lot_size == demo.parse_decimal(market.max_quantity)


@pytest.mark.django_db
def test_demo_data_is_made_once_with_a_consistent_history(settings: Any) -> None:
    settings.SIMULATOR = True
    first = run("demo_data")
    assert first.startswith("demo data: 5 markets made, 0 found, ")
    assert list(Asset.objects.values_list("code", flat=True)) == ["BTC", "ETH", "BNB", "LTC", "USDT", "USDC"]
    assert [market.symbol for market in Market.objects.all()] == [
        "BTCUSDT", "ETHUSDT", "ETHBTC", "BNBUSDT", "LTCUSDT"
    ]  # fmt: skip
    assert MarketStateChange.objects.filter(state=MarketState.OPEN).count() == 5
    assert OutboxRow.objects.count() == 6 + 5 + 5
    before = rows()
    assert run("demo_data") == "demo data: 0 markets made, 5 found, 0 simulated candles.\n"
    assert rows() == before
    check_history()


@pytest.mark.django_db
def test_without_the_simulator_there_is_no_history(settings: Any) -> None:
    settings.SIMULATOR = False
    assert run("demo_data") == "demo data: 5 markets made, 0 found, 0 simulated candles.\n"
    assert not Candle.objects.exists()


def check_history() -> None:
    """Marked as simulated, of every interval, each the sum of its minutes, and live trading goes on where it ends."""
    for market in Market.objects.all():
        candles = Candle.objects.filter(market_id=market.id)
        assert set(candles.values_list("interval", flat=True)) == set(INTERVALS) - {"1s"}
        assert not candles.filter(simulated=False).exists()
        minutes = list(candles.filter(interval="1m").order_by("open_ms"))
        assert 2 * DAY_MS - 60_000 <= minutes[-1].open_ms - minutes[0].open_ms <= 2 * DAY_MS
        for candle in candles:
            assert candle.open_ms == bar_open_ms(candle.interval, candle.open_ms)
            assert candle.low_ticks <= min(candle.open_ticks, candle.close_ticks)
            assert candle.high_ticks >= max(candle.open_ticks, candle.close_ticks)
            assert 0 <= candle.taker_base_lots <= candle.volume_lots
        for interval in set(INTERVALS) - {"1s", "1m"}:
            total = sum(candle.volume_lots for candle in candles.filter(interval=interval))
            assert total == sum(candle.volume_lots for candle in minutes), interval
        assert minutes[-1].close_ticks == market.initial_price_ticks, "live trading goes on where the history ends"
        # To where the history ends: the clock's hour may be another one by now.
        bars = klines(market.id, "1h", end_ms=minutes[-1].open_ms, limit=500)
        assert len(bars) == len(candles.filter(interval="1h"))


@pytest.mark.django_db
def test_production_refuses_demo_data(settings: Any) -> None:
    settings.ENVIRONMENT = "production"
    before = rows()
    with pytest.raises(CommandError, match="production refuses it"):
        run("demo_data")
    assert rows() == before
