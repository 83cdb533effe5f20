"""All promises at once, on an exchange that has come to rest."""

import time
from dataclasses import dataclass
from typing import Any

import httpx

from tests.chaos.follower import Follower
from tests.chaos.history import Histories
from tests.chaos.judge import feeds, log, money, orders, record, replay
from tests.chaos.load.forms import SYMBOL
from tests.dialect import Account, Dialect
from tests.stack import Stack

BOOK_PATIENCE_S = 40.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """`broken`: one sentence for each broken promise. `counts`: acknowledged, lost, doubled, events, trades, epochs."""

    broken: list[str]
    counts: dict[str, int]


def verdict(stack: Stack, histories: Histories, follower: Follower, *, full: bool = True) -> Verdict:
    """All promises, and how much there was to keep.

    The load has stopped and settlement is at the head. Not `full`: without replay and `reconcile`, which take seconds.
    """
    follower.read()
    seen = follower.taken()
    found = log.vanished(seen, *follower.again())
    history, broken = log.read(seen)
    found += broken + log.ending_faults(history) + log.id_faults(history)
    kept = record.read(stack.dsn)
    head = (len(history.events), history.chain)
    if kept.watermark[:2] != head:
        found.append(f"PostgreSQL stands at {kept.watermark[:2]}, the log ends at {head}")
    found += orders.faults(histories, history, kept) + money.faults(histories, history, kept)
    found += feeds.faults(histories, history)
    found += _public_faults(stack, histories, history, kept)
    if full:
        found += replay.faults(seen)
        answer = stack.manage("reconcile", check=False)
        if not answer.startswith("equal"):
            found.append(f"reconcile says: {answer.strip()}")
    counts = orders.tally(histories, history, kept)
    counts |= {"events": len(history.events), "trades": len(kept.trades), "epochs": len(set(history.epochs))}
    return Verdict(found, counts)


def _public_faults(stack: Stack, histories: Histories, seen: log.Log, kept: record.Record) -> list[str]:
    """What the trading API says at rest: the book and each account's balances."""
    found = _book_faults(stack, seen, kept)
    codes = {asset: code for code, asset in kept.assets.items()}
    for history in histories.accounts:
        shown = {
            asset: (orders.units(free), orders.units(locked))
            for asset, (free, locked) in _balances(stack, history.account).items()
        }
        mine = {
            codes[asset]: pair
            for (account, asset), pair in kept.balances.items()
            if account == history.account.account_id and pair != (0, 0)
        }
        if shown != mine:
            found.append(f"account {history.account.account_id} is shown {shown}, PostgreSQL has {mine}")
    return found


def _book_faults(stack: Stack, seen: log.Log, kept: record.Record) -> list[str]:
    """Market data follows through redis-edge, which may just have been lost: what counts is where it comes to rest."""
    market = next(m for m in kept.markets.values() if _symbol(m, kept) == SYMBOL)
    deadline = time.monotonic() + BOOK_PATIENCE_S
    while True:
        status, depth = _depth(stack)
        found = (
            feeds.book_faults(kept, seen, market.market_id, depth)
            if status == 200
            else [f"depth answers {status} {depth}"]
        )
        if not found or time.monotonic() > deadline:
            return found
        time.sleep(0.2)


def _depth(stack: Stack) -> tuple[int, Any]:
    answer = httpx.get(stack.base_url + "/api/v3/depth", params={"symbol": SYMBOL, "limit": 5000}, timeout=10)
    return answer.status_code, answer.json()


def _balances(stack: Stack, account: Account) -> dict[str, tuple[str, str]]:
    with Dialect(stack.base_url, account) as client:
        return client.balances()


def _symbol(market: Any, kept: record.Record) -> str:
    codes = {asset: code for code, asset in kept.assets.items()}
    return codes[market.base_asset_id] + codes[market.quote_asset_id]
