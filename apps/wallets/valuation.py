"""What amounts are worth in another asset, by last prices: for reading only, nothing is ever decided or booked by it.

Rates are exact fractions along the fewest markets between two assets, either way through each; where there are several
ways as short, the markets with the lowest ids. A value is rounded down to a unit.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Final

from apps.common.amounts import ASSET_DECIMALS
from apps.markets.models import Market

_UNIT: Final = 10**ASSET_DECIMALS
# A way through more markets says too little.
STEPS_MAX: Final = 3


def rates_in(asset_id: int, markets: Sequence[Market], prices_ticks: Mapping[int, int]) -> dict[int, Fraction]:
    """By asset, what one unit of it is worth in units of `asset_id`. Without the assets that no price leads to.

    `prices_ticks` are last prices by market id; markets without one are no way.
    """
    ways: dict[int, list[tuple[int, Fraction]]] = {}
    for market in sorted(markets, key=lambda each: each.pk):
        if ticks := prices_ticks.get(market.pk):
            price = Fraction(ticks * market.tick_size, _UNIT)
            ways.setdefault(market.quote_asset_id, []).append((market.base_asset_id, price))
            ways.setdefault(market.base_asset_id, []).append((market.quote_asset_id, 1 / price))
    rates, steps, waiting = {asset_id: Fraction(1)}, {asset_id: 0}, deque([asset_id])
    while waiting:
        known = waiting.popleft()
        if steps[known] == STEPS_MAX:
            continue
        for other, price in ways.get(known, ()):
            if other not in rates:
                rates[other], steps[other] = price * rates[known], steps[known] + 1
                waiting.append(other)
    return rates


def value_units(units: int, rate: Fraction) -> int:
    """Rounded down, so that a sum of values never says more than there is."""
    return units * rate.numerator // rate.denominator
