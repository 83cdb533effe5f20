"""A deterministic stream of commands for a small exchange: settings, money, then orders and cancels by seed."""

import random
from collections.abc import Iterator

from apps.streams.codec import encode_command, encode_set_asset, encode_set_market
from apps.streams.commands import CancelAll, CancelOrder, Credit, PlaceOrder, SetMarketState, Tick
from apps.streams.kinds import Counterparty, MarketState, OrderKind, Side, Source, StpMode, TimeInForce
from apps.streams.messages import AssetSettings, MarketSettings

BTC, USDT = 1, 2
MARKET_ID = 1
ACCOUNTS = range(1001, 1009)
MARKET = MarketSettings(
    market_id=MARKET_ID,
    symbol="BTCUSDT",
    base_asset_id=BTC,
    quote_asset_id=USDT,
    settings_version=1,
    tick_size=1_000_000,
    lot_size=1_000,
    initial_price_ticks=5_000_000,
    min_price_ticks=1,
    max_price_ticks=100_000_000,
    min_lots=1,
    max_lots=10**9,
    market_max_lots=10**8,
    min_notional_units=0,
    max_notional_units=0,
    bid_down_bp=0,
    bid_up_bp=0,
    ask_down_bp=0,
    ask_up_bp=0,
    max_open_orders=0,
    fees=[(-100, 1_000)],
)


def opening() -> Iterator[bytes]:
    """Frame runs that make the exchange: two assets, one open market, funded accounts."""
    relay_seq = iter(range(1, 10_000))
    source = int(Source.OUTBOX)
    for asset_id, code in ((BTC, "BTC"), (USDT, "USDT")):
        yield encode_set_asset(AssetSettings(asset_id=asset_id, code=code), relay_seq=next(relay_seq), source=source)
    yield encode_set_market(MARKET, relay_seq=next(relay_seq), source=source)
    yield encode_command(
        SetMarketState(market_id=MARKET_ID, relay_seq=next(relay_seq), source=source, state=MarketState.OPEN, cause=0)
    )
    for account_id in ACCOUNTS:
        for asset_id, amount_units in ((BTC, 10**13), (USDT, 10**17)):
            yield encode_command(
                Credit(
                    relay_seq=next(relay_seq),
                    source=source,
                    counter=Counterparty.EXTERNAL,
                    account_id=account_id,
                    asset_id=asset_id,
                    amount_units=amount_units,
                    key=f"open:{account_id}:{asset_id}",
                )
            )


def order(
    number: int, *, account_id: int = 1001, side: Side = Side.BUY, price_ticks: int = 5_000_000, lots: int = 100
) -> bytes:
    return encode_command(
        PlaceOrder(
            market_id=MARKET_ID,
            account_id=account_id,
            settings_version=1,
            side=side,
            order_kind=OrderKind.LIMIT,
            time_in_force=TimeInForce.GTC,
            stp_mode=StpMode.EXPIRE_TAKER,
            price_ticks=price_ticks,
            quantity_lots=lots,
            client_id=f"c{number}",
        )
    )


def trading(count: int, seed: int) -> Iterator[bytes]:
    """`count` runs: limit orders around one price, cancels by client id, cancel-alls, ticks."""
    chosen = random.Random(seed)
    for number in range(count):
        account_id = chosen.choice(ACCOUNTS)
        draw = chosen.random()
        if draw < 0.75:
            yield order(
                number,
                account_id=account_id,
                side=chosen.choice(list(Side)),
                price_ticks=5_000_000 + chosen.randint(-50, 50),
                lots=chosen.randint(1, 1_000),
            )
        elif draw < 0.93:
            yield encode_command(
                CancelOrder(market_id=MARKET_ID, account_id=account_id, client_id=f"c{chosen.randint(0, number or 1)}")
            )
        elif draw < 0.94:
            yield encode_command(CancelAll(market_id=MARKET_ID, account_id=account_id))
        else:
            yield encode_command(Tick())
