"""Markets as the tests of this app use them."""

import pytest
from pytest_django import Settings

from apps.markets.models import Market
from apps.markets.services import MarketTerms, create_asset, create_market

NO_EDGE = "unix:///nowhere.sock"
TERMS = MarketTerms(
    tick_size=1_000_000,
    lot_size=1_000,
    initial_price_ticks=5_000_000,
    min_price_ticks=1,
    max_price_ticks=10**12,
    min_lots=1,
    max_lots=10**9,
    market_max_lots=10**8,
    min_notional_units=500_000_000,
    fees=[(1_000, 1_000)],
)


@pytest.fixture(autouse=True)
def staff_pages_do_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """No engine answers here, unless a test says what it does."""
    monkeypatch.setattr("apps.outbox.admin.ANSWER_WAIT_S", 0)


@pytest.fixture(autouse=True)
def market_data_is_silent(settings: Settings) -> None:
    """The exchange of another test of this process may tell on its redis-edge of markets with the same numbers."""
    settings.REDIS_EDGE_URL = NO_EDGE


@pytest.fixture
def btcusdt(db: None) -> Market:
    """BTC, USDT and their market as just created: the outbox holds three commands."""
    create_asset(code="BTC", name="Bitcoin")
    create_asset(code="USDT", name="Tether")
    return create_market(base="BTC", quote="USDT", terms=TERMS, reason="listing", requested_by="test")
