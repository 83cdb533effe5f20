"""What all participants hear at once: the fair prices, moving smoothly from step to step."""

import asyncio
from collections.abc import Sequence

from apps.common.clock import now_ms
from apps.markets import demo
from apps.markets.simulator.market_view import ONE, MarketView
from apps.markets.simulator.prices import STEP_MS, FairPrices


class News:
    """Prices go from `_before` to `_after` within one step of the walk."""

    def __init__(self, prices: FairPrices, markets: Sequence[demo.DemoMarket]) -> None:
        self.markets = markets
        self._prices = prices
        self._before = dict(prices.units)
        self._after = dict(prices.units)
        self._since_ms = now_ms()

    async def run(self) -> None:
        while True:
            self.move()
            await asyncio.sleep(STEP_MS / 1000)

    def move(self) -> None:
        """Begin the next step."""
        self._before = dict(self._prices.units)
        self._prices.step()
        self._after = dict(self._prices.units)
        self._since_ms = now_ms()

    def units(self, code: str) -> int:
        """Fair price of one whole asset now, in 10^-8 of the numeraire."""
        gone_ms = min(now_ms() - self._since_ms, STEP_MS)
        before, after = self._before[code], self._after[code]
        return before + (after - before) * gone_ms // STEP_MS

    def fair_ticks(self, view: MarketView) -> int:
        """Fair price of a market in its ticks, at least 1."""
        return max(self.units(view.listing.base) * ONE // self.units(view.listing.quote) // view.tick_size, 1)

    def in_quote(self, view: MarketView, numeraire_units: int) -> int:
        """An amount of the numeraire in units of the market's quote asset."""
        return numeraire_units * ONE // self.units(view.listing.quote)
