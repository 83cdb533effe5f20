"""From an order list's parameters to its orders: OCO, OTO, OTOCO, and the OCO of old. Pure.

Each order of a list has parameters of its own with a prefix (aboveType, pendingBelowStopPrice); they are read as those
of a single order, and a refusal names them as they were sent. Orders stand above before below, working before pending.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from apps.gateway import errors
from apps.gateway.dialect import ORDER_TYPES, RESPONSE_TYPES, SIDES, STP_MODES, STP_MODES_NOT_ALLOWED, TIMES_IN_FORCE
from apps.gateway.markets import Market
from apps.gateway.orderform import TERMS, OrderForm, new_client_id, parse_order, strategy_type
from apps.gateway.params import Amount, Choice, Integer, Param, Symbol, Text
from apps.streams.kinds import OrderKind, Side, StpMode

STOPS: Final = frozenset({OrderKind.STOP_LOSS, OrderKind.STOP_LOSS_LIMIT})
PROFITS: Final = frozenset({OrderKind.LIMIT_MAKER, OrderKind.TAKE_PROFIT, OrderKind.TAKE_PROFIT_LIMIT})
OCO_TYPES: Final = {name: kind for name, kind in ORDER_TYPES.items() if kind in STOPS | PROFITS}
WORKING_TYPES: Final = {name: ORDER_TYPES[name] for name in ("LIMIT", "LIMIT_MAKER")}
# `goodTillDate` is ours and for single orders, so legs have no GTD.
LEG_TIMES_IN_FORCE: Final = {name: each for name, each in TIMES_IN_FORCE.items() if name != "GTD"}

# A single order's parameter and what follows the prefix of a leg's.
SUFFIXES: Final = {
    "type": "Type", "side": "Side", "timeInForce": "TimeInForce", "quantity": "Quantity", "price": "Price",
    "stopPrice": "StopPrice", "trailingDelta": "TrailingDelta", "icebergQty": "IcebergQty",
    "newClientOrderId": "ClientOrderId", "strategyId": "StrategyId", "strategyType": "StrategyType",
}  # fmt: skip


def _invalid_tif() -> errors.ApiError:
    return errors.invalid_time_in_force(f"Invalid timeInForce. Supported here: {', '.join(LEG_TIMES_IN_FORCE)}.")


_COMMON: Final[tuple[Param, ...]] = (
    Symbol("symbol", required=True),
    Text("listClientOrderId"),
    Choice("newOrderRespType", values={name: name for name in RESPONSE_TYPES}),
    Choice(
        "selfTradePreventionMode", values={**STP_MODES, **dict.fromkeys(STP_MODES_NOT_ALLOWED)},
        default=StpMode.EXPIRE_TAKER,
    ),
)  # fmt: skip
_SIDE: Final = Choice("side", required=True, values=SIDES, refuse=errors.invalid_side)


def _terms(prefix: str) -> tuple[Param, ...]:
    """What every leg may have beside its type, side and quantity."""
    return (
        Text(f"{prefix}ClientOrderId"),
        Choice(f"{prefix}TimeInForce", values=LEG_TIMES_IN_FORCE, refuse=_invalid_tif),
        Amount(f"{prefix}Price", above="PRICE_FILTER"),
        Amount(f"{prefix}StopPrice", above="PRICE_FILTER"),
        Integer(f"{prefix}TrailingDelta"),
        Amount(f"{prefix}IcebergQty", above="LOT_SIZE"),
        Integer(f"{prefix}StrategyId"),
        strategy_type(f"{prefix}StrategyType"),
    )


def _pair(above: str, below: str) -> tuple[Param, ...]:
    """The two legs of an OCO; side and quantity are theirs in common."""
    return (
        Choice(f"{above}Type", required=True, values=OCO_TYPES, refuse=errors.oco_type),
        *_terms(above),
        Choice(f"{below}Type", required=True, values=OCO_TYPES, refuse=errors.oco_type),
        *_terms(below),
    )


def _single(prefix: str, types: Mapping[str, OrderKind]) -> tuple[Param, ...]:
    return (
        Choice(f"{prefix}Type", required=True, values=types, refuse=errors.invalid_order_type),
        Choice(f"{prefix}Side", required=True, values=SIDES, refuse=errors.invalid_side),
        Amount(f"{prefix}Quantity", required=True, above="LOT_SIZE"),
        *_terms(prefix),
    )


OCO_PARAMS: Final = (*_COMMON, _SIDE, Amount("quantity", required=True, above="LOT_SIZE"), *_pair("above", "below"))
OTO_PARAMS: Final = (*_COMMON, *_single("working", WORKING_TYPES), *_single("pending", ORDER_TYPES))
OTOCO_PARAMS: Final = (
    *_COMMON,
    *_single("working", WORKING_TYPES),
    Choice("pendingSide", required=True, values=SIDES, refuse=errors.invalid_side),
    Amount("pendingQuantity", required=True, above="LOT_SIZE"),
    *_pair("pendingAbove", "pendingBelow"),
)
# POST order/oco, from before the legs were named by their place.
OLD_OCO_PARAMS: Final = (
    *_COMMON,
    _SIDE,
    Amount("quantity", required=True, above="LOT_SIZE"),
    Text("limitClientOrderId"),
    Amount("price", required=True, above="PRICE_FILTER"),
    Amount("limitIcebergQty", above="LOT_SIZE"),
    Integer("limitStrategyId"),
    strategy_type("limitStrategyType"),
    Text("stopClientOrderId"),
    Amount("stopPrice", above="PRICE_FILTER"),
    Integer("trailingDelta"),
    Amount("stopLimitPrice", above="PRICE_FILTER"),
    Choice("stopLimitTimeInForce", values=LEG_TIMES_IN_FORCE, refuse=_invalid_tif),
    Amount("stopIcebergQty", above="LOT_SIZE"),
    Integer("stopStrategyId"),
    strategy_type("stopStrategyType"),
)


@dataclass(frozen=True, slots=True)
class ListForm:
    """A parsed list. `client_id_given` is false where we made one up, so that the list cannot be a repeat."""

    market: Market
    legs: tuple[OrderForm, ...]
    client_id: str
    client_id_given: bool
    response_type: str


def parse_oco(values: Mapping[str, Any], market: Market, account_id: int) -> ListForm:
    side, quantity = values["side"], values["quantity"]
    _check_pair(side, values["aboveType"], values["belowType"])
    legs = tuple(
        _leg(values, prefix, market, account_id, side=side, quantity=quantity) for prefix in ("above", "below")
    )
    return _form(values, market, legs)


def parse_oto(values: Mapping[str, Any], market: Market, account_id: int) -> ListForm:
    legs = tuple(_leg(values, prefix, market, account_id) for prefix in ("working", "pending"))
    return _form(values, market, legs)


def parse_otoco(values: Mapping[str, Any], market: Market, account_id: int) -> ListForm:
    side, quantity = values["pendingSide"], values["pendingQuantity"]
    _check_pair(side, values["pendingAboveType"], values["pendingBelowType"])
    working = _leg(values, "working", market, account_id)
    pending = (
        _leg(values, prefix, market, account_id, side=side, quantity=quantity, quantity_name="pendingQuantity")
        for prefix in ("pendingAbove", "pendingBelow")
    )
    return _form(values, market, (working, *pending))


def parse_old_oco(values: Mapping[str, Any], market: Market, account_id: int) -> ListForm:
    """A post-only limit and a stop, on the sides of the market where they belong."""
    names = {
        "newClientOrderId": "stopClientOrderId", "stopPrice": "stopPrice", "trailingDelta": "trailingDelta",
        "price": "stopLimitPrice", "timeInForce": "stopLimitTimeInForce", "icebergQty": "stopIcebergQty",
        "strategyId": "stopStrategyId", "strategyType": "stopStrategyType",
    }  # fmt: skip
    stop_kind = OrderKind.STOP_LOSS if values["stopLimitPrice"] is None else OrderKind.STOP_LOSS_LIMIT
    stop = _order(values, names, stop_kind, market, account_id)
    names = {
        "newClientOrderId": "limitClientOrderId", "price": "price", "icebergQty": "limitIcebergQty",
        "strategyId": "limitStrategyId", "strategyType": "limitStrategyType",
    }  # fmt: skip
    limit = _order(values, names, OrderKind.LIMIT_MAKER, market, account_id)
    return _form(values, market, (limit, stop) if values["side"] == Side.SELL else (stop, limit))


def _order(
    values: Mapping[str, Any], names: Mapping[str, str], kind: OrderKind, market: Market, account_id: int
) -> OrderForm:  # fmt: skip
    """One leg of an old OCO; `names` is what a single order's parameters are called."""
    own = dict.fromkeys(TERMS) | {name: values[sent] for name, sent in names.items()}
    own |= {"side": values["side"], "quantity": values["quantity"], "type": kind}
    return _parse(own, values, market, account_id, lambda name: names.get(name, name))


