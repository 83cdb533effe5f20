"""User data of an account, complete and in order, for any number of subscribers.

Who subscribes hears of what happens from then on; several share one feed, whose open orders are loaded from PostgreSQL
as of one event. Who resumes (`fromSeq`, ours) has a feed of its own, that begins as things stood then: the orders are
loaded, what happened since is undone (rewinding.py), and then told from the log.
"""

from collections.abc import Callable
from typing import Any, Final

from apps.gateway import errors
from apps.gateway.accountfeed import AccountFeed, Members, Sink
from apps.gateway.markets import Markets
from apps.gateway.pastevents import PastEvents, align
from apps.gateway.reads import OpenOrders, Reads
from apps.gateway.replies import OrderView
from apps.gateway.rewinding import missing, rewind
from apps.gateway.tail import EventTail

# A subscription waits longer than a read: it happens once a connection. Still a clear 503 at once (T16).
LOAD_TIMEOUT_S: Final = 1.5


class UserData:
    """All feeds of this process."""

    def __init__(self, tail: EventTail, reads: Reads, markets: Markets, past: PastEvents) -> None:
        self._tail = tail
        self._reads = reads
        self._markets = markets
        self._past = past
        self._feeds: dict[int, AccountFeed] = {}

    @property
    def seq(self) -> int:
        """The newest event that subscribers have been told of."""
        return self._tail.seq

    async def subscribe(self, account_id: int, sink: Sink, end: Callable[[], None]) -> Callable[[], None]:
        """Deliver the account's events to `sink` from now on; returns what ends it. 503 when they cannot be loaded.

        `end` is called when the history has a hole. Nothing is delivered before this returns.
        """
        feed = self._feeds.get(account_id)
        if feed is None or feed.lost:
            feed = self._followed(account_id)
            try:
                opened = await self._reads.open_orders_at(account_id, LOAD_TIMEOUT_S)
                members = await self._members(account_id, [view for view, _ in opened.orders])
            except BaseException:
                self._tail.unfollow(account_id, feed)
                raise
            self._check(feed)
            other = self._feeds.get(account_id)
            if other is None or other.lost:
                feed.load(opened.seq, opened.orders, members)
                self._feeds[account_id] = feed
            else:
                self._tail.unfollow(account_id, feed)
                feed = other
        feed.sinks[sink] = end
        return lambda: self._leave(feed, sink)

    async def resume(
        self, account_id: int, from_seq: int, sink: Sink, end: Callable[[], None]
    ) -> Callable[[], None]:  # fmt: skip
        """The same, beginning with what commands told after event `from_seq`; that is delivered before this returns.

        Raises -1130 where the log does not reach back to it, or it lies ahead.
        """
        feed = self._followed(account_id)
        try:
            opened = await self._reads.open_orders_at(account_id, LOAD_TIMEOUT_S)
            groups = await self._past.of_account(account_id, after=from_seq, until=opened.seq)
            seq, groups = align(from_seq, groups)
            orders = await self._orders_at(account_id, opened, groups)
            members = await self._members(account_id, [view for view, _ in orders])
        except BaseException:
            self._tail.unfollow(account_id, feed)
            raise
        self._check(feed)
        feed.sinks[sink] = end
        feed.load(seq, orders, members, groups)
        return lambda: self._leave(feed, sink)

    async def _orders_at(
        self, account_id: int, opened: OpenOrders, groups: list[list[Any]]
    ) -> list[tuple[OrderView, int]]:  # fmt: skip
        """The orders that were open before the events of `groups`."""
        orders = {view.order_id: (view, market_id) for view, market_id in opened.orders}
        ended = await self._reads.orders_by_id(account_id, missing(groups, account_id, orders.keys()))
        orders |= {view.order_id: (view, market_id) for view, market_id in ended}
        return rewind(orders, groups, account_id, self._markets)

    async def _members(self, account_id: int, views: list[OrderView]) -> Members:
        lists = sorted({view.list_id for view in views if view.list_id})
        return await self._reads.list_members(account_id, lists) if lists else {}

    def _followed(self, account_id: int) -> AccountFeed:
        feed = AccountFeed(account_id, self._markets)
        self._tail.follow(account_id, feed)
        return feed

    def _check(self, feed: AccountFeed) -> None:
        """Raise for a feed that has missed events while it was loaded."""
        if feed.lost:
            self._tail.unfollow(feed.account_id, feed)
            raise errors.not_executed()

    def _leave(self, feed: AccountFeed, sink: Sink) -> None:
        feed.sinks.pop(sink, None)
        if not feed.sinks:
            self._tail.unfollow(feed.account_id, feed)
            if self._feeds.get(feed.account_id) is feed:
                del self._feeds[feed.account_id]
