"""What a block order would give each account, by the engine's own functions (T12), before any is placed."""

from collections.abc import Sequence
from typing import NamedTuple

from apps.common.amounts import format_units
from apps.markets.models import Market
from apps.matching.engine.allocation import next_lots
from apps.matching.engine.allocation_rules import AllocationRule
from apps.orders.errors import NotWholeLots, RequestsMissing
from apps.streams.kinds import Reason


class Part(NamedTuple):
    """Of one account: its share of the whole order, and of the part that is filled. Decimal texts in the base asset."""

    account_id: int
    share: str
    filled: str


def preview(
    *,
    market: Market,
    method: int,
    accounts: Sequence[int],
    weights_bp: Sequence[int],
    requested_units: Sequence[int],
    quantity_units: int,
    filled_units: int,
) -> list[Part]:
    """The parts in the order of the rule, for an order of `quantity_units` of which `filled_units` fill in one step.

    `requested_units` are what each account asks for, in the same order, for a pro-rata rule only. Raises NotWholeLots
    and RequestsMissing.
    """
    quantity, filled = _lots(market, quantity_units), _lots(market, filled_units)
    requested = [_lots(market, units) for units in requested_units]
    shares = AllocationRule(method, accounts, weights_bp).final_lots(quantity, requested)
    if isinstance(shares, Reason):
        raise RequestsMissing("For this method write behind each account how much it asks for, together more than 0.")
    parts = next_lots(shares, [0] * len(shares), filled) if filled else [0] * len(shares)
    return [
        Part(account_id, _amount(market, share), _amount(market, part))
        for account_id, share, part in zip(accounts, shares, parts, strict=True)
    ]


def _lots(market: Market, units: int) -> int:
    lots, rest = divmod(units, market.lot_size)
    if rest:
        raise NotWholeLots(f"Amounts in {market.symbol} are multiples of {format_units(market.lot_size)}.")
    return lots


def _amount(market: Market, lots: int) -> str:
    return format_units(lots * market.lot_size)
