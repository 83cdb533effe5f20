"""Order books published on PyPI behind one interface, to run the workloads through them.

They match by price and time and cancel. They have no accounts, funds, fees, client ids, price band, breakers or
self-trade prevention, and emit no events but their trades. Each gets the steps as Python numbers and makes what it
takes of them (its order objects, its number types) inside the clock, as the exchange's engines read their frames.

`trades()` are (taker, maker, price_ticks, lots) in order, to be compared with the book-only oracle.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any, Final

from tests.benchmarks.workload import CANCEL, MARKET, Step

Fill = tuple[int, int, int, int]


class Peer(ABC):
    """One empty book of one package. ImportError where that is not installed."""

    PACKAGE: str

    @classmethod
    def name(cls) -> str:
        return f"{cls.PACKAGE} {version(cls.PACKAGE)}"

    @abstractmethod
    def run(self, steps: Sequence[Step]) -> None:
        """All of them, in order."""

    @abstractmethod
    def trades(self) -> list[Fill]: ...


class PyOrderBook(Peer):
    """A heap of price levels, a dict of orders at each; Decimal prices. It knows no market orders: theirs is a limit
    at a price beyond all, whose rest is cancelled."""

    PACKAGE = "pyorderbook"

    def __init__(self) -> None:
        import pyorderbook

        self._book, self._bid, self._ask = pyorderbook.Book(), pyorderbook.bid, pyorderbook.ask
        self._orders: dict[int, Any] = {}
        self._blotters: list[Any] = []

    def run(self, steps: Sequence[Step]) -> None:
        book, orders, blotters = self._book, self._orders, self._blotters
        for step in steps:
            if step.kind == CANCEL:
                book.cancel(orders[step.order_id])
                continue
            market = step.kind == MARKET
            price = step.price_ticks if not market else 10**9 if step.buy else 1
            order = (self._bid if step.buy else self._ask)("BENCH", price, step.lots)
            orders[step.order_id] = order
            blotters.append(book.match(order))
            if market and order.quantity:
                book.cancel(order)

    def trades(self) -> list[Fill]:
        """By quantities and prices of the makers: its fill price is the better one for the taker's counterpart."""
        numbers = {order.id: number for number, order in self._orders.items()}
        return [
            (
                numbers[trade.incoming_order_id], numbers[trade.standing_order_id],
                int(self._orders[numbers[trade.standing_order_id]].price), trade.fill_quantity,
            )
            for blotter in self._blotters
            for trade in blotter.trades
        ]  # fmt: skip


class LightMatchingEngine(Peer):
    """A dict of lists by price, the best found by min() or max() over all prices; a price of 0 is a market order."""

    PACKAGE = "lightmatchingengine"

    def __init__(self) -> None:
        from lightmatchingengine.lightmatchingengine import LightMatchingEngine as Engine
        from lightmatchingengine.lightmatchingengine import Side

        self._engine, self._buy, self._sell = Engine(), Side.BUY, Side.SELL
        self._trades: list[Any] = []

    def run(self, steps: Sequence[Step]) -> None:
        add, cancel, trades = self._engine.add_order, self._engine.cancel_order, self._trades
        for step in steps:
            if step.kind == CANCEL:
                cancel(step.order_id, "BENCH")
                continue
            order, made = add("BENCH", step.price_ticks, step.lots, self._buy if step.buy else self._sell)
            trades.append(made)
            if step.kind == MARKET and order.leaves_qty:
                cancel(order.order_id, "BENCH")

    def trades(self) -> list[Fill]:
        """It tells the taker's side once a level, before those of the makers there."""
        found = []
        for turn in self._trades:
            taker = turn[0].order_id if turn else 0
            found += [(taker, t.order_id, t.trade_price, t.trade_qty) for t in turn if t.order_id != taker]
        return found


class CythonOrderBook(Peer):
    """Compiled; sorted dicts of price levels, an ordered dict of orders at each."""

    PACKAGE = "cython-orderbook"

    def __init__(self) -> None:
        from cython_orderbook import Order, OrderBook, OrderSide

        self._book, self._order = OrderBook(), Order
        self._bid, self._ask = OrderSide.BID, OrderSide.ASK
        self._ids: dict[int, str] = {}

    def run(self, steps: Sequence[Step]) -> None:
        book, make, ids = self._book, self._order, self._ids
        limit, market, cancel, bid, ask = (
            book.add_limit_order,
            book.add_market_order,
            book.cancel_order,
            self._bid,
            self._ask,
        )
        for step in steps:
            if step.kind == CANCEL:
                cancel(ids[step.order_id])
            elif step.kind == MARKET:
                order = make(side=bid if step.buy else ask, original_quantity=step.lots)
                ids[step.order_id] = order.order_id
                market(order)
            else:
                order = make(side=bid if step.buy else ask, price=step.price_ticks, original_quantity=step.lots)
                ids[step.order_id] = order.order_id
                limit(order)

    def trades(self) -> list[Fill]:
        numbers = {order_id: number for number, order_id in self._ids.items()}
        return [
            (numbers[trade.aggressor_id], numbers[trade.filler_id], int(trade.price), trade.quantity_filled)
            for trade in self._book.trade_log
        ]


PEERS: Final[tuple[type[Peer], ...]] = (CythonOrderBook, PyOrderBook, LightMatchingEngine)
