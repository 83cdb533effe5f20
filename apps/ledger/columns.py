"""Entries and balances of a whole batch as numpy columns (int64). Same rules as rules.py; a property test says so.

Sums wrap modulo 2^64, which is exact here: every result is the difference of two amounts below 2^62.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from apps.ledger.models import OwnerKind
from apps.ledger.rules import Posting
from apps.streams.kinds import Side, TradeFlag

Column = npt.NDArray[np.int64]

_TRADE_KINDS: Final = np.array(
    [OwnerKind.USER] * 4 + [OwnerKind.SAFU, OwnerKind.FEES, OwnerKind.SAFU, OwnerKind.FEES], dtype=np.int64
)


@dataclass(frozen=True, slots=True)
class Entries:
    """Ledger lines, one a position in every column; ascending by (seq, n)."""

    seq: Column
    n: Column
    asset_id: Column
    kind: Column
    owner_id: Column
    amount_units: Column

    def __len__(self) -> int:
        return len(self.seq)


@dataclass(frozen=True, slots=True)
class Balances:
    """Absolute balances after their event, and what the entries of the batch add (`posted_units`)."""

    account_id: Column
    asset_id: Column
    available_units: Column
    held_units: Column
    posted_units: Column
    seq: Column

    def __len__(self) -> int:
        return len(self.seq)


@dataclass(frozen=True, slots=True)
class Terms:
    """MarketTerms of each event, column-wise."""

    base_asset_id: Column
    quote_asset_id: Column
    lot_size: Column
    unit_factor: Column


def column(values: npt.NDArray[np.generic] | Sequence[int]) -> Column:
    """Any integer column of an event as int64; the engine keeps every number below 2^63."""
    return np.asarray(values).astype(np.int64)


def trade_entries(trades: npt.NDArray[np.void], terms: Terms) -> Entries:
    """Entries of TRADE events (a structured array of that kind), as rules.trade_postings says."""
    count = len(trades)
    taker_buys = (trades["flags"] & TradeFlag.TAKER_IS_BUYER) != 0
    taker, maker = column(trades["account_id"]), column(trades["maker_account_id"])
    lots, taker_fee, maker_fee_signed = trades["quantity_lots"], trades["taker_fee_units"], trades["maker_fee_units"]
    quote_units = trades["price_ticks"] * lots * terms.unit_factor
    base_units = lots * terms.lot_size
    maker_fee, rebate = np.maximum(maker_fee_signed, 0), np.maximum(-maker_fee_signed, 0)
    base_fee, quote_fee = np.where(taker_buys, taker_fee, maker_fee), np.where(taker_buys, maker_fee, taker_fee)
    base_rebate, quote_rebate = np.where(taker_buys, rebate, 0), np.where(taker_buys, 0, rebate)
    base_safu, quote_safu = -(-base_fee // 10), -(-quote_fee // 10)
    amounts = np.stack(
        [
            quote_rebate - quote_units,
            quote_units - quote_fee,
            base_units - base_fee,
            base_rebate - base_units,
            base_safu,
            base_fee - base_safu - base_rebate,
            quote_safu,
            quote_fee - quote_safu - quote_rebate,
        ],
        axis=1,
    )
    buyer, seller = np.where(taker_buys, taker, maker), np.where(taker_buys, maker, taker)
    nobody = np.zeros(count, dtype=np.int64)
    owners = np.stack([buyer, seller, buyer, seller, nobody, nobody, nobody, nobody], axis=1)
    base, quote = terms.base_asset_id, terms.quote_asset_id
    assets = np.stack([quote, quote, base, base, base, base, quote, quote], axis=1)
    kept = (amounts != 0) | (np.arange(8) < 4)
    rows, numbers = np.nonzero(kept)
    return Entries(
        seq=column(trades["seq"])[rows],
        n=numbers.astype(np.int64),
        asset_id=assets[kept],
        kind=_TRADE_KINDS[numbers],
        owner_id=owners[kept],
        amount_units=amounts[kept],
    )


def allocation_entries(fills: npt.NDArray[np.void], terms: Terms) -> Entries:
    """Entries of ALLOCATED events of step FILLED, as rules.allocation_postings says."""
    owner, account = column(fills["owner_account_id"]), column(fills["account_id"])
    quote_units = fills["price_ticks"] * fills["quantity_lots"] * terms.unit_factor
    base_units = fills["quantity_lots"] * terms.lot_size
    fee, rebate = np.maximum(fills["fee_units"], 0), np.maximum(-fills["fee_units"], 0)
    buys = fills["side"] == Side.BUY
    quote_change = np.where(buys, rebate - quote_units, quote_units - fee)
    base_change = np.where(buys, base_units - fee, rebate - base_units)
    amounts = np.stack([-quote_change, quote_change, -base_change, base_change], axis=1)
    owners = np.stack([owner, account, owner, account], axis=1)
    base, quote = terms.base_asset_id, terms.quote_asset_id
    assets = np.stack([quote, quote, base, base], axis=1)
    kept = np.repeat((owner != account)[:, None], 4, axis=1)
    rows, numbers = np.nonzero(kept)
    return Entries(
        seq=column(fills["seq"])[rows],
        n=numbers.astype(np.int64),
        asset_id=assets[kept],
        kind=np.full(len(rows), OwnerKind.USER, dtype=np.int64),
        owner_id=owners[kept],
        amount_units=amounts[kept],
    )


def entries_of(postings: Iterable[tuple[int, Posting]]) -> Entries:
    """Columns of single postings, each with its event's seq; ascending by seq."""
    rows = np.array([(seq, *posting) for seq, posting in postings], dtype=np.int64).reshape(-1, 6)
    return Entries(*(np.ascontiguousarray(rows[:, position]) for position in range(6)))


