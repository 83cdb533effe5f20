"""From an order request's parameters to the engine's command. Pure."""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from apps.common.amounts import AMOUNT_MAX
from apps.gateway import errors
from apps.gateway.dialect import (
    ORDER_TYPES,
    RESPONSE_TYPES,
    SIDES,
    STP_MODES,
    STP_MODES_NOT_ALLOWED,
    STRATEGY_TYPE_MAX,
    STRATEGY_TYPE_MIN,
    TIMES_IN_FORCE,
)
from apps.gateway.filters import lots_of, ticks_of, trailing_of
from apps.gateway.markets import Market
from apps.gateway.params import Amount, Choice, Integer, Param, Symbol, Text, Time
from apps.streams.commands import PlaceOrder, Strategy
from apps.streams.kinds import AcceptedFlag, OrderKind, StpMode, TimeInForce


def _unsupported_type() -> errors.ApiError:
    return errors.invalid_order_type(f"Invalid orderType. Supported here: {', '.join(ORDER_TYPES)}.")


def _unsupported_tif() -> errors.ApiError:
    return errors.invalid_time_in_force(f"Invalid timeInForce. Supported here: {', '.join(TIMES_IN_FORCE)}.")


def strategy_type(name: str) -> Integer:
    """Of an order; smaller numbers are the dialect's own."""
    return Integer(name, minimum=STRATEGY_TYPE_MIN, maximum=STRATEGY_TYPE_MAX)


CLIENT_ID_PARAM: Final = Text("newClientOrderId")

