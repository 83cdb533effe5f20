"""All markets of a shard, moved forward by event entries in order; tells what is new and where readers stand."""

from collections.abc import Callable, Iterable, Mapping

from apps.markets.marketdata import wire
from apps.markets.marketdata.edge import Told
from apps.markets.marketdata.events import PUBLIC_KINDS, wanted_events
from apps.markets.marketdata.marketfeed import MarketFeed
from apps.streams.bus.base import EventEntry
from apps.streams.kinds import CommandKind, EventKind, HaltCause, MarketState


class EventGap(RuntimeError):
    """The log does not go on where this reader is: events are gone, or it is another history. Load anew."""


class ShardFeed:
    """`seq` is the last event taken; it is the `u` of depth messages flushed now. `chain` is the log's chain there."""

    def __init__(
        self, new_feed: Callable[[int, int], MarketFeed], seq: int, chain: str, markets: Iterable[MarketFeed] = ()
    ) -> None:
        """`new_feed` gives the feed of a market that is listed after event `seq`: (market_id, seq)."""
        self._new_feed = new_feed
        self.seq = seq
        self.chain = chain
        self.markets: dict[int, MarketFeed] = {feed.market_id: feed for feed in markets}

    def take(self, entry: EventEntry) -> list[wire.Record]:
        """Apply the entry that follows; returns prints, aggregates, best prices and states.

        Raises EventGap, and nothing is applied, where it does not follow what was taken before.
        """
        if entry.first_seq != self.seq + 1 or entry.prev_chain != self.chain:
            raise EventGap(f"the entry of events {entry.first_seq} to {entry.last_seq} does not follow {self.seq}")
        news: list[wire.Record] = []
        touched: dict[int, MarketFeed] = {}
        for event in wanted_events(entry.body, PUBLIC_KINDS):
            if event.KIND == EventKind.SETTINGS_APPLIED:
                if event.op == CommandKind.SET_MARKET:
                    self._listed(event.object_id)
                continue
            feed = touched[event.market_id] = self._listed(event.market_id)
            news += feed.apply(event)
        self.seq, self.chain = entry.last_seq, entry.chain
        for feed in touched.values():
            # An entry holds whole commands, so nothing can join the last aggregate any more.
            news += feed.tape.complete()
            news += feed.top_news()
        return news

    def depth_news(self, kind: str, now_ms: int) -> list[wire.Record]:
        """Flush one depth chain of every market."""
        news: list[wire.Record] = []
        for feed in self.markets.values():
            feed.book.seq = self.seq
            news += feed.depth_news(kind, now_ms)
        return news

    def second_news(self, now_ms: int) -> list[wire.Record]:
        """Bars and tickers of every market."""
        return [record for feed in self.markets.values() for record in feed.second_news(now_ms)]

    def due_snapshots(self, after: str) -> list[tuple[int, wire.Record]]:
        """Snapshots of markets that changed since the last call, for readers that go on after entry `after`."""
        due = [feed for feed in self.markets.values() if feed.snapshot_due and feed.has_caught_up()]
        for feed in due:
            feed.snapshot_due = False
        return [(feed.market_id, feed.snapshot(after)) for feed in due]

    def states(self) -> list[wire.Record]:
        """The state of every market of which one is known."""
        return [feed.state for feed in self.markets.values() if feed.state is not None]

    def resume(self, told: Mapping[int, Told]) -> list[wire.Record]:
        """Take up where readers stand; returns the prints they have not heard of, best prices and states.

        A market that is not in `told` starts anew: its readers need a snapshot.
        """
        news: list[wire.Record] = []
        for market_id, feed in self.markets.items():
            feed.book.seq = self.seq
            feed.snapshot_due = True
            known = told.get(market_id)
            for kind, chain in feed.book.chains.items():
                if known is None:
                    chain.start(feed.book)
                else:
                    chain.resume(feed.book, known.chains[kind].u, known.chains[kind].levels)
            if known is not None:
                news += [trade for trade in feed.tape.trades if trade["id"] > known.trade_id]
                news += [agg for agg in feed.tape.aggs if agg["a"] > known.agg_id]
            feed.book.published_top = feed.book.top()
            news.append(feed.top())
            news += [record for record in (feed.state, feed.auction, feed.distance) if record is not None]
        return news

    def _listed(self, market_id: int) -> MarketFeed:
        feed = self.markets.get(market_id)
        if feed is None:
            feed = self.markets[market_id] = self._new_feed(market_id, self.seq)
            feed.state = wire.state(
                market_id, seq=self.seq, new_state=MarketState.PRE_LAUNCH, cause=HaltCause.NONE, until_ms=0
            )
            for chain in feed.book.chains.values():
                chain.start(feed.book)
        return feed