def merged(first: Entries, second: Entries) -> Entries:
    """Both, ascending by seq; one event's entries stand in one of the two."""
    seq = np.concatenate([first.seq, second.seq])
    order = np.argsort(seq, kind="stable")
    return Entries(
        seq=seq[order],
        n=np.concatenate([first.n, second.n])[order],
        asset_id=np.concatenate([first.asset_id, second.asset_id])[order],
        kind=np.concatenate([first.kind, second.kind])[order],
        owner_id=np.concatenate([first.owner_id, second.owner_id])[order],
        amount_units=np.concatenate([first.amount_units, second.amount_units])[order],
    )


def summed(
    first_key: Column, second_key: Column, amounts: Column, seq: Column
) -> tuple[Column, Column, Column, Column]:
    """(first key, second key, sum, last seq) of each distinct key pair, ascending by key."""
    order = np.lexsort((seq, second_key, first_key))
    first_key, second_key, amounts, seq = first_key[order], second_key[order], amounts[order], seq[order]
    starts = _group_starts(first_key, second_key)
    if not len(starts):
        return first_key, second_key, amounts, seq
    ends = np.append(starts[1:], len(first_key)) - 1
    return first_key[starts], second_key[starts], np.add.reduceat(amounts, starts), seq[ends]


def latest_balances(states: Balances, entries: Entries) -> Balances:
    """One row for each (account, asset) in ascending order: its last state, and the sum of its entries.

    `states` are all states the batch's events carry (posted_units is not read). An entry on an account whose events
    carry no balance breaks the contract of the events and stops settlement.
    """
    order = np.lexsort((states.seq, states.asset_id, states.account_id))
    accounts, assets = states.account_id[order], states.asset_id[order]
    starts = _group_starts(accounts, assets)
    last = order[np.append(starts[1:], len(accounts)) - 1] if len(starts) else order
    users = entries.kind == OwnerKind.USER
    owners, owner_assets, sums, _ = summed(
        entries.owner_id[users], entries.asset_id[users], entries.amount_units[users], entries.seq[users]
    )
    keys = _pairs(states.account_id[last], states.asset_id[last])
    wanted = _pairs(owners, owner_assets)
    places = np.searchsorted(keys, wanted)
    assert np.array_equal(keys[np.minimum(places, len(keys) - 1)], wanted) if len(wanted) else True, (
        "an entry stands on an account whose balance no event of the batch carries"
    )
    posted = np.zeros(len(last), dtype=np.int64)
    posted[places] = sums
    return Balances(
        account_id=states.account_id[last],
        asset_id=states.asset_id[last],
        available_units=states.available_units[last],
        held_units=states.held_units[last],
        posted_units=posted,
        seq=states.seq[last],
    )


def _group_starts(first_key: Column, second_key: Column) -> Column:
    changes = (np.diff(first_key) != 0) | (np.diff(second_key) != 0)
    starts: Column = np.flatnonzero(np.concatenate([np.ones(min(len(first_key), 1), dtype=bool), changes]))
    return starts


def _pairs(first: Column, second: Column) -> npt.NDArray[np.void]:
    """Key pairs as one sortable column."""
    pairs = np.empty(len(first), dtype=[("first", np.int64), ("second", np.int64)])
    pairs["first"], pairs["second"] = first, second
    return pairs
