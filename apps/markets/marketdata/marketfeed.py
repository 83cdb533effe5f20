"""Everything public about one market, moved forward by events; tells what is new as records of wire.py."""

from collections.abc import Callable
from typing import Any

from apps.markets.marketdata import wire
from apps.markets.marketdata.bars import Bar, trade_bar
from apps.markets.marketdata.book import Book
from apps.markets.marketdata.livebars import LiveBars
from apps.markets.marketdata.tape import Tape
from apps.markets.marketdata.ticker import WINDOWS, Ticker
from apps.streams.events import MarketStateChanged, OrderAccepted, OrderClosed, OrderRested, PreventedMatch, Trade
from apps.streams.kinds import AcceptedFlag, ClosedFlag, EventKind, MarketState, Side, StpMode, TradeFlag


class MarketFeed:
    """`bars_seq` is the event up to which the loaded candles and tickers already count every print.

    `unit_factor_of` gives a market's quote units of one tick times one lot; it is asked when there is a print, which is
    when they can no longer change.
    """

    def __init__(self, market_id: int, unit_factor_of: Callable[[int], int], seq: int = 0) -> None:
        self.market_id = market_id
        self._unit_factor_of = unit_factor_of
        self.book = Book(seq)
        self.tape = Tape()
        self.bars = LiveBars(market_id)
        self.ticker = Ticker()
        self.windows = {name: Ticker(closed_minutes=minutes) for name, minutes in WINDOWS.items()}
        self.bars_seq = 0
        self.state: wire.Record | None = None
        self.auction: wire.Record | None = None
        self.distance: wire.Record | None = None
        self.told_ticker: wire.Record | None = None
        self.told_windows: dict[str, wire.Record] = {}
        self.snapshot_due = True

    def apply(self, event: Any) -> list[wire.Record]:
        """Take one event of this market. The book is not told here but by its chains."""
        self.book.seq = event.seq
        match event.KIND:
            case EventKind.TRADE:
                return self._print(event)
            case EventKind.ORDER_ACCEPTED:
                self._accepted(event)
            case EventKind.ORDER_RESTED:
                self._rested(event)
            case EventKind.ORDER_CLOSED:
                self._closed(event)
            case EventKind.PREVENTED_MATCH:
                self._prevented(event)
            case EventKind.ICEBERG_REFILLED | EventKind.ORDER_AMENDED | EventKind.LEVEL_CHANGED:
                self.book.set_level(Side(event.side), event.price_ticks, event.level_lots)
            case EventKind.MARKET_STATE_CHANGED:
                return [self._state_changed(event)]
            case EventKind.AUCTION_PRICE:
                self.auction = wire.auction(self.market_id, price_ticks=event.price_ticks, lots=event.quantity_lots)
                self.snapshot_due = True
                return [self.auction]
            case EventKind.HALT_DISTANCE:
                self.distance = wire.distance(self.market_id, up_ticks=event.up_ticks, down_ticks=event.down_ticks)
                self.snapshot_due = True
                return [self.distance]
        return []

    def top_news(self) -> list[wire.Record]:
        """The best prices, where they differ from what was told last."""
        top = self.book.top()
        if top == self.book.published_top:
            return []
        self.book.published_top = top
        return [self.top()]

    def top(self) -> wire.Record:
        bid, ask = self.book.top()
        return wire.top(self.market_id, seq=self.book.seq, bid=bid, ask=ask)

    def depth_news(self, kind: str, now_ms: int) -> list[wire.Record]:
        record = self.book.chains[kind].flush(self.market_id, self.book, now_ms)
        if record is None:
            return []
        self.snapshot_due = True
        return [record]

    def second_news(self, now_ms: int) -> list[wire.Record]:
        """Bars, ticker and windows, once a second."""
        news = self.bars.tick(now_ms)
        bid, ask = self.book.top()
        ticker = self.ticker.record(self.market_id, now_ms, bid=bid, ask=ask)
        if _is_news(ticker, self.told_ticker):
            self.told_ticker = ticker
            news.append(ticker)
        for name, window in self.windows.items():
            record = window.window_record(self.market_id, name, now_ms)
            if _is_news(record, self.told_windows.get(name)):
                self.told_windows[name] = record
                news.append(record)
        if news:
            self.snapshot_due = True
        return news

    def has_caught_up(self) -> bool:
        """Whether the book is as far as readers are: a snapshot needs both chains at the same levels."""
        return all(chain.u <= self.book.seq for chain in self.book.chains.values())

    def snapshot(self, after: str) -> wire.Record:
        """What a reader needs that goes on reading after stream entry `after`."""
        chain = self.book.chains["depth"]
        return wire.snapshot(
            u=chain.u,
            us=self.book.chains["depth1s"].u,
            bids=chain.levels(Side.BUY),
            asks=chain.levels(Side.SELL),
            trades=self.tape.trades,
            aggs=self.tape.aggs,
            klines=self.bars.records(),
            ticker=self.told_ticker,
            market_state=self.state,
            market_auction=self.auction,
            halt_distance=self.distance,
            after=after,
        )

    def _print(self, event: Trade) -> list[wire.Record]:
        if event.flags & TradeFlag.AUCTION:  # its levels follow as LEVEL_CHANGED
            return self.count_print(event)
        taker_is_buyer = bool(event.flags & TradeFlag.TAKER_IS_BUYER)
        self.book.set_level(Side.SELL if taker_is_buyer else Side.BUY, event.price_ticks, event.level_lots)
        return self.count_print(event)

    def count_print(self, event: Trade) -> list[wire.Record]:
        """Take a print into tape, bars and ticker, where they do not know it yet, but not into the book."""
        record = wire.trade(
            self.market_id,
            trade_id=event.trade_id,
            agg_id=event.agg_id,
            price_ticks=event.price_ticks,
            lots=event.quantity_lots,
            time_ms=event.cmd_ms,
            buyer_maker=not event.flags & TradeFlag.TAKER_IS_BUYER,
            seq=event.seq,
        )
        news = self.tape.add(record)
        if event.seq > self.bars_seq:
            bar = self._bar(record)
            self.ticker.add(bar)
            for window in self.windows.values():
                window.add(bar)
            news += self.bars.add(bar)
        self.snapshot_due = True
        return news

    def _bar(self, record: wire.Record) -> Bar:
        return trade_bar(
            trade_id=record["id"],
            price_ticks=record["p"],
            lots=record["q"],
            quote_units=record["p"] * record["q"] * self._unit_factor_of(self.market_id),
            time_ms=record["T"],
            taker_is_buyer=not record["bm"],
        )

    def _accepted(self, event: OrderAccepted) -> None:
        if event.flags & AcceptedFlag.RESTED:
            self.book.set_level(Side(event.side), event.price_ticks, event.level_lots)

    def _rested(self, event: OrderRested) -> None:
        self.book.set_level(Side(event.side), event.price_ticks, event.level_lots)

    def _closed(self, event: OrderClosed) -> None:
        if event.flags & ClosedFlag.WAS_RESTING:
            self.book.set_level(Side(event.side), event.price_ticks, event.level_lots)

    def _prevented(self, event: PreventedMatch) -> None:
        if event.stp_mode == StpMode.DECREMENT:
            makers_side = Side.SELL if event.taker_side == Side.BUY else Side.BUY
            self.book.set_level(makers_side, event.price_ticks, event.level_lots)

    def _state_changed(self, event: MarketStateChanged) -> wire.Record:
        self.state = wire.state(
            self.market_id, seq=event.seq, new_state=event.new_state, cause=event.cause, until_ms=event.until_ms,
            reopens_ms=event.reopens_ms, rule_id=event.rule_id,
        )  # fmt: skip
        if event.new_state != MarketState.AUCTION:
            self.auction = None
        self.snapshot_due = True
        return self.state


def _is_news(record: wire.Record, told: wire.Record | None) -> bool:
    """Whether more than the window's place in time has changed."""
    return told is None or any(record[name] != told[name] for name in record if name not in ("O", "C"))
