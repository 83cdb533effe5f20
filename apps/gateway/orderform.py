"""From an order request's parameters to the engine's command. Pure."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from apps.common.amounts import AMOUNT_MAX
from apps.gateway import errors
from apps.gateway.dialect import (
    ORDER_TYPES,
    RESPONSE_TYPES,
    SIDES,
    STP_MODES,
    STP_MODES_NOT_ALLOWED,
    TIMES_IN_FORCE,
)
from apps.gateway.filters import lots_of, ticks_of
from apps.gateway.markets import Market
from apps.gateway.params import Amount, Choice, Integer, Param, Symbol, Text
from apps.streams.kinds import OrderKind, StpMode, TimeInForce
from apps.streams.records import PlaceOrder


def _unsupported_type() -> errors.ApiError:
    return errors.invalid_order_type(f"Invalid orderType. Supported here: {', '.join(ORDER_TYPES)}.")


def _unsupported_tif() -> errors.ApiError:
    return errors.invalid_time_in_force(f"Invalid timeInForce. Supported here: {', '.join(TIMES_IN_FORCE)}.")


CLIENT_ID_PARAM: Final = Text("newClientOrderId")

ORDER_PARAMS: Final[tuple[Param, ...]] = (
    Symbol("symbol", required=True),
    Choice("side", required=True, values=SIDES, refuse=errors.invalid_side),
    Choice("type", required=True, values=ORDER_TYPES, refuse=_unsupported_type),
    Choice("timeInForce", values=TIMES_IN_FORCE, refuse=_unsupported_tif),
    Integer("goodTillDate", minimum=1, maximum=AMOUNT_MAX),
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
    # Known to the dialect, used by no order kind that is supported today: refused by name (-1106).
    Amount("stopPrice", above="PRICE_FILTER"),
    Integer("trailingDelta"),
    Integer("strategyId"),
    Integer("strategyType"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Shape:
    """Which parameters a type needs and which it takes besides; any other one is refused by name."""

    required: tuple[str, ...]
    optional: tuple[str, ...] = ()


# An order's terms, in the order in which a missing or superfluous one is named.
TERMS: Final = (
    "timeInForce", "goodTillDate", "quantity", "quoteOrderQty", "price", "icebergQty", "stopPrice", "trailingDelta",
    "strategyId", "strategyType",
)  # fmt: skip
SHAPES: Final = {
    OrderKind.LIMIT: Shape(("timeInForce", "quantity", "price"), ("goodTillDate", "icebergQty")),
    OrderKind.LIMIT_MAKER: Shape(("quantity", "price"), ("goodTillDate", "icebergQty")),
    OrderKind.MARKET: Shape((), ("quantity", "quoteOrderQty")),
}
RESTING: Final = frozenset({TimeInForce.GTC, TimeInForce.GTD})


@dataclass(frozen=True, slots=True)
class OrderForm:
    """A parsed order. `client_id_given` is false where we made one up, so that the order cannot be a repeat."""

    market: Market
    command: PlaceOrder
    response_type: str
    client_id_given: bool


def new_client_id() -> str:
    """22 random characters that no client would choose."""
    return secrets.token_urlsafe(16)


def parse_order(values: Mapping[str, Any], market: Market, account_id: int) -> OrderForm:
    """Check which parameters this type takes, then count ticks and lots. Raises ApiError."""
    kind: OrderKind = values["type"]
    _check_shape(values, SHAPES[kind])
    stp_mode: StpMode | None = values["selfTradePreventionMode"]
    if stp_mode is None:
        raise errors.stp_mode_not_allowed()
    time_in_force = _time_in_force(values, kind)
    price, quantity, budget, display = (
        values[name] for name in ("price", "quantity", "quoteOrderQty", "icebergQty")
    )  # fmt: skip
    if kind is OrderKind.MARKET:
        _check_market(quantity, budget)
    given = values["newClientOrderId"]
    command = PlaceOrder(
        market_id=market.id,
        account_id=account_id,
        price_ticks=0 if price is None else ticks_of(market, price),
        quantity_lots=0 if quantity is None else lots_of(market, quantity),
        budget_units=budget or 0,
        display_lots=0 if display is None else lots_of(market, display),
        expires_ms=values["goodTillDate"] or 0,
        settings_version=market.settings_version,
        side=values["side"],
        order_kind=kind,
        time_in_force=time_in_force,
        stp_mode=stp_mode,
        client_id=given or new_client_id(),
    )
    if command.display_lots:
        if time_in_force not in RESTING:
            raise errors.unsupported_combination()
        if command.display_lots > command.quantity_lots:
            raise errors.iceberg_exceeds_quantity()
    # The dialect's default: FULL for these two, ACK for all others.
    response_type = "FULL" if kind in (OrderKind.LIMIT, OrderKind.MARKET) else "ACK"
    return OrderForm(market, command, values["newOrderRespType"] or response_type, given is not None)


def _check_shape(values: Mapping[str, Any], shape: Shape) -> None:
    for name in TERMS:
        if values[name] is None:
            if name in shape.required:
                raise errors.missing(name)
        elif name not in shape.required and name not in shape.optional:
            raise errors.not_required(name)


def _time_in_force(values: Mapping[str, Any], kind: OrderKind) -> TimeInForce:
    """As asked. A type that takes none is GTC, or GTD where it has an end; one that never rests has none."""
    end = values["goodTillDate"]
    asked: TimeInForce | None = values["timeInForce"]
    if asked is None:
        if kind is OrderKind.MARKET:
            return TimeInForce.NONE
        return TimeInForce.GTC if end is None else TimeInForce.GTD
    if asked is TimeInForce.GTD and end is None:
        raise errors.missing("goodTillDate")
    if asked is not TimeInForce.GTD and end is not None:
        raise errors.not_required("goodTillDate")
    return asked


def _check_market(quantity: int | None, budget: int | None) -> None:
    if quantity is None and budget is None:
        raise errors.missing_one_of("quantity", "quoteOrderQty")
    if quantity is not None and budget is not None:
        raise errors.not_required("quoteOrderQty")
    if budget == 0:
        raise errors.filter_failure("NOTIONAL")
