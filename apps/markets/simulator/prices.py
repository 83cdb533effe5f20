"""Fair prices of the demonstration's assets: a slow random walk in whole numbers, no model of anything real.

A price is in 10^-8 USDT for one whole asset. Every step moves all assets by a common part and each by a part of its
own; both are sums of small uniform integers, so close to a normal distribution. A market between two of them follows
their ratio.
"""

from random import Random
from typing import Final

from apps.common.amounts import ASSET_DECIMALS, PPM
from apps.markets import demo

NUMERAIRE: Final = "USDT"
ONE: Final = 10**ASSET_DECIMALS
# Reach of one uniform draw in ppm of the price; a move is the sum of four draws (standard deviation 1.15 reaches).
COMMON_REACH_PPM: Final = 90
OWN_REACH_PPM: Final = {"BTC": 110, "ETH": 160, "BNB": 140, "LTC": 200}
DRAWS: Final = 4
# Length of a step: two days of them move a price by some per cent.
STEP_MS: Final = 10_000
# The walk turns back softly when it is far from where it began, so that a market left running for weeks stays usable.
FAR_PPM: Final = 250_000


class FairPrices:
    """`units` are the prices now, by asset code, at first those of the markets' beginning where none are given."""

    def __init__(self, units: dict[str, int], random: Random) -> None:
        self.units = {NUMERAIRE: ONE, **initial_units(), **units}
        self._home = initial_units()
        self._random = random

    def step(self, *, backwards: bool = False) -> None:
        """Move on by STEP_MS, or to a plausible price STEP_MS earlier."""
        common = self._move(COMMON_REACH_PPM)
        for code, reach_ppm in OWN_REACH_PPM.items():
            move_ppm = common + self._move(reach_ppm) - self._pull_ppm(code)
            price = self.units[code]
            moved = price * PPM // (PPM + move_ppm) if backwards else price * (PPM + move_ppm) // PPM
            self.units[code] = max(moved, 1)

    def ticks(self, market: demo.DemoMarket, tick_size: int) -> int:
        """Fair price of a market in its ticks, rounded down, at least 1."""
        return max(self.units[market.base] * ONE // self.units[market.quote] // tick_size, 1)

    def _move(self, reach_ppm: int) -> int:
        return sum(self._random.randint(-reach_ppm, reach_ppm) for _ in range(DRAWS))

    def _pull_ppm(self, code: str) -> int:
        away_ppm = (self.units[code] - self._home[code]) * PPM // self._home[code]
        return away_ppm // 2_000 if abs(away_ppm) > FAR_PPM else 0


def initial_units() -> dict[str, int]:
    """Prices at which the demonstration begins: those of the markets against the numeraire."""
    return {
        market.base: market.terms().initial_price_ticks * market.terms().tick_size
        for market in demo.MARKETS
        if market.quote == NUMERAIRE
    }
