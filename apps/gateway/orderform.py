"""From an order request's parameters to the engine's command. Pure."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from apps.gateway import errors
from apps.gateway.dialect import ORDER_TYPES, RESPONSE_TYPES, SIDES, STP_MODES, TIMES_IN_FORCE
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
    Amount("quantity", above="LOT_SIZE"),
    Amount("quoteOrderQty", above="NOTIONAL"),
    Amount("price", above="PRICE_FILTER"),
    CLIENT_ID_PARAM,
    Choice("newOrderRespType", values={name: name for name in RESPONSE_TYPES}),
    Choice("selfTradePreventionMode", values=STP_MODES, default=StpMode.EXPIRE_TAKER),
    # Known to the dialect, used by no order kind that is supported today: refused by name (-1106).
    Amount("stopPrice", above="PRICE_FILTER"),
    Amount("icebergQty", above="LOT_SIZE"),
    Integer("trailingDelta"),
    Integer("strategyId"),
    Integer("strategyType"),
)
UNUSED: Final = ("stopPrice", "icebergQty", "trailingDelta", "strategyId", "strategyType")


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
    for name in UNUSED:
        if values[name] is not None:
            raise errors.not_required(name)
    kind: OrderKind = values["type"]
    numbers = _limit_numbers(values, market) if kind is OrderKind.LIMIT else _market_numbers(values, market)
    price_ticks, quantity_lots, budget_units = numbers
    given = values["newClientOrderId"]
    command = PlaceOrder(
        market_id=market.id,
        account_id=account_id,
        price_ticks=price_ticks,
        quantity_lots=quantity_lots,
        budget_units=budget_units,
        settings_version=market.settings_version,
        side=values["side"],
        order_kind=kind,
        time_in_force=TimeInForce.GTC if kind is OrderKind.LIMIT else TimeInForce.NONE,
        stp_mode=values["selfTradePreventionMode"],
        client_id=given or new_client_id(),
    )
    # The dialect's default is FULL for both kinds.
    return OrderForm(market, command, values["newOrderRespType"] or "FULL", given is not None)


def _limit_numbers(values: Mapping[str, Any], market: Market) -> tuple[int, int, int]:
    for name in ("timeInForce", "quantity", "price"):
        if values[name] is None:
            raise errors.missing(name)
    if values["quoteOrderQty"] is not None:
        raise errors.not_required("quoteOrderQty")
    return ticks_of(market, values["price"]), lots_of(market, values["quantity"]), 0


def _market_numbers(values: Mapping[str, Any], market: Market) -> tuple[int, int, int]:
    for name in ("timeInForce", "price"):
        if values[name] is not None:
            raise errors.not_required(name)
    quantity, budget = values["quantity"], values["quoteOrderQty"]
    if quantity is None and budget is None:
        raise errors.missing_one_of("quantity", "quoteOrderQty")
    if quantity is not None and budget is not None:
        raise errors.not_required("quoteOrderQty")
    if quantity is not None:
        return 0, lots_of(market, quantity), 0
    if budget == 0:
        raise errors.filter_failure("NOTIONAL")
    return 0, 0, budget
