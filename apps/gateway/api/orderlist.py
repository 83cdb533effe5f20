"""Order lists over REST and the WebSocket API."""

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from apps.gateway import errors
from apps.gateway.listform import (
    OCO_PARAMS,
    OLD_OCO_PARAMS,
    OTO_PARAMS,
    OTOCO_PARAMS,
    parse_oco,
    parse_old_oco,
    parse_oto,
    parse_otoco,
)
from apps.gateway.listreplies import order_list
from apps.gateway.orderlists import Parse
from apps.gateway.params import Integer, Param, Symbol, Text, Time
from apps.gateway.registry import Call, Security, endpoint
from apps.streams.kinds import ListKind

if TYPE_CHECKING:
    from apps.gateway.gateway import Gateway

FORM_CODES: Final = (
    -1013, -1014, -1100, -1102, -1106, -1111, -1115, -1116, -1117, -1121, -1158, -1165, -1166, -1168, -1196, -1197,
    -1198, -1199, -2010, -1001, -1007,
)  # fmt: skip


START: Final = Time("startTime", from_then_on=True)
END: Final = Time("endTime")


class Placing(NamedTuple):
    """How one kind of list is placed; `orders` is what it counts as."""

    path: str
    ws: str
    kind: ListKind
    params: tuple[Param, ...]
    parse: Parse
    orders: int


def _declare(placing: Placing) -> None:
    @endpoint(
        "POST", placing.path, security=Security.TRADE, params=placing.params, ws=placing.ws, orders=placing.orders,
        error_codes=FORM_CODES,
    )  # fmt: skip
    async def place(gateway: "Gateway", call: Call) -> dict[str, Any]:
        return await gateway.lists.place(placing.kind, placing.parse, call.values, call.account_id)


for _placing in (
    Placing("/api/v3/orderList/oco", "orderList.place.oco", ListKind.OCO, OCO_PARAMS, parse_oco, 2),
    # From before the legs of an OCO were named by their place.
    Placing("/api/v3/order/oco", "orderList.place", ListKind.OCO, OLD_OCO_PARAMS, parse_old_oco, 2),
    Placing("/api/v3/orderList/oto", "orderList.place.oto", ListKind.OTO, OTO_PARAMS, parse_oto, 2),
    Placing("/api/v3/orderList/otoco", "orderList.place.otoco", ListKind.OTOCO, OTOCO_PARAMS, parse_otoco, 3),
):
    _declare(_placing)


@endpoint(
    "DELETE",
    "/api/v3/orderList",
    security=Security.TRADE,
    params=(
        Symbol("symbol", required=True), Integer("orderListId", minimum=1), Text("listClientOrderId"),
        Text("newClientOrderId"),
    ),
    ws="orderList.cancel",
    error_codes=(-1102, -1121, -2011, -1001, -1007),
    is_cancel=True,
)  # fmt: skip
async def cancel_list(gateway: "Gateway", call: Call) -> dict[str, Any]:
    return await gateway.lists.cancel(call.values, call.account_id)


@endpoint(
    "GET",
    "/api/v3/orderList",
    weight=4,
    security=Security.USER_DATA,
    params=(Integer("orderListId", minimum=1), Text("origClientOrderId")),
    ws="orderList.status",
    error_codes=(-1102, -2018),
)
async def get_list(gateway: "Gateway", call: Call) -> dict[str, Any]:
    list_id, client_id = call.values["orderListId"], call.values["origClientOrderId"]
    if list_id is None and client_id is None:
        raise errors.missing_one_of("orderListId", "origClientOrderId")
    view, market = await gateway.reads.order_list(call.account_id, list_id, client_id)
    return order_list(view, market)


@endpoint("GET", "/api/v3/openOrderList", weight=6, security=Security.USER_DATA, ws="openOrderLists.status")
async def open_lists(gateway: "Gateway", call: Call) -> list[dict[str, Any]]:
    return [order_list(view, market) for view, market in await gateway.reads.open_lists(call.account_id)]


@endpoint(
    "GET",
    "/api/v3/allOrderList",
    weight=20,
    security=Security.USER_DATA,
    params=(
        Integer("fromId"), START, END, Integer("limit", minimum=1, cap=1000, default=500),
    ),
    ws="allOrderLists",
    error_codes=(-1106, -1127),
)  # fmt: skip
async def all_lists(gateway: "Gateway", call: Call) -> list[dict[str, Any]]:
    """From an id or time upward, oldest first; the most recent when neither is given."""
    from_id, start_ms, end_ms, limit = (call.values[name] for name in ("fromId", "startTime", "endTime", "limit"))
    if from_id is not None and (start_ms is not None or end_ms is not None):
        raise errors.not_required("fromId")
    if start_ms is not None and end_ms is not None and not 0 <= end_ms - start_ms <= 86_400_000:
        raise errors.range_too_long()
    found = await gateway.reads.all_lists(
        call.account_id, from_id=from_id, start_ms=start_ms, end_ms=end_ms, limit=limit
    )
    return [order_list(view, market) for view, market in found]
