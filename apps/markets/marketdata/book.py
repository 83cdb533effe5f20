"""One market's book as price levels, and the two chains of depth messages about it.

Layout: `Side` maps price_ticks to displayed lots and knows its best price. Events carry the level's total after them,
so a level is set, never added to.
"""

from dataclasses import dataclass, field
from typing import Final

from sortedcontainers import SortedDict

from apps.markets.marketdata import wire
from apps.streams.kinds import Side

NOTHING: Final = (0, 0)


class BookSide:
    """Levels of one side. set_level is O(log n), best O(1)."""

    __slots__ = ("_best_index", "levels")

    def __init__(self, side: Side) -> None:
        self.levels: SortedDict = SortedDict()
        self._best_index = -1 if side == Side.BUY else 0

    def set_level(self, price_ticks: int, lots: int) -> None:
        if lots:
            self.levels[price_ticks] = lots
        else:
            self.levels.pop(price_ticks, None)

    def best(self) -> tuple[int, int]:
        """(price_ticks, lots), (0, 0) where the side is empty."""
        return self.levels.peekitem(self._best_index) if self.levels else NOTHING

    def best_first(self) -> wire.Levels:
        """All levels, best price first."""
        items = list(self.levels.items())
        return items[::-1] if self._best_index else items


class Book:
    """Both sides and the event seq they are at; remembers which levels each chain has still to look at."""

    def __init__(self, seq: int = 0) -> None:
        self.seq = seq
        self.sides = {Side.BUY: BookSide(Side.BUY), Side.SELL: BookSide(Side.SELL)}
        self.published_top: tuple[tuple[int, int], tuple[int, int]] = (NOTHING, NOTHING)
        self.chains = {"depth": DepthChain("depth"), "depth1s": DepthChain("depth1s")}

    def set_level(self, side: Side, price_ticks: int, lots: int) -> None:
        self.sides[side].set_level(price_ticks, lots)
        for chain in self.chains.values():
            chain.touched[side].add(price_ticks)

    def top(self) -> tuple[tuple[int, int], tuple[int, int]]:
        return self.sides[Side.BUY].best(), self.sides[Side.SELL].best()


def _empty_sides() -> dict[Side, dict[int, int]]:
    return {Side.BUY: {}, Side.SELL: {}}


@dataclass(slots=True)
class DepthChain:
    """What one chain of depth messages has told so far: the levels at `u`.

    Invariant: the messages up to `u`, applied in order to the snapshot the reader began with, give `told`.
    """

    kind: str
    u: int = 0
    told: dict[Side, dict[int, int]] = field(default_factory=_empty_sides)
    touched: dict[Side, set[int]] = field(default_factory=lambda: {Side.BUY: set(), Side.SELL: set()})

    def start(self, book: Book) -> None:
        """Begin anew at the book as it is: readers have to load a snapshot."""
        self.u = max(self.u, book.seq)
        self.told = {side: dict(levels.levels) for side, levels in book.sides.items()}
        self.touched = {Side.BUY: set(), Side.SELL: set()}

    def resume(self, book: Book, u: int, told: dict[Side, dict[int, int]]) -> None:
        """Go on after `u`, at which readers have the levels `told`: every difference to the book is news."""
        self.u = u
        self.told = told
        self.touched = {side: set(levels.levels) | set(told[side]) for side, levels in book.sides.items()}

    def flush(self, market_id: int, book: Book, time_ms: int) -> wire.Record | None:
        """The message that brings readers from `u` to the book, best price first; None where nothing differs.

        Also None as long as the book is not past `u`: after a restart it first has to catch up with what was told.
        """
        if book.seq <= self.u:
            return None
        news: dict[Side, wire.Levels] = {}
        for side, prices in self.touched.items():
            levels, told = book.sides[side].levels, self.told[side]
            news[side] = changed = []
            for price in sorted(prices, reverse=side == Side.BUY):
                lots = levels.get(price, 0)
                if lots == told.get(price, 0):
                    continue
                changed.append((price, lots))
                if lots:
                    told[price] = lots
                else:
                    del told[price]
            prices.clear()
        if not news[Side.BUY] and not news[Side.SELL]:
            return None
        first, self.u = self.u + 1, book.seq
        return wire.depth(
            self.kind, market_id, first=first, last=self.u, bids=news[Side.BUY], asks=news[Side.SELL], time_ms=time_ms
        )

    def levels(self, side: Side) -> wire.Levels:
        """What readers have, best price first."""
        return sorted(self.told[side].items(), reverse=side == Side.BUY)
