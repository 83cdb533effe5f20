"""Orders and cancels over REST and the WebSocket API."""

from typing import TYPE_CHECKING, Any, Final

from apps.gateway import commission, errors
from apps.gateway.blockorders import BLOCK_PARAMS
from apps.gateway.dialect import CANCEL_RESTRICTIONS, REPLACE_MODES
from apps.gateway.marketstate import newest_state
from apps.gateway.orderform import CLIENT_ID_PARAM, ORDER_PARAMS
from apps.gateway.params import Amount, Choice, Flag, Integer, Param, Symbol, Text
from apps.gateway.registry import Call, Security, endpoint
from apps.matching.engine.cancel_timer import TIMEOUT_MS_MAX
from apps.matching.engine.states import PASSES, Entry

if TYPE_CHECKING:
    from apps.gateway.gateway import Gateway

FORM_CODES: Final = (-1013, -1100, -1102, -1106, -1111, -1115, -1116, -1117, -1121)
CANCEL_PARAMS: Final[tuple[Param, ...]] = (
    Symbol("symbol", required=True),
    Integer("orderId", minimum=1),
    Text("origClientOrderId"),
    CLIENT_ID_PARAM,
)
RESTRICTIONS_PARAM: Final = Choice(
    "cancelRestrictions", values=CANCEL_RESTRICTIONS, refuse=errors.invalid_cancel_restrictions
)
# Whether the cancel is done although the account has sent too many orders.
LIMIT_MODES: Final = {"DO_NOTHING": False, "CANCEL_ONLY": True}
REPLACE_PARAMS: Final[tuple[Param, ...]] = (
    *ORDER_PARAMS,
    Choice("cancelReplaceMode", required=True, values=REPLACE_MODES),
    Integer("cancelOrderId", minimum=1),
    Text("cancelOrigClientOrderId"),
    Text("cancelNewClientOrderId"),
    RESTRICTIONS_PARAM,
    Choice("orderRateLimitExceededMode", values=LIMIT_MODES, default=False),
)


@endpoint(
    "POST",
    "/api/v3/order",
    security=Security.TRADE,
    params=ORDER_PARAMS,
    ws="order.place",
    orders=1,
    error_codes=(*FORM_CODES, -2010, -1001, -1007),
)
async def place(gateway: "Gateway", call: Call) -> dict[str, Any]:
    return await gateway.orders.place(call.values, call.account_id)


@endpoint(
    "POST", "/api/v3/order/test", weight=lambda values: 20 if values["computeCommissionRates"] else 1,
    security=Security.TRADE, params=(*ORDER_PARAMS, Flag("computeCommissionRates", default=False)), ws="order.test",
    error_codes=(*FORM_CODES, -2010),
)  # fmt: skip
async def test(gateway: "Gateway", call: Call) -> dict[str, Any]:
    gateway.orders.check(call.values, call.account_id)
    market = gateway.markets.get(call.values["symbol"])
    entry = PASSES[newest_state(market, gateway.public.known(market))]
    if entry.new_order is Entry.NOTHING:
        raise errors.refusal(entry.refusal)
    if not call.values["computeCommissionRates"]:
        return {}
    maker, taker = await gateway.reads.fees(call.account_id, market)
    return commission.of_order(maker, taker)


@endpoint(
    "DELETE",
    "/api/v3/order",
    security=Security.TRADE,
    params=(*CANCEL_PARAMS, RESTRICTIONS_PARAM),
    ws="order.cancel",
    error_codes=(-1102, -1121, -1145, -2011, -1001, -1007),
    is_cancel=True,
)
async def cancel(gateway: "Gateway", call: Call) -> dict[str, Any]:
    return await gateway.orders.cancel(call.values, call.account_id)


@endpoint(
    "POST",
    "/api/v3/order/cancelReplace",
    security=Security.TRADE,
    params=REPLACE_PARAMS,
    ws="order.cancelReplace",
    orders=1,
    survives_order_limit=lambda values: bool(values["orderRateLimitExceededMode"]),
    error_codes=(*FORM_CODES, -1015, -1145, -2021, -2022, -1001, -1007),
)
async def cancel_replace(gateway: "Gateway", call: Call) -> dict[str, Any]:
    if call.too_many_orders is not None:
        raise await gateway.replacements.cancel_only(call.values, call.account_id, call.too_many_orders)
    return await gateway.replacements.replace(call.values, call.account_id)


@endpoint(
    "PUT",
    "/api/v3/order/amend/keepPriority",
    weight=4,
    security=Security.TRADE,
    params=(*CANCEL_PARAMS, Amount("newQty", required=True, above="LOT_SIZE")),
    ws="order.amend.keepPriority",
    error_codes=(-1013, -1102, -1121, -2038, -1001, -1007),
)
async def amend_keep_priority(gateway: "Gateway", call: Call) -> dict[str, Any]:
    return await gateway.amendments.amend(call.values, call.account_id)


@endpoint(
    "POST",
    "/api/v3/blockOrder",
    security=Security.TRADE,
    params=BLOCK_PARAMS,
    ws="blockOrder.place",
    orders=1,
    error_codes=(*FORM_CODES, -1014, -2010, -1001, -1007),
)
async def place_block(gateway: "Gateway", call: Call) -> dict[str, Any]:
    """Ours: one order for the accounts of an allocation rule."""
    return await gateway.blocks.place(call.values, call.account_id)


@endpoint(
    "GET",
    "/api/v3/blockAllocations",
    weight=lambda values: 80 if values["orderId"] is None else 20,
    security=Security.USER_DATA,
    params=(Symbol("symbol", required=True), Integer("orderId", minimum=1)),
    ws="blockOrder.allocations",
    error_codes=(-1121, -2013),
)
async def block_allocations(gateway: "Gateway", call: Call) -> list[dict[str, Any]]:
    return await gateway.blocks.allocations(call.values, call.account_id)


@endpoint(
    "POST",
    "/api/v3/cancelAllAfter",
    security=Security.TRADE,
    params=(Integer("timeout", required=True, maximum=TIMEOUT_MS_MAX),),
    ws="cancelAllAfter",
    error_codes=(-1102, -1130, -2011, -1001, -1007),
    is_cancel=True,
)
async def cancel_all_after(gateway: "Gateway", call: Call) -> dict[str, int]:
    """Ours: milliseconds until all orders of the account are cancelled, unless it is set anew before; 0 stops it."""
    return await gateway.orders.cancel_all_after(call.values["timeout"], call.account_id)


@endpoint(
    "DELETE",
    "/api/v3/openOrders",
    security=Security.TRADE,
    params=(Symbol("symbol", required=True),),
    ws="openOrders.cancelAll",
    error_codes=(-1121, -2011, -1001, -1007),
    is_cancel=True,
)
async def cancel_open_orders(gateway: "Gateway", call: Call) -> list[dict[str, Any]]:
    return await gateway.orders.cancel_all(call.values, call.account_id)
