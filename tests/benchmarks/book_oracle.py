"""A book and nothing else: limit, market, cancel, price-time priority. Shares no code with the engine.

It steers the workload generator and says which trades the engine must make.
"""

from sortedcontainers import SortedDict


class BookOracle:
    """Prices in ticks, quantities in lots, ids given by the caller. A level is {order_id: lots}, oldest first."""

    def __init__(self) -> None:
        self.bids: SortedDict = SortedDict()
        self.asks: SortedDict = SortedDict()
        self.where: dict[int, tuple[SortedDict, int]] = {}
        self.trades: list[tuple[int, int, int, int]] = []

    def best_bid(self) -> int:
        return self.bids.peekitem(-1)[0] if self.bids else 0

    def best_ask(self) -> int:
        return self.asks.peekitem(0)[0] if self.asks else 0

    def limit(self, order_id: int, buy: bool, price: int, lots: int) -> list[int]:
        """Trade up to `price`, rest what is left; the makers that were filled whole."""
        left, filled = self._take(order_id, buy, price, lots)
        if left:
            side = self.bids if buy else self.asks
            side.setdefault(price, {})[order_id] = left
            self.where[order_id] = (side, price)
        return filled

    def market(self, order_id: int, buy: bool, lots: int) -> list[int]:
        """Trade at any price; the makers that were filled whole."""
        return self._take(order_id, buy, None, lots)[1]

    def cancel(self, order_id: int) -> None:
        side, price = self.where.pop(order_id)
        level = side[price]
        del level[order_id]
        if not level:
            del side[price]

    def _take(self, order_id: int, buy: bool, price: int | None, lots: int) -> tuple[int, list[int]]:
        opposite, best = (self.asks, 0) if buy else (self.bids, -1)
        filled = []
        while lots and opposite:
            level_price, level = opposite.peekitem(best)
            if price is not None and (level_price > price if buy else level_price < price):
                break
            for maker, offered in list(level.items()):
                size = min(lots, offered)
                self.trades.append((order_id, maker, level_price, size))
                lots -= size
                if size < offered:
                    level[maker] = offered - size
                else:
                    del level[maker], self.where[maker]
                    filled.append(maker)
                if not lots:
                    break
            if not level:
                del opposite[level_price]
        return lots, filled
