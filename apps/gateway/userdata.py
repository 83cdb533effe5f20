"""User data of an account, complete and in order, for any number of subscribers.

Who subscribes hears of what happens from then on; several share one feed, whose open orders are loaded from PostgreSQL
as of one event. Who resumes (`fromSeq`, ours) begins with a feed of its own, as things stood then: the orders are
loaded, what happened since is undone (rewinding.py), and then told from the log. Then this feed and the shared one are
one.

Invariant: what happened up to the place that a subscription begins at (`seq`), and all that it is told afterwards, is
complete and nothing twice, wherever settlement (PostgreSQL) and this process's tail of the log stand.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from apps.gateway import errors
from apps.gateway.accountfeed import AccountFeed, Members
from apps.gateway.markets import Markets
from apps.gateway.pastevents import PastEvents, align
from apps.gateway.reads import OpenOrders, Reads
from apps.gateway.replies import OrderView
from apps.gateway.rewinding import missing, rewind
from apps.gateway.tail import EventTail
from apps.gateway.told import Listener, Sink

# A subscription waits longer than a read: it happens once a connection. Still a clear 503 at once (T16).
LOAD_TIMEOUT_S: Final = 1.5


@dataclass(frozen=True, slots=True)
class Subscribed:
    """Exactly what happens after event `seq` is told, until `leave` is called."""

    seq: int
    leave: Callable[[], None]


class UserData:
    """All feeds of this process."""

    def __init__(self, tail: EventTail, reads: Reads, markets: Markets, past: PastEvents) -> None:
        self._tail = tail
        self._reads = reads
        self._markets = markets
        self._past = past
        self._feeds: dict[int, AccountFeed] = {}

    async def subscribe(self, account_id: int, tell: Sink, end: Callable[[], None]) -> Subscribed:
        """Deliver the account's events to `tell` from now on. 503 when they cannot be loaded.

        `end` is called when the history has a hole. Nothing is delivered before this returns.
        """
        feed = self._feeds.get(account_id)
        if feed is None or feed.lost:
            feed = await self._loaded(account_id)
        seq = self._told_to(feed)
        return Subscribed(seq, self._listen(feed, Listener(tell, end, seq)))

    async def _loaded(self, account_id: int) -> AccountFeed:
        """The account's shared feed."""
        feed = self._followed(account_id)
        try:
            opened = await self._reads.open_orders_at(account_id, LOAD_TIMEOUT_S)
            members = await self._members(account_id, [view for view, _ in opened.orders])
            self._check(feed)
            other = self._feeds.get(account_id)
            if other is None or other.lost:
                feed.load(opened.seq, opened.orders, members)
                self._feeds[account_id] = feed
                return feed
        except BaseException:
            self._tail.unfollow(account_id, feed)
            raise
        # Somebody was faster.
        self._tail.unfollow(account_id, feed)
        return other

    async def resume(self, account_id: int, from_seq: int, tell: Sink, end: Callable[[], None]) -> Subscribed:
        """The same, beginning with what commands told after event `from_seq`; that is delivered before this returns.

        Raises -1130 where the log does not reach back to it, or it lies ahead, and -1008 where too many do so.
        """
        async with self._past.turn():
            feed = self._followed(account_id)
            try:
                opened = await self._reads.open_orders_at(account_id, LOAD_TIMEOUT_S)
                groups = await self._past.of_account(account_id, after=from_seq, until=opened.seq)
                seq, groups = align(from_seq, groups)
                orders = await self._orders_at(account_id, opened, groups)
                members = await self._members(account_id, [view for view, _ in orders])
                self._check(feed)
                leave = self._listen(feed, Listener(tell, end, from_seq))
                feed.load(seq, orders, members, groups, opened.seq)
            except BaseException:
                self._tail.unfollow(account_id, feed)
                raise
        self._share(feed)
        return Subscribed(from_seq, leave)

    def _told_to(self, feed: AccountFeed) -> int:
        """Up to which event the account's past has been told to the feed's listeners: as far as the tail has read, or
        as PostgreSQL was when the feed was loaded.
        """
        return max(self._tail.seq, feed.seq)

    def _share(self, feed: AccountFeed) -> None:
        """`feed` has told the past. It and the shared one become one: the one that is behind goes on, and tells what is
        still to come to those alone who have not heard it from the other.
        """
        account_id, other = feed.account_id, self._feeds.get(feed.account_id)
        stays = feed
        if other is not None and not other.lost:
            stays, goes = (other, feed) if self._told_to(other) <= self._told_to(feed) else (feed, other)
            stays.take_over(goes, told_to=self._told_to(goes))
            self._tail.unfollow(account_id, goes)
        self._feeds[account_id] = stays

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

    @staticmethod
    def _check(feed: AccountFeed) -> None:
        """Raise for a feed that has missed events while it was loaded."""
        if feed.lost:
            raise errors.not_executed()

    def _listen(self, feed: AccountFeed, listener: Listener) -> Callable[[], None]:
        """What ends it."""
        feed.listeners.append(listener)
        return lambda: self._leave(feed, listener)

    def _leave(self, feed: AccountFeed, listener: Listener) -> None:
        while feed.successor is not None:
            feed = feed.successor
        if listener in feed.listeners:
            feed.listeners.remove(listener)
        if not feed.listeners:
            self._tail.unfollow(feed.account_id, feed)
            if self._feeds.get(feed.account_id) is feed:
                del self._feeds[feed.account_id]
