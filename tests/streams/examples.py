"""Settings that pass their own checks, for tests of records and streams."""

from apps.streams.messages import AssetSettings, MarketSettings

ASSET = AssetSettings(asset_id=7, code="BTC")
MARKET = MarketSettings(
    market_id=3,
    symbol="BTCUSDT",
    base_asset_id=7,
    quote_asset_id=8,
    settings_version=2,
    tick_size=1_000_000,
    lot_size=1_000,
    initial_price_ticks=5_000_000,
    min_price_ticks=1,
    max_price_ticks=100_000_000,
    min_lots=1,
    max_lots=10**9,
    market_max_lots=10**8,
    min_notional_units=500_000_000,
    max_notional_units=0,
    bid_down_bp=2_000,
    bid_up_bp=50_000,
    ask_down_bp=2_000,
    ask_up_bp=50_000,
    max_open_orders=200,
    fees=[(-100, 1_000), (0, 1_000)],
)
