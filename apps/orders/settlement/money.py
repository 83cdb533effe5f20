"""Entries and balances of a batch, from its events."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from apps.ledger.columns import (
    Balances,
    Column,
    Entries,
    Terms,
    allocation_entries,
    column,
    entries_of,
    latest_balances,
    merged,
    trade_entries,
)
from apps.ledger.rules import money_postings
from apps.orders.settlement import allocations
from apps.orders.settlement.columns import Batch, Events
from apps.orders.settlement.orders import decrements
from apps.orders.settlement.terms import Applied, Markets
from apps.streams.kinds import EventKind, Side

_TRADE_STATES = (
    ("account_id", "base", "taker_base_available", "taker_base_held"),
    ("account_id", "quote", "taker_quote_available", "taker_quote_held"),
    ("maker_account_id", "base", "maker_base_available", "maker_base_held"),
    ("maker_account_id", "quote", "maker_quote_available", "maker_quote_held"),
)


class Money(NamedTuple):
    """What a batch does to the ledger; `quote_units` is the notional of each of its trades, in order.

    `fill_terms` belong to the fills of sub-accounts (allocations.fills), in order.
    """

    entries: Entries
    balances: Balances
    quote_units: Column
    fill_terms: Terms


class _States:
    """Collects (account, asset, available, held, seq) columns."""

    def __init__(self) -> None:
        self._parts: list[tuple[Column, ...]] = []

    def add(self, account: Any, asset: Any, available: Any, held: Any, seq: Any) -> None:
        self._parts.append(tuple(column(values) for values in (account, asset, available, held, seq)))

    def all(self) -> Balances:
        account, asset, available, held, seq = (
            np.concatenate([part[position] for part in self._parts]) for position in range(5)
        )
        return Balances(account, asset, available, held, np.zeros(len(seq), dtype=np.int64), seq)


def money_of(batch: Batch, markets: Markets, applied: list[Applied]) -> Money:
    """Ledger entries, last balances and notionals of the batch."""
    states = _States()
    for kind in (EventKind.ORDER_ACCEPTED, EventKind.ORDER_AMENDED, EventKind.ORDER_CLOSED):
        events = batch.of(kind)
        pays = _paid_asset(events, _terms(events, markets, applied))
        states.add(events["account_id"], pays, events["available_units"], events["held_units"], events["seq"])
    entered = batch.of(EventKind.PENDING_ENTERED)
    pays = _paid_asset(entered, _terms(entered, markets, applied))
    states.add(entered["account_id"], pays, entered["available_units"], entered["held_units"], entered["seq"])
    less = decrements(batch)
    less_terms = _terms(less, markets, applied)
    takers_asset, makers_asset = _paid_asset(less, less_terms, "taker_side"), _other_asset(less, less_terms)
    states.add(less["account_id"], takers_asset, less["taker_available"], less["taker_held"], less["seq"])
    states.add(less["maker_account_id"], makers_asset, less["maker_available"], less["maker_held"], less["seq"])
    trades = batch.of(EventKind.TRADE)
    terms = _terms(trades, markets, applied)
    assets = {"base": terms.base_asset_id, "quote": terms.quote_asset_id}
    for account, asset, available, held in _TRADE_STATES:
        states.add(trades[account], assets[asset], trades[available], trades[held], trades["seq"])
    shares = batch.of(EventKind.ALLOCATED)
    share_terms, fills = _terms(shares, markets, applied), allocations.fills(batch)
    fill_terms = _terms(fills, markets, applied)
    for asset_id, name in ((share_terms.base_asset_id, "base"), (share_terms.quote_asset_id, "quote")):
        states.add(shares["account_id"], asset_id, shares[f"{name}_available"], shares[f"{name}_held"], shares["seq"])
    moved = batch.of(EventKind.MONEY_MOVED)
    states.add(moved["account_id"], moved["asset_id"], moved["available_units"], moved["held_units"], moved["seq"])
    paid = moved[moved["to_account_id"] != 0]
    states.add(paid["to_account_id"], paid["asset_id"], paid["to_available_units"], paid["to_held_units"], paid["seq"])
    postings = [
        (event.seq, posting) for event in batch.records(EventKind.MONEY_MOVED) for posting in money_postings(event)
    ]
    entries = merged(trade_entries(trades, terms), allocation_entries(fills, fill_terms))
    entries = merged(entries, entries_of(postings))
    quote_units = trades["price_ticks"] * trades["quantity_lots"] * terms.unit_factor
    return Money(entries, latest_balances(states.all(), entries), quote_units, fill_terms)


def _terms(events: Events, markets: Markets, applied: list[Applied]) -> Terms:
    return markets.columns(events["market_id"], events["seq"], applied)


def _paid_asset(events: Events, terms: Terms, side: str = "side") -> npt.NDArray[np.int64]:
    return np.where(events[side] == Side.BUY, terms.quote_asset_id, terms.base_asset_id)


def _other_asset(prevented: Events, terms: Terms) -> npt.NDArray[np.int64]:
    """What the makers of prevented matches pay with."""
    return np.where(prevented["taker_side"] == Side.BUY, terms.base_asset_id, terms.quote_asset_id)
