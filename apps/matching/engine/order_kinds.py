"""The kinds of order, as data: which steps each has in the order of work (matching-rules.md 2)."""

from collections.abc import Callable
from typing import Final, NamedTuple

from apps.matching.engine import limit, market_order, stop_order
from apps.matching.engine.book import Order
from apps.matching.engine.state import State
from apps.streams.kinds import OrderKind, Reason


class KindRules(NamedTuple):
    """The steps of a kind: format; filters and band; the rest, from the account's limits on.

    `enter` is the last part of it alone, for an order that has its id and its hold since it was accepted.
    """

    is_well_formed: Callable[[Order], bool]
    fault: Callable[[State, Order], Reason | None]
    place: Callable[[State, Order], Reason | None]
    enter: Callable[[State, Order], None]


_LIMIT: Final = KindRules(limit.is_well_formed, limit.limit_order_fault, limit.place_limit, limit.match_and_rest)
_MARKET: Final = KindRules(
    market_order.is_well_formed, market_order.market_order_fault, market_order.place_market, market_order.enter_market
)
_STOP_LIMIT: Final = KindRules(
    stop_order.is_well_formed_limit, stop_order.stop_limit_fault, stop_order.place_conditional, limit.match_and_rest
)
_STOP_MARKET: Final = KindRules(
    stop_order.is_well_formed_market,
    stop_order.stop_market_fault,
    stop_order.place_conditional,
    market_order.enter_market,
)

KINDS: Final = {
    int(OrderKind.LIMIT): _LIMIT,
    int(OrderKind.MARKET): _MARKET,
    int(OrderKind.LIMIT_MAKER): _LIMIT._replace(is_well_formed=limit.is_well_formed_maker),
    int(OrderKind.STOP_LOSS): _STOP_MARKET,
    int(OrderKind.STOP_LOSS_LIMIT): _STOP_LIMIT,
    int(OrderKind.TAKE_PROFIT): _STOP_MARKET,
    int(OrderKind.TAKE_PROFIT_LIMIT): _STOP_LIMIT,
}

# Whose checks a conditional order passes when it takes its turn.
BECOMES: Final = {
    int(OrderKind.STOP_LOSS): int(OrderKind.MARKET),
    int(OrderKind.STOP_LOSS_LIMIT): int(OrderKind.LIMIT),
    int(OrderKind.TAKE_PROFIT): int(OrderKind.MARKET),
    int(OrderKind.TAKE_PROFIT_LIMIT): int(OrderKind.LIMIT),
}
