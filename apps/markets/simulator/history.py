"""Two days of candles before the first trade, made by the simulator's price process and marked `simulated`.

The walk is drawn backwards from the initial prices, so that live trading goes on where the history ends.
"""

from random import Random
from typing import Final

from django.db import connection, transaction

from apps.markets import demo
from apps.markets.intervals import DAY_MS, MINUTE_MS, SECOND_MS
from apps.markets.marketdata.bars import Bar
from apps.markets.marketdata.candlewriter import SecondBars
from apps.markets.models import Candle, Market
from apps.markets.simulator.prices import STEP_MS, FairPrices

HISTORY_MS: Final = 2 * DAY_MS
SEED: Final = 20_261_121
# Simulated prices are collected by the minute, so there are no bars of a second.
LEFT_OUT: Final = "1s"
TRADES_MAX: Final = 6
# Mean size of a simulated trade, in 10^-8 of the numeraire.
TRADE_UNITS: Final = 400 * 10**8
# Tens of thousands of rows: a COPY takes a tenth of the time of inserts.
COPY: Final = (
    "COPY markets_candle (market_id, interval, open_ms, open_ticks, high_ticks, low_ticks, close_ticks, volume_lots,"
    " quote_units, trades, taker_base_lots, taker_quote_units, first_trade_id, last_trade_id, simulated) FROM STDIN"
)


@transaction.atomic
def write_history(*, until_ms: int) -> int:
    """Candles of the two days before `until_ms` for demo markets that have none yet; returns how many were written."""
    empty = {
        market.symbol: market
        for market in Market.objects.filter(symbol__in=[market.symbol for market in demo.MARKETS])
        if not Candle.objects.filter(market_id=market.id).exists()
    }
    if not empty:
        return 0
    written = 0
    with connection.cursor() as cursor, cursor.copy(COPY) as copy:
        for market_id, interval, bar in simulated_bars(empty, until_ms=until_ms):
            copy.write_row(
                (
                    market_id, interval, bar.open_ms, bar.open, bar.high, bar.low, bar.close, bar.volume_lots,
                    bar.quote_units, bar.trades, bar.taker_base_lots, bar.taker_quote_units, bar.first_trade_id,
                    bar.last_trade_id, True,
                )
            )  # fmt: skip
            written += 1
    return written


def simulated_bars(markets: dict[str, Market], *, until_ms: int) -> list[tuple[int, str, Bar]]:
    """(market_id, interval, bar) for each market by symbol; the same for the same `until_ms`."""
    draw = Random(SEED)  # noqa: S311  # nosec B311 # no secret depends on it
    prices = FairPrices({}, draw)
    steps = HISTORY_MS // STEP_MS
    path: list[dict[str, int]] = []
    listed = [
        (market, row, row.settings().unit_factor)
        for market in demo.MARKETS
        if (row := markets.get(market.symbol)) is not None
    ]
    for _ in range(steps):
        path.append({row.symbol: prices.ticks(market, row.tick_size) for market, row, _ in listed})
        prices.step(backwards=True)
    collected = SecondBars()
    first_ms = until_ms - until_ms % SECOND_MS - steps * STEP_MS
    before = path[-1]
    for number, step in enumerate(reversed(path)):
        time_ms = first_ms + number * STEP_MS
        minute_ms = time_ms - time_ms % MINUTE_MS
        for market, row, unit_factor in listed:
            quote_price_units = prices.units[market.quote]
            symbol = row.symbol
            collected.add(row.id, _bar(minute_ms, unit_factor, quote_price_units, before[symbol], step[symbol], draw))
        before = step
    return [found for found in collected.rows() if found[1] != LEFT_OUT]


def _bar(
    open_ms: int, unit_factor: int, quote_price_units: int, open_ticks: int, close_ticks: int, draw: Random
) -> Bar:
    """Some simulated trades on the way from one price to the next."""
    trades = draw.randint(0, TRADES_MAX) + 1
    notional_units = TRADE_UNITS * 10**8 // quote_price_units * trades
    lots = max(notional_units * draw.randint(20, 180) // 100 // (close_ticks * unit_factor), 1)
    taken = lots * draw.randint(20, 80) // 100
    reach = max(abs(close_ticks - open_ticks) // 3, 1)
    return Bar(
        open_ms=open_ms,
        open=open_ticks,
        high=max(open_ticks, close_ticks) + draw.randint(0, reach),
        low=max(min(open_ticks, close_ticks) - draw.randint(0, reach), 1),
        close=close_ticks,
        volume_lots=lots,
        quote_units=lots * close_ticks * unit_factor,
        trades=trades,
        taker_base_lots=taken,
        taker_quote_units=taken * close_ticks * unit_factor,
        simulated=True,
    )
