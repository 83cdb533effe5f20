"""Reads for pages: what an account has, what it has open, what it did. The newest first; ids page on.

PostgreSQL is the only read model. A page that must not be behind its own order waits with `settled_seq` first
(architecture.md section 3, reads after writes).
"""

from dataclasses import dataclass
from typing import Final

from django.conf import settings
from django.db.models import Q

from apps.ledger.models import Balance
from apps.matching.models import Watermark
from apps.orders.models import OPEN_STATUSES, Order, PreventedMatch, Trade
from apps.orders.settlement.transaction import READER

PAGE_SIZE: Final = 50


@dataclass(frozen=True, slots=True)
class OwnTrade:
    """A trade from one account's side. The fee is in what the account received; below zero it is a rebate, paid in
    what the other side received."""

    trade: Trade
    order_id: int
    is_buyer: bool
    is_maker: bool
    fee_units: int


def settled_seq(shard: str) -> int:
    """Event up to which everything below is true."""
    return Watermark.objects.filter(shard=shard, reader=READER).values_list("seq", flat=True).first() or 0


def balances(*, account_id: int) -> list[Balance]:
    """Balances on this process's shard that are not zero, by asset."""
    rows = Balance.objects.filter(shard=settings.SHARD, account_id=account_id).exclude(available_units=0, held_units=0)
    return list(rows.order_by("asset_id"))


def open_orders(*, account_id: int, market_id: int | None = None) -> list[Order]:
    """All open orders of the account, the newest first."""
    rows = Order.objects.filter(account_id=account_id, status__in=[int(status) for status in OPEN_STATUSES])
    return list((rows.filter(market_id=market_id) if market_id else rows).order_by("-id"))


def order_history(
    *, account_id: int, market_id: int | None = None, before_id: int | None = None, limit: int = PAGE_SIZE
) -> list[Order]:
    """Orders in any state with an id below `before_id`, the newest first."""
    rows = Order.objects.filter(account_id=account_id)
    if market_id:
        rows = rows.filter(market_id=market_id)
    if before_id:
        rows = rows.filter(id__lt=before_id)
    return list(rows.order_by("-id")[:limit])


def own_trades(
    *, account_id: int, market_id: int, before_trade_id: int | None = None, limit: int = PAGE_SIZE
) -> list[OwnTrade]:
    """Trades of the account in one market with a trade id below `before_trade_id`, the newest first."""
    older = Q(trade_id__lt=before_trade_id) if before_trade_id else Q()
    sides = [
        Trade.objects.filter(older, market_id=market_id, **{f"{side}_account_id": account_id}).order_by("-trade_id")
        for side in ("maker", "taker")
    ]
    # Each side by its own index; an OR of both would read the account's whole history.
    found = {trade.trade_id: trade for side in sides for trade in side[:limit]}
    return [_own(found[trade_id], account_id) for trade_id in sorted(found, reverse=True)[:limit]]


def prevented_matches(
    *,
    account_id: int,
    market_id: int,
    order_id: int | None = None,
    prevented_id: int | None = None,
    from_prevented_id: int = 0,
    limit: int = PAGE_SIZE,
) -> list[PreventedMatch]:
    """Prevented matches in which an order of the account was taker or maker, the oldest first, from an id on.

    With `order_id` only that order's, with `prevented_id` that one alone.
    """
    rows = PreventedMatch.objects.filter(market_id=market_id, prevented_id__gte=from_prevented_id)
    if prevented_id is not None:
        rows = rows.filter(prevented_id=prevented_id)
    found: dict[int, PreventedMatch] = {}
    for side in ("taker", "maker"):
        own = rows.filter(**{f"{side}_account_id": account_id})
        if order_id is not None:
            own = own.filter(**{f"{side}_order_id": order_id})
        # Each side by its own index, as with trades.
        found |= {row.prevented_id: row for row in own.order_by("prevented_id")[:limit]}
    return [found[key] for key in sorted(found)[:limit]]


def _own(trade: Trade, account_id: int) -> OwnTrade:
    is_maker = trade.maker_account_id == account_id
    return OwnTrade(
        trade=trade,
        order_id=trade.maker_order_id if is_maker else trade.taker_order_id,
        is_buyer=trade.taker_is_buyer != is_maker,
        is_maker=is_maker,
        fee_units=trade.maker_fee_units if is_maker else trade.taker_fee_units,
    )
