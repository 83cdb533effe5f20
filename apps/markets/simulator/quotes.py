"""What a market maker wants to have in the book, and the few commands that lead there; pure.

Prices lie on a grid, so that a small move of the fair price changes one order a side and not all of them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from apps.streams.kinds import Side

Quote = tuple[Side, int]  # side and price in ticks


@dataclass(frozen=True, slots=True)
class QuoteRule:
    """`grid_ticks` between levels, `levels` a side, the first one at least `gap_ticks` from the fair price.

    `phase_ticks` shifts the grid, so that two makers do not quote the same prices.
    """

    grid_ticks: int
    levels: int
    gap_ticks: int
    phase_ticks: int = 0

    def wanted(self, fair_ticks: int) -> list[Quote]:
        """Best price first, bids and asks in turn; prices below one tick are left out."""
        bid = self._on_grid(fair_ticks - self.gap_ticks)
        ask = -self._on_grid(-(fair_ticks + self.gap_ticks), -1)
        quotes: list[Quote] = []
        for level in range(self.levels):
            quotes.append((Side.BUY, bid - level * self.grid_ticks))
            quotes.append((Side.SELL, ask + level * self.grid_ticks))
        return [quote for quote in quotes if quote[1] > 0]

    def _on_grid(self, ticks: int, direction: int = 1) -> int:
        """The grid price at or below `ticks` (for the mirrored side, of the mirrored grid)."""
        phase = self.phase_ticks * direction
        return (ticks - phase) // self.grid_ticks * self.grid_ticks + phase


def crossing(fair_ticks: int, own: Iterable[Quote]) -> list[Quote]:
    """Own quotes on the wrong side of the fair price: they would be bought or sold at a loss."""
    return [(side, price) for side, price in own if (price >= fair_ticks if side == Side.BUY else price <= fair_ticks)]


def commands(wanted: Iterable[Quote], own: Mapping[Quote, object], limit: int) -> tuple[list[Quote], list[Quote]]:
    """(cancels, places), together at most `limit`: cancels first, then places in the order of `wanted`."""
    wanted = list(wanted)
    kept = set(wanted)
    cancels = [quote for quote in own if quote not in kept][:limit]
    places = [quote for quote in wanted if quote not in own][: limit - len(cancels)]
    return cancels, places