ORDER_PARAMS: Final[tuple[Param, ...]] = (
    Symbol("symbol", required=True),
    Choice("side", required=True, values=SIDES, refuse=errors.invalid_side),
    Choice("type", required=True, values=ORDER_TYPES, refuse=_unsupported_type),
    Choice("timeInForce", values=TIMES_IN_FORCE, refuse=_unsupported_tif),
    Time("goodTillDate", minimum=1, maximum=AMOUNT_MAX),
    Amount("quantity", above="LOT_SIZE"),
    Amount("quoteOrderQty", above="NOTIONAL"),
    Amount("price", above="PRICE_FILTER"),
    CLIENT_ID_PARAM,
    Choice("newOrderRespType", values={name: name for name in RESPONSE_TYPES}),
    Choice(
        "selfTradePreventionMode", values={**STP_MODES, **dict.fromkeys(STP_MODES_NOT_ALLOWED)},
        default=StpMode.EXPIRE_TAKER,
    ),
    Amount("icebergQty", above="LOT_SIZE"),
    Amount("stopPrice", above="PRICE_FILTER"),
    Integer("trailingDelta"),
    Integer("strategyId"),
    strategy_type("strategyType"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Shape:
    """Which parameters a type needs and which it takes besides; any other one is refused by name.

    `trigger`: it needs a stop price, a trailing distance, or both. `rests`: it may, so it has a time in force.
    `response_type`: of an answer whose form was not chosen.
    """

    required: tuple[str, ...]
    optional: tuple[str, ...] = ()
    trigger: bool = False
    rests: bool = True
    response_type: str = "ACK"


# An order's terms, in the order in which a missing or superfluous one is named.
TERMS: Final = (
    "timeInForce", "goodTillDate", "quantity", "quoteOrderQty", "price", "icebergQty", "stopPrice", "trailingDelta",
)  # fmt: skip
_TRIGGER: Final = ("stopPrice", "trailingDelta")
_STOP: Final = Shape(("quantity",), _TRIGGER, trigger=True, rests=False)
_STOP_LIMIT: Final = Shape(
    ("timeInForce", "quantity", "price"), (*_TRIGGER, "goodTillDate", "icebergQty"), trigger=True
)
SHAPES: Final = {
    OrderKind.LIMIT: Shape(("timeInForce", "quantity", "price"), ("goodTillDate", "icebergQty"), response_type="FULL"),
    OrderKind.LIMIT_MAKER: Shape(("quantity", "price"), ("goodTillDate", "icebergQty")),
    OrderKind.MARKET: Shape((), ("quantity", "quoteOrderQty"), rests=False, response_type="FULL"),
    OrderKind.STOP_LOSS: _STOP,
    OrderKind.STOP_LOSS_LIMIT: _STOP_LIMIT,
    OrderKind.TAKE_PROFIT: _STOP,
    OrderKind.TAKE_PROFIT_LIMIT: _STOP_LIMIT,
}
RESTING: Final = frozenset({TimeInForce.GTC, TimeInForce.GTD})
# Looked up once: a member of an enumeration costs a call each time (Python 3.11).
_MARKET: Final = OrderKind.MARKET
_GTD: Final = TimeInForce.GTD


class OrderForm(msgspec.Struct, frozen=True):
    """A parsed order. `client_id_given` is false where we made one up, so that the order cannot be a repeat."""

    market: Market
    command: PlaceOrder
    response_type: str
    client_id_given: bool


def new_client_id() -> str:
    """22 random characters that no client would choose."""
    return secrets.token_urlsafe(16)


def as_sent(name: str) -> str:
    """A parameter's name in a request that places one order."""
    return name


def parse_order(
    values: Mapping[str, Any], market: Market, account_id: int, named: Callable[[str], str] = as_sent
) -> OrderForm:
    """Check which parameters this type takes, then count ticks and lots. Raises ApiError.

    `named` is what the request calls a parameter, for refusals: the orders of a list have names of their own.
    """
    kind: OrderKind = values["type"]
    shape = SHAPES[kind]
    _check_shape(values, shape, named)
    stp_mode: StpMode | None = values["selfTradePreventionMode"]
    if stp_mode is None:
        raise errors.stp_mode_not_allowed()
    time_in_force = _time_in_force(values, shape, named)
    price, quantity, budget = values["price"], values["quantity"], values["quoteOrderQty"]
    display, stop_price, trailing = values["icebergQty"], values["stopPrice"], values["trailingDelta"]
    if kind is _MARKET:
        _check_market(quantity, budget)
    given = values["newClientOrderId"]
    command = PlaceOrder(
        market_id=market.id,
        account_id=account_id,
        price_ticks=0 if price is None else ticks_of(market, price),
        quantity_lots=0 if quantity is None else lots_of(market, quantity),
        budget_units=budget or 0,
        display_lots=0 if display is None else lots_of(market, display),
        stop_price_ticks=0 if stop_price is None else ticks_of(market, stop_price),
        expires_ms=values["goodTillDate"] or 0,
        trailing_bips=0 if trailing is None else trailing_of(trailing),
        settings_version=market.settings_version,
        side=values["side"],
        order_kind=kind,
        time_in_force=time_in_force,
        stp_mode=stp_mode,
        client_id=given or new_client_id(),
        strategy=_strategy(values["strategyId"], values["strategyType"]),
    )
    if command.display_lots:
        if time_in_force not in RESTING:
            raise errors.unsupported_combination()
        if command.display_lots > command.quantity_lots:
            raise errors.iceberg_exceeds_quantity()
    return OrderForm(market, command, values["newOrderRespType"] or shape.response_type, given is not None)


def _strategy(strategy_id: int | None, kind: int | None) -> Strategy | None:
    """Which of the account's strategies the order belongs to, as the account says; None where it says nothing."""
    if strategy_id is None and kind is None:
        return None
    given = AcceptedFlag.STRATEGY_ID * (strategy_id is not None) | AcceptedFlag.STRATEGY_TYPE * (kind is not None)
    return Strategy(strategy_id=strategy_id or 0, strategy_type=kind or 0, given=given)


def _check_shape(values: Mapping[str, Any], shape: Shape, named: Callable[[str], str]) -> None:
    for name in TERMS:
        if values[name] is None:
            if name in shape.required:
                raise errors.missing(named(name))
        elif name not in shape.required and name not in shape.optional:
            raise errors.not_required(named(name))
    if shape.trigger and values["stopPrice"] is None and values["trailingDelta"] is None:
        raise errors.missing_one_of(named("stopPrice"), named("trailingDelta"))


def _time_in_force(values: Mapping[str, Any], shape: Shape, named: Callable[[str], str]) -> TimeInForce:
    """As asked. A type that takes none is GTC, or GTD where it has an end; one that never rests has none."""
    end = values["goodTillDate"]
    asked: TimeInForce | None = values["timeInForce"]
    if asked is None:
        if not shape.rests:
            return TimeInForce.NONE
        return TimeInForce.GTC if end is None else TimeInForce.GTD
    if asked is _GTD:
        if end is None:
            raise errors.missing(named("goodTillDate"))
    elif end is not None:
        raise errors.not_required(named("goodTillDate"))
    return asked


def _check_market(quantity: int | None, budget: int | None) -> None:
    if quantity is None and budget is None:
        raise errors.missing_one_of("quantity", "quoteOrderQty")
    if quantity is not None and budget is not None:
        raise errors.not_required("quoteOrderQty")
    if budget == 0:
        raise errors.filter_failure("NOTIONAL")
