"""Topics and who listens to them. Each message is built once per topic and form, whatever the number of clients."""

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Any, Final

import structlog

from apps.common.clock import now_ms
from apps.gateway.book import PublicMarket, Record
from apps.gateway.markets import Market, Markets
from apps.gateway.socket import INTERNAL_ERROR, Socket, share
from apps.gateway.streams import messages, names
from apps.gateway.streams.arrears import Arrears
from apps.gateway.streams.lanes import Lane, Lanes, in_turn
from apps.gateway.streams.shared import Behind, DepthMessage, Make, SharedMessage
from apps.gateway.streams.topic import Subscriber, Topic
from apps.markets.currentstate import is_newest
from apps.markets.liveintervals import SAME_IN_ZONE, ZONE

log = structlog.get_logger("nebannpet.gateway.hub")

SECOND_S: Final = 1.0


class Hub:
    """`state_of` is what memory knows of a market's public data, None before its snapshot; `stale_since_ms` from when
    on it may lack what happened.
    """

    def __init__(
        self,
        markets: Markets,
        state_of: Callable[[Market], PublicMarket | None],
        stale_since_ms: Callable[[], int | None],
    ) -> None:
        self._markets = markets
        self._state_of = state_of
        self._stale_since_ms = stale_since_ms
        self._told_stale = False
        # Those that somebody listens to.
        self._topics: dict[str, Topic] = {}
        self._lanes = Lanes()
        self._arrears = Arrears()
        # What this turn of the event loop has brought so far.
        self._turn: list[tuple[Topic, SharedMessage]] = []
        # Of the message that was delivered last.
        self._seq = 0
        # Average prices as told last, by topic.
        self._averages: dict[str, str] = {}
        # What the arrays of all markets' tickers will hold at the end of this entry, by topic.
        self._arrays: dict[str, list[Make]] = {}

    async def run(self) -> None:
        """What changes by time alone, once a second for ever."""
        while True:
            await asyncio.sleep(SECOND_S - time.time() % SECOND_S)
            self.on_second(now_ms())

    def enter(self, form: int) -> Lane:
        """For a new connection, which leaves at its end."""
        return self._lanes.enter(form)

    def subscribe(self, topic: str, subscriber: Subscriber) -> None:
        if topic.endswith(names.AVERAGE):
            # Whoever is new hears of it at the next second, changed or not.
            self._averages.pop(topic, None)
        self._listen(topic, subscriber)

    def _listen(self, topic: str, subscriber: Subscriber) -> None:
        self._topics.setdefault(topic, Topic()).add(subscriber)

    def unsubscribe(self, topic: str, subscriber: Subscriber) -> None:
        listeners = self._topics.get(topic)
        if listeners is not None:
            listeners.remove(subscriber)
            if not listeners:
                del self._topics[topic]

    def change_form(self, topics: Iterable[str], subscriber: Subscriber, form: int) -> None:
        """It listens to these topics, has missed nothing, and wants them in another form from now on."""
        for topic in topics:
            self.unsubscribe(topic, subscriber)
        self._lanes.leave(subscriber.lane)
        subscriber.lane = self._lanes.enter(form)
        for topic in topics:
            self._listen(topic, subscriber)

    def leave(self, topics: Iterable[str], subscriber: Subscriber) -> None:
        """The connection has ended."""
        for topic in topics:
            self.unsubscribe(topic, subscriber)
        self._arrears.forget(subscriber)
        self._lanes.leave(subscriber.lane)

    def publish(self, topic: str, make: Make, behind: Behind = Behind.ALL) -> None:
        if topic in self._topics:
            self._deliver(SharedMessage(topic, make, behind))

    def _deliver(self, message: SharedMessage) -> None:
        """At the end of this turn of the event loop, with everything else that it brings."""
        topic = self._topics[message.topic]
        topic.build(message)
        if not self._turn:
            asyncio.get_running_loop().call_soon(self.end_turn)
        self._turn.append((topic, message))

    def end_turn(self) -> None:
        """Hand out what this turn has brought. Called by itself at its end."""
        turn, self._turn = self._turn, []
        topics = dict.fromkeys(topic for topic, _ in turn)
        late = [subscriber for topic in topics for subscriber in topic.part()]
        for topic, message in turn:
            self._seq += 1
            kept = topic.keep(message, self._seq)
            if kept:
                self._arrears.grow(kept)
        for subscriber in late:
            self._arrears.watch(subscriber)
        self._arrears.end_turn()
        for lane in in_turn(lane for topic in topics for lane in topic.ready):
            sockets: dict[Socket, Subscriber] = {}
            for topic in topics:
                sockets.update(topic.ready.get(lane, {}))
            for topic, message in turn:
                ready = topic.ready.get(lane)
                if ready:
                    share(ready, message.frame(lane.form))
            for socket in sockets:
                try:
                    socket.flush()
                except Exception:  # one client's connection must not end the turn of all others
                    log.exception("a socket failed")
                    socket.close(INTERNAL_ERROR, "internal error")

    # -- marketdata's records -----------------------------------------------------------------------------------------
    def on_record(self, market: Market, state: PublicMarket, record: Record) -> None:
        """Publish what one record means to clients; `state` has taken it already."""
        if not self._topics:
            return
        now = now_ms()
        name = market.symbol.lower()
        match record["t"]:
            case "trade":
                self.publish(name + names.TRADE, lambda unit: messages.trade(market, record, now, unit))
            case "agg":
                self.publish(name + names.AGGREGATE, lambda unit: messages.aggregate(market, record, now, unit))
            case "depth":
                self._depth(market, state, record, names.FAST)
                self.publish(name + names.CHECKSUM, lambda unit: messages.book_checksum(market, state, record, unit))
            case "depth1s":
                self._depth(market, state, record, names.SLOW)
            case "top":
                for topic in (name + names.BEST, names.ALL_BEST):
                    # Of all markets in one stream, none may take another's place.
                    behind = Behind.ALL if topic[0] == "!" else Behind.NEWEST
                    self.publish(topic, lambda unit: messages.book_ticker(market, record), behind)
            case "kline":
                # A closed bar must arrive; a running one may be replaced by what it became.
                behind = Behind.ALL if record["x"] else Behind.NEWEST
                interval = record["i"]
                for zone in ("", ZONE) if interval in SAME_IN_ZONE else ("",):
                    topic = f"{name}{names.BARS}{interval}{zone}"
                    self.publish(topic, lambda unit: messages.kline(market, record, now, unit), behind)
            case "ticker":
                self._tickers(name + names.TICKER, names.ALL_TICKERS, lambda unit: messages.ticker(
                    market, state, record, now, unit
                ))  # fmt: skip
                self._tickers(name + names.MINI_TICKER, names.ALL_MINI_TICKERS, lambda unit: messages.mini_ticker(
                    market, record, now, unit
                ))  # fmt: skip
            case "window":
                window, of_all = names.window(record["w"])
                self._tickers(name + window, (of_all,), lambda unit: messages.window_ticker(
                    market, record, now, unit
                ))  # fmt: skip
            case "auction" | "distance":
                self.on_state(market, state)
            case "state" if is_newest(record, market):
                self.on_state(market, state)

    def _depth(self, market: Market, state: PublicMarket, record: Record, speeds: tuple[str, ...]) -> None:
        name = market.symbol.lower()
        for speed in speeds:
            topic = f"{name}{names.DEPTH}{speed}"
            if topic in self._topics:
                self._deliver(DepthMessage(topic, market, record))
            for limit in names.PARTIAL_LEVELS:
                self.publish(f"{name}{names.DEPTH}{limit}{speed}", _partial(market, state, limit), Behind.NEWEST)

    def _tickers(self, topic: str, arrays: tuple[str, ...], make: Make) -> None:
        self.publish(topic, make, Behind.NEWEST)
        for array in arrays:
            if array in self._topics:
                self._arrays.setdefault(array, []).append(make)

    def on_second(self, now_ms: int) -> None:
        """What changes without any news: trades grow old, and so does the silence of market data."""
        stale = self._stale_since_ms() is not None
        if stale != self._told_stale:
            self._told_stale = stale
            for market in self._markets.by_id.values():
                self.on_state(market, self._state_of(market))
        for market in self._markets.by_id.values():
            topic = market.symbol.lower() + names.AVERAGE
            state = self._state_of(market) if topic in self._topics else None
            if state is None:
                continue
            message = messages.average(market, state, now_ms)
            if self._averages.get(topic) != message["w"]:
                self._averages[topic] = message["w"]
                self.publish(topic, _average(market, state, now_ms), Behind.NEWEST)

    def on_mirrored_state(self, market: Market) -> None:
        """PostgreSQL has a newer state than before; what market data said already is no news."""
        public = self._state_of(market)
        if not is_newest(public.state if public is not None else None, market):
            self.on_state(market, public)

    def on_state(self, market: Market, state: PublicMarket | None) -> None:
        """A market's state changed (T10). A stream of our own; clients that do not know it never ask for it."""
        now, stale_since_ms = now_ms(), self._stale_since_ms()
        topic = market.symbol.lower() + names.STATE
        self.publish(topic, lambda unit: messages.market_state(market, state, stale_since_ms, now, unit), Behind.NEWEST)

    def on_entry_end(self) -> None:
        if self._arrays:
            arrays, self._arrays = self._arrays, {}
            for topic, rows in arrays.items():
                # Only changed markets are in one array, so a waiting array must not be replaced by the next.
                self.publish(topic, _array(rows))

    def on_reload(self, market: Market) -> None:
        """The depth chains of this market are broken: their clients must start again from a snapshot."""
        for speed in (*names.FAST, *names.SLOW):
            topic = f"{market.symbol.lower()}{names.DEPTH}{speed}"
            for subscriber in tuple(self._topics.get(topic, ())):
                subscriber.cut_off_chain()


def _partial(market: Market, state: PublicMarket, limit: int) -> Callable[[int], Any]:
    return lambda unit: messages.partial_depth(market, state, limit)


def _average(market: Market, state: PublicMarket, now_ms: int) -> Make:
    return lambda unit: messages.average(market, state, now_ms, unit)


def _array(rows: list[Make]) -> Make:
    return lambda unit: [make(unit) for make in rows]