def _leg(
    values: Mapping[str, Any], prefix: str, market: Market, account_id: int, *, side: Side | None = None,
    quantity: int | None = None, quantity_name: str = "quantity",
) -> OrderForm:  # fmt: skip
    """`side` and `quantity` where the legs share them."""
    own: dict[str, Any] = dict.fromkeys(TERMS)
    own |= {name: values.get(f"{prefix}{suffix}") for name, suffix in SUFFIXES.items()}
    if quantity is not None:
        own |= {"side": side, "quantity": quantity}

    def named(name: str) -> str:
        shared = quantity is not None and name == "quantity"
        return quantity_name if shared else f"{prefix}{SUFFIXES[name]}" if name in SUFFIXES else name

    return _parse(own, values, market, account_id, named)


def _parse(
    own: dict[str, Any], values: Mapping[str, Any], market: Market, account_id: int, named: Callable[[str], str]
) -> OrderForm:  # fmt: skip
    own["selfTradePreventionMode"] = values["selfTradePreventionMode"]
    own["newOrderRespType"] = values["newOrderRespType"]
    return parse_order(own, market, account_id, named)


def _form(values: Mapping[str, Any], market: Market, legs: tuple[OrderForm, ...]) -> ListForm:
    given = values["listClientOrderId"]
    return ListForm(market, legs, given or new_client_id(), given is not None, values["newOrderRespType"] or "RESULT")


def _check_pair(side: Side, above: OrderKind, below: OrderKind) -> None:
    """A stop-loss on the losing side of the market, the other order on the winning one."""
    if above is OrderKind.LIMIT_MAKER and below is OrderKind.LIMIT_MAKER:
        raise errors.oco_both_limit()
    selling = side == Side.SELL
    winning, losing = (above, below) if selling else (below, above)
    if losing is OrderKind.LIMIT_MAKER:
        raise errors.oco_limit_side(selling=selling)
    if losing not in STOPS:
        raise errors.oco_profit_side(selling=selling)
    if winning in STOPS:
        raise errors.oco_stop_side(selling=selling)
