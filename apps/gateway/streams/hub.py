"""Topics and who listens to them. Each message is built and encoded once per topic, whatever the number of clients."""

from collections.abc import Callable
from typing import Any, Final, Protocol

import msgspec

from apps.common.clock import now_ms
from apps.gateway.book import PublicMarket, Record
from apps.gateway.markets import Market, Markets
from apps.gateway.streams import messages

encode: Final = msgspec.json.Encoder().encode
PARTIAL_LEVELS: Final = (5, 10, 20)
ALL_MINI_TICKERS: Final = ("!miniTicker@arr", "!miniTicker@arr@1000ms", "!miniTicker@arr@3000ms")


class Subscriber(Protocol):
    """`combined` clients get {"stream": topic, "data": message}."""

    combined: bool

    def deliver(self, text: str, topic: str, *, replaceable: bool) -> None: ...

    def cut_off_chain(self, topic: str) -> None:
        """The topic's chain of depth messages has a gap."""


class Hub:
    def __init__(self, markets: Markets) -> None:
        self._markets = markets
        # dict instead of set: clients are served in the order of their subscriptions, the same every time.
        self._topics: dict[str, dict[Subscriber, None]] = {}
        self._tickers: list[dict[str, Any]] = []

    def subscribe(self, topic: str, subscriber: Subscriber) -> None:
        self._topics.setdefault(topic, {})[subscriber] = None

    def unsubscribe(self, topic: str, subscriber: Subscriber) -> None:
        subscribers = self._topics.get(topic)
        if subscribers is not None:
            subscribers.pop(subscriber, None)
            if not subscribers:
                del self._topics[topic]

    def publish(self, topic: str, make: Callable[[], Any], *, replaceable: bool = False) -> None:
        subscribers = self._topics.get(topic)
        if not subscribers:
            return
        raw = encode(make()).decode()
        combined = f'{{"stream":"{topic}","data":{raw}}}' if any(each.combined for each in subscribers) else ""
        for subscriber in tuple(subscribers):
            subscriber.deliver(combined if subscriber.combined else raw, topic, replaceable=replaceable)

    # -- marketdata's records -----------------------------------------------------------------------------------------
    def on_record(self, market: Market, state: PublicMarket, record: Record) -> None:
        """Publish what one record means to clients; `state` has taken it already."""
        if not self._topics:
            return
        now = now_ms()
        name = market.symbol.lower()
        match record["t"]:
            case "trade":
                self.publish(f"{name}@trade", lambda: messages.trade(market, record, now))
            case "agg":
                self.publish(f"{name}@aggTrade", lambda: messages.aggregate(market, record, now))
            case "depth":
                self._depth(market, state, record, "@100ms")
            case "depth1s":
                self._depth(market, state, record, "")
            case "top":
                topic = f"{name}@bookTicker"
                self.publish(topic, lambda: messages.book_ticker(market, record), replaceable=True)
            case "kline":
                # A closed bar must arrive; a running one may be replaced by what it became.
                topic = f"{name}@kline_{record['i']}"
                self.publish(topic, lambda: messages.kline(market, record, now), replaceable=not record["x"])
            case "ticker":
                self._ticker(market, state, record, now)
            case "auction" | "distance":
                self.on_state(market, state)
            case "state" if record["state"] == market.state:
                # Nothing but its end or cause is new; a new state is told once PostgreSQL has it.
                self.on_state(market, state)

    def _depth(self, market: Market, state: PublicMarket, record: Record, speed: str) -> None:
        name = market.symbol.lower()
        self.publish(f"{name}@depth{speed}", lambda: messages.depth_update(market, record))
        for limit in PARTIAL_LEVELS:
            self.publish(
                f"{name}@depth{limit}{speed}",
                lambda limit=limit: messages.partial_depth(market, state, limit),  # type: ignore[misc]
                replaceable=True,
            )

    def _ticker(self, market: Market, state: PublicMarket, record: Record, now: int) -> None:
        name = market.symbol.lower()
        self.publish(f"{name}@ticker", lambda: messages.ticker(market, state, record, now), replaceable=True)
        self.publish(f"{name}@miniTicker", lambda: messages.mini_ticker(market, record, now), replaceable=True)
        if any(topic in self._topics for topic in ALL_MINI_TICKERS):
            self._tickers.append(messages.mini_ticker(market, record, now))

    def on_state(self, market: Market, state: PublicMarket | None) -> None:
        """A market's state changed (T10). A stream of our own; clients that do not know it never ask for it."""
        now = now_ms()
        topic = f"{market.symbol.lower()}@marketState"
        self.publish(topic, lambda: messages.market_state(market, state, now), replaceable=True)

    def on_entry_end(self) -> None:
        if self._tickers:
            tickers, self._tickers = self._tickers, []
            for topic in ALL_MINI_TICKERS:
                # Only changed markets are in one array, so a waiting array must not be replaced by the next.
                self.publish(topic, lambda: tickers)

    def on_reload(self, market: Market) -> None:
        """The depth chains of this market are broken: their clients must start again from a snapshot."""
        for speed in ("", "@100ms"):
            topic = f"{market.symbol.lower()}@depth{speed}"
            for subscriber in tuple(self._topics.get(topic, ())):
                subscriber.cut_off_chain(topic)
