"""Money: trades of PostgreSQL against the log, balances recomputed from deposits and trades, nothing else (I1-I3, I10).

A trade moves lots * lot size of the base from seller to buyer and the notional of the quote back. The taker's fee is
taken from what the taker receives, the maker's from what the maker receives; a negative maker fee is a rebate that
comes out of the taker's fee.
"""

from collections import Counter
from typing import Any

from tests.chaos.history import Histories
from tests.chaos.judge.log import MONEY_MOVED, TRADE, Log
from tests.chaos.judge.orders import units
from tests.chaos.judge.record import OPEN, SCALE, Record

FEES, SAFU, EXTERNAL = 2, 3, 4
# SAFU gets a tenth of each gross fee, rounded up.
SAFU_PART = 10
CREDIT = 10
BUY = 0
_SAME = (
    "market_id", "trade_id", "agg_id", "maker_order_id", "taker_order_id", "maker_account_id", "price_ticks",
    "quantity_lots", "taker_fee_units", "maker_fee_units", "seq",
)  # fmt: skip


def faults(histories: Histories, log: Log, record: Record) -> list[str]:
    found = _trade_faults(log, record) + _fill_faults(record)
    found += [
        f"the entries of event {row.seq} in asset {row.asset_id} add up to {row.sum}" for row in record.unbalanced
    ]
    found += [f"balance {row} is not the sum of its entries" for row in record.unposted]
    if record.outbox_waiting:
        found.append(f"{record.outbox_waiting} outbox rows still wait for the engine")
    return found + _deposit_faults(histories, log, record) + _balance_faults(log, record)


def _trade_faults(log: Log, record: Record) -> list[str]:
    """The fills of the log are the trades of PostgreSQL: each once, none more."""
    events = log.of(TRADE)
    found = []
    if len(events) != len(record.trades):
        found.append(f"the log has {len(events)} trades, PostgreSQL {len(record.trades)}")
    for event, row in zip(events, record.trades, strict=False):
        differing = [name for name in _SAME if getattr(event, name) != getattr(row, name)]
        if differing or row.taker_account_id != event.account_id or row.time_ms != event.cmd_ms:
            found.append(f"trade of event {event.seq} and row {row.id} differ in {differing or 'account or time'}")
            break
    return found


def _fill_faults(record: Record) -> list[str]:
    lots: Counter[int] = Counter()
    quote: Counter[int] = Counter()
    for trade in record.trades:
        for order in (trade.maker_order_id, trade.taker_order_id):
            lots[order] += trade.quantity_lots
            quote[order] += trade.quote_units
    return [
        f"order {row.id} has {row.filled_lots} lots filled for {row.filled_quote_units}, its trades"
        f" {lots[row.id]} for {quote[row.id]}"
        for row in record.by_id.values()
        if (row.filled_lots, row.filled_quote_units) != (lots[row.id], quote[row.id])
    ]


def _deposit_faults(histories: Histories, log: Log, record: Record) -> list[str]:
    """Each account was credited what its test paid in, once; the outside world gave what the log says."""
    credited: Counter[tuple[int, int]] = Counter()
    for event in log.of(MONEY_MOVED):
        assert event.op == CREDIT, "the rig only deposits"
        credited[event.account_id, event.asset_id] += event.amount_units
    found = []
    for history in histories.accounts:
        for code, amount in history.funds.items():
            got = credited[history.account.account_id, record.assets[code]]
            if got != units(amount):
                found.append(f"account {history.account.account_id} was credited {got} of {amount} {code}")
    outside: Counter[int] = Counter()
    for (_, asset), amount_units in credited.items():
        outside[asset] -= amount_units
    kept = {asset: posted for (kind, asset), posted in record.house.items() if kind == EXTERNAL}
    return found + (
        [f"the outside world stands at {kept}, deposits say {dict(outside)}"] if kept != dict(outside) else []
    )


def _balance_faults(log: Log, record: Record) -> list[str]:
    expected, house = _expected(log, record)
    found = []
    for key in sorted(expected.keys() | record.balances.keys()):
        available, held = record.balances.get(key, (0, 0))
        total, locked = expected.get(key, (0, 0))
        if (available + held, held) != (total, locked):
            found.append(
                f"account {key[0]} has {available} + {held} held of asset {key[1]}; deposits, fills and open orders say"
                f" {total - locked} + {locked}"
            )
    kept = {key: posted for key, posted in record.house.items() if key[0] in (FEES, SAFU) and posted}
    if kept != {key: amount for key, amount in house.items() if amount}:
        found.append(f"house income and SAFU stand at {kept}, trades give {dict(house)}")
    return found


def _expected(log: Log, record: Record) -> tuple[dict[tuple[int, int], tuple[int, int]], Counter[tuple[int, int]]]:
    """({(account, asset): (total, held)}, {(FEES or SAFU, asset): units}) from deposits, trades and open orders."""
    total: Counter[tuple[int, int]] = Counter()
    house: Counter[tuple[int, int]] = Counter()
    for event in log.of(MONEY_MOVED):
        total[event.account_id, event.asset_id] += event.amount_units
    for trade in record.trades:
        market = record.markets[trade.market_id]
        base, quote = market.base_asset_id, market.quote_asset_id
        lots, notional = (
            trade.quantity_lots * market.lot_size,
            _notional(market, trade.price_ticks, trade.quantity_lots),
        )
        buyer, seller = trade.taker_account_id, trade.maker_account_id
        taker_gets, maker_gets = base, quote
        if not trade.taker_is_buyer:
            buyer, seller, taker_gets, maker_gets = seller, buyer, quote, base
        total[buyer, base] += lots
        total[seller, base] -= lots
        total[buyer, quote] -= notional
        total[seller, quote] += notional
        rebate_asset = taker_gets if trade.maker_fee_units < 0 else maker_gets
        total[trade.taker_account_id, taker_gets] -= trade.taker_fee_units
        total[trade.maker_account_id, rebate_asset] -= trade.maker_fee_units
        gross = ((taker_gets, trade.taker_fee_units), (maker_gets, max(trade.maker_fee_units, 0)))
        for asset, fee in gross:
            share = -(-fee // SAFU_PART)
            house[SAFU, asset] += share
            house[FEES, asset] += fee - share
        house[FEES, rebate_asset] += min(trade.maker_fee_units, 0)
    # The two legs of a list share one hold, the larger need of them.
    needs: dict[tuple[int, int, int], int] = {}
    for order in record.by_id.values():
        if order.status in OPEN:
            market, left = record.markets[order.market_id], order.quantity_lots - order.filled_lots
            asset, need = market.base_asset_id, left * market.lot_size
            if order.side == BUY:
                asset, need = market.quote_asset_id, _notional(market, order.price_ticks, left)
            key = (order.account_id, asset, order.order_list_id or order.id)
            needs[key] = max(needs.get(key, 0), need)
    held: Counter[tuple[int, int]] = Counter()
    for (account, asset, _), need in needs.items():
        held[account, asset] += need
    return {key: (total[key], held[key]) for key in total.keys() | held.keys()}, house


def _notional(market: Any, price_ticks: int, lots: int) -> int:
    return int(price_ticks * lots * (market.lot_size * market.tick_size // SCALE))
