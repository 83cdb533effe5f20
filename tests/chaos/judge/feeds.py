"""Streams: depth ids join and never go back; user data has every event of the account, once, in the log's order."""

import itertools
from collections import Counter, defaultdict
from typing import Any

from tests.chaos.history import FeedMessage, Histories, History
from tests.chaos.judge.log import ACCEPTED, AMENDED, CLOSED, REFILLED, RESTED, TRADE, TRIGGERED, Log
from tests.chaos.judge.orders import units
from tests.chaos.judge.record import OPEN, Record

FILLED = 3
WAITING = 2  # flag of ORDER_ACCEPTED


def faults(histories: Histories, log: Log) -> list[str]:
    return [
        *_depth_faults(histories.depth),
        *_snapshot_faults(histories.snapshots),
        *(fault for history in histories.accounts for fault in _report_faults(history, log)),
    ]


def _depth_faults(messages: list[FeedMessage]) -> list[str]:
    found, last, connection = [], 0, 0
    for message in messages:
        first, newest = message.body["U"], message.body["u"]
        if message.connection == connection and first != last + 1:
            found.append(f"depth message {first}-{newest} follows one that ended at {last}")
        # A gateway that came back may repeat its market's last message: a client drops what it has (clients.md 5).
        if newest < last or (newest == last and message.connection == connection):
            found.append(f"depth ids went back from {last} to {newest}")
        if newest < first:
            found.append(f"depth message ends at {newest} before it begins at {first}")
        last, connection = newest, message.connection
    return found


def _snapshot_faults(messages: list[FeedMessage]) -> list[str]:
    ids = [message.body["lastUpdateId"] for message in messages]
    return [f"the depth snapshot went back from {a} to {b}" for a, b in itertools.pairwise(ids) if b < a]


def _report_faults(history: History, log: Log) -> list[str]:
    """Within one connection the reports are a stretch of the account's own story: none missing, doubled or moved."""
    account = history.account.account_id
    story = _story(account, log)
    place_of = {step: place for place, step in enumerate(story)}
    by_connection: dict[int, list[FeedMessage]] = defaultdict(list)
    for message in history.reports:
        by_connection[message.connection].append(message)
    found = []
    newest = -1
    for messages in by_connection.values():
        steps = [_step(message.body) for message in messages if message.body.get("e") == "executionReport"]
        if not steps:
            continue
        unknown = [step for step in steps if step not in place_of]
        if unknown:
            found.append(f"account {account} was told {unknown[0]}, which never happened")
            continue
        start = place_of[steps[0]]
        if steps != story[start : start + len(steps)]:
            found.append(f"account {account} was told {len(steps)} steps from {steps[0]} on, not all or not in order")
        if start < newest:
            found.append(f"account {account} was told {steps[0]} after later steps, on a newer connection")
        newest = max(newest, start)
    return found


def _story(account: int, log: Log) -> list[tuple[str, int, int]]:
    """(what, order id, trade id) of everything that happened to the account's orders, in the order of the log.

    An order that waited is NEW twice, accepted and triggered; so NEW has its event's seq in the place of a trade id.
    """
    story = []
    for kind, event in zip(log.kinds, log.events, strict=True):
        if kind in (ACCEPTED, TRIGGERED) and event.account_id == account:
            story.append(("NEW", event.order_id, event.seq))
        elif kind == AMENDED and event.account_id == account:
            story.append(("REPLACED", event.order_id, -1))
        elif kind == TRADE:
            if event.account_id == account:
                story.append(("TRADE", event.taker_order_id, event.trade_id))
            if event.maker_account_id == account:
                story.append(("TRADE", event.maker_order_id, event.trade_id))
        elif kind == CLOSED and event.account_id == account and event.status != FILLED:
            story.append(("CLOSED", event.order_id, -1))
    return story


def _step(report: dict[str, Any]) -> tuple[str, int, int]:
    """An order that ends because it met one of its own account's is told as TRADE_PREVENTION."""
    ended = report["x"] in ("CANCELED", "EXPIRED") or report["X"] == "EXPIRED_IN_MATCH"
    what = "CLOSED" if ended else report["x"]
    return what, report["i"], report["I"] if what == "NEW" else report["t"]


def book_faults(record: Record, log: Log, market_id: int, depth: dict[str, Any]) -> list[str]:
    """The public book is exactly the open orders, level by level: of icebergs their tips, and none that waits."""
    market, tips, waiting = record.markets[market_id], _tips(log), _waiting(log)
    open_lots: tuple[Counter[int], Counter[int]] = Counter(), Counter()
    for order in record.by_id.values():
        if order.status in OPEN and order.market_id == market_id and order.id not in waiting:
            lots = min(order.quantity_lots - order.filled_lots, tips.get(order.id, order.quantity_lots))
            open_lots[order.side][order.price_ticks * market.tick_size] += lots
    found = []
    for side, name in enumerate(("bids", "asks")):
        shown = {units(price): units(quantity) for price, quantity in depth[name]}
        kept = {price: lots * market.lot_size for price, lots in open_lots[side].items()}
        if shown != kept:
            found.append(f"the public {name} are {shown}, the open orders {kept}")
    return found


def _waiting(log: Log) -> set[int]:
    """Orders that were accepted to wait for a trigger and never had one."""
    waits = {event.order_id for event in log.of(ACCEPTED) if event.flags & WAITING}
    return waits - {event.order_id for event in log.of(TRIGGERED)}


def _tips(log: Log) -> dict[int, int]:
    """What each iceberg that rests shows: its first tip, less what was taken of it, until the next one is told."""
    shown, tips = {event.order_id: event.display_lots for event in log.of(ACCEPTED) if event.display_lots}, {}
    for kind, event in zip(log.kinds, log.events, strict=True):
        if kind == ACCEPTED and event.order_id in shown and event.level_lots:
            tips[event.order_id] = min(event.display_lots, event.quantity_lots)
        elif kind == RESTED and event.order_id in shown:
            tips[event.order_id] = min(shown[event.order_id], event.left_lots)
        elif kind == REFILLED:
            tips[event.order_id] = event.tip_lots
        elif kind == TRADE and event.maker_order_id in tips:
            tips[event.maker_order_id] -= event.quantity_lots
    return tips
