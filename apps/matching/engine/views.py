"""Read-only views for `reconcile`, `engine_status` and metrics: plain values, in a fixed order, never state objects."""

from collections.abc import Iterator
from typing import Final, NamedTuple

from apps.matching.engine.list_tables import open_lists
from apps.matching.engine.order_list import Stage
from apps.matching.engine.state import State
from apps.matching.engine.terms import Terms
from apps.streams.kinds import HaltCause, MarketState

_NO_TERMS: Final = Terms()


class BalanceRow(NamedTuple):
    account_id: int
    asset_id: int
    available_units: int
    held_units: int


class OrderRow(NamedTuple):
    """An open order. client_id is "" where it has none.

    `left_lots` counts an iceberg's reserve, `shown_lots` does not. display_lots, expires_ms, stop_price_ticks and
    trailing_bips are 0 where not used. `waiting` is a Waiting, 0 for an order that stands in a book. `is_pending`: it
    waits for the working order of its list, order_list_id, which is 0 without one.
    """

    order_id: int
    account_id: int
    market_id: int
    side: int
    kind: int
    price_ticks: int
    quantity_lots: int
    left_lots: int
    filled_lots: int
    filled_quote_units: int
    priority: int
    client_id: str
    shown_lots: int
    prevented_lots: int
    display_lots: int
    expires_ms: int
    waiting: int
    stop_price_ticks: int
    trailing_bips: int
    order_list_id: int
    is_pending: bool


class ShareRow(NamedTuple):
    """A sub-account's share of an open block order."""

    order_id: int
    account_id: int
    final_lots: int
    allocated_lots: int


class OrderListRow(NamedTuple):
    """An open order list; list_id is its first order's id, `order_ids` are all of them, also those that have ended.

    `has_entered`: what was pending has been brought to its turn; always so of an OCO.
    """

    list_id: int
    account_id: int
    market_id: int
    kind: int
    has_entered: bool
    client_id: str
    order_ids: tuple[int, ...]


class HoldRow(NamedTuple):
    key: str
    account_id: int
    asset_id: int
    amount_units: int


class AccountRow(NamedTuple):
    account_id: int
    family_id: int
    fee_tier: int


class AllocationRow(NamedTuple):
    """An allocation rule, for `weights_bp` of a fixed one in the order of its accounts."""

    account_id: int
    rule_id: int
    method: int
    accounts: tuple[int, ...]
    weights_bp: tuple[int, ...]


class AssetRow(NamedTuple):
    """external_units is what came in minus what went out: equal to all balances plus fee_units."""

    asset_id: int
    code: str
    external_units: int
    fee_units: int


class MarketRow(NamedTuple):
    """Best prices are 0 where that side is empty, last_price_ticks before the first trade.

    `skips` is how many of its commands failed and were skipped since staff last moved it. `until_ms`, `reopens_ms` and
    `rule_id` are those of its last MARKET_STATE_CHANGED, `auction_*` of its last AUCTION_PRICE while it is in AUCTION,
    `halt_*` of its last HALT_DISTANCE.
    """

    market_id: int
    symbol: str
    state: MarketState
    cause: HaltCause
    settings_version: int
    best_bid_ticks: int
    best_ask_ticks: int
    last_price_ticks: int
    last_trade_id: int
    bid_levels: int
    ask_levels: int
    skips: int
    until_ms: int
    reopens_ms: int
    rule_id: int
    auction_ticks: int
    auction_lots: int
    halt_up_ticks: int
    halt_down_ticks: int


class Counters(NamedTuple):
    """`skips` is how many commands without a market failed and were skipped since the last third one."""

    seq: int
    now_ms: int
    last_order_id: int
    accounts: int
    open_orders: int
    holds: int
    remembered_client_ids: int
    skips: int


def balances(state: State) -> Iterator[BalanceRow]:
    """By (account_id, asset_id); balances without units are left out."""
    for account_id, account in sorted(state.accounts.items()):
        for asset_id, balance in sorted(account.balances.items()):
            if balance.available_units or balance.held_units:
                yield BalanceRow(account_id, asset_id, balance.available_units, balance.held_units)


def open_orders(state: State) -> Iterator[OrderRow]:
    """By order_id."""
    for order in state.open_orders():
        terms = order.terms or _NO_TERMS
        order_list = terms.order_list
        yield OrderRow(
            order.order_id,
            order.account.account_id,
            order.market.market_id,
            order.side,
            order.kind,
            order.price_ticks,
            order.quantity_lots,
            order.open_lots,
            order.filled_lots,
            order.filled_quote_units,
            order.priority,
            _text(order.client_id),
            order.left_lots,
            terms.prevented_lots,
            terms.display_lots,
            terms.expires_ms,
            terms.waiting,
            terms.stop_price_ticks,
            terms.trailing_bips,
            0 if order_list is None else order_list.list_id,
            order_list is not None and order_list.holds_nothing(order),
        )


def shares(state: State) -> Iterator[ShareRow]:
    """By order_id, of one order in the order of its rule."""
    for order in state.open_orders():
        if order.terms is not None and order.terms.block is not None:
            for share in order.terms.block.shares:
                yield ShareRow(
                    order.order_id, share.seat.account.account_id, share.final_lots, share.allocated_lots
                )  # fmt: skip


def order_lists(state: State) -> Iterator[OrderListRow]:
    """By list_id."""
    for each in open_lists(state):
        yield OrderListRow(
            each.list_id,
            each.seat.account.account_id,
            each.seat.market.market_id,
            each.kind,
            each.stage is not Stage.WORKING,
            _text(each.client_id),
            each.order_ids,
        )


def holds(state: State) -> Iterator[HoldRow]:
    """By key."""
    for key, held in sorted(state.holds.items()):
        yield HoldRow(_text(key), held.account_id, held.asset_id, held.amount_units)


def assets(state: State) -> Iterator[AssetRow]:
    """By asset_id."""
    for asset_id, asset in sorted(state.assets.items()):
        yield AssetRow(asset_id, _text(asset.code), asset.external_units, asset.fee_units)


def asset_classes(state: State) -> Iterator[tuple[int, str]]:
    """(asset_id, class) of the assets that have one, by asset_id."""
    for asset_id, asset in sorted(state.assets.items()):
        if asset.asset_class:
            yield asset_id, _text(asset.asset_class)


def accounts(state: State) -> Iterator[AccountRow]:
    """By account_id."""
    for account_id, account in sorted(state.accounts.items()):
        yield AccountRow(account_id, account.family_id, account.fee_tier)


def allocations(state: State) -> Iterator[AllocationRow]:
    """By (account_id, rule_id)."""
    for account_id, account in sorted(state.accounts.items()):
        for rule_id, rule in sorted(account.allocations.items()):
            yield AllocationRow(account_id, rule_id, rule.method, rule.accounts, rule.weights_bp)


def markets(state: State) -> Iterator[MarketRow]:
    """By market_id."""
    for market_id, market in sorted(state.markets.items()):
        yield MarketRow(
            market_id,
            market.settings.symbol,
            MarketState(market.state),
            HaltCause(market.cause),
            market.settings_version,
            market.bids.best_price(),
            market.asks.best_price(),
            market.last_price_ticks,
            market.last_trade_id,
            len(market.bids.keys),
            len(market.asks.keys),
            market.skips,
            market.until_ms,
            market.reopens_ms,
            market.rule_id,
            market.auction_ticks,
            market.auction_lots,
            market.told.up_ticks,
            market.told.down_ticks,
        )


def depth(state: State, market_id: int, side: int, limit: int) -> list[tuple[int, int]]:
    """(price_ticks, lots) of the best `limit` levels, best first."""
    book_side = state.markets[market_id].side(side)
    best = book_side.keys[: -limit - 1 : -1] if limit else []
    return [(book_side.levels[key].price_ticks, book_side.levels[key].lots) for key in best]


def counters(state: State) -> Counters:
    return Counters(
        state.journal.seq,
        state.journal.now_ms,
        state.last_order_id,
        len(state.accounts),
        sum(len(seat.open_orders) for account in state.accounts.values() for seat in account.seats),
        len(state.holds),
        len(state.client_ids.ring),
        state.skips,
    )


def _text(field: bytes) -> str:
    return field.rstrip(b"\0").decode("ascii")
