"""Private reads: account, orders, trades. Each waits until what was durable on arrival is settled."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from apps.common.amounts import format_units
from apps.gateway import commission, errors
from apps.gateway.dialect import NO_LIST, NO_TRADE_GROUP, STP_NAMES
from apps.gateway.exchangeinfo import OF_ACCOUNT, filters
from apps.gateway.limits.tiers import order_rows
from apps.gateway.ownhistory import OwnPreventedMatch, OwnTrade
from apps.gateway.params import Flag, Integer, Symbol, Text, Time
from apps.gateway.registry import Call, Security, endpoint
from apps.gateway.replies import order_status
from apps.streams.kinds import StpMode

if TYPE_CHECKING:
    from apps.gateway.gateway import Gateway
    from apps.gateway.markets import Market

DAY_MS: Final = 86_400_000
SYMBOL: Final = Symbol("symbol", required=True)
START: Final = Time("startTime", from_then_on=True)
END: Final = Time("endTime")
RANGE: Final = (START, END, Integer("limit", minimum=1, cap=1000, default=500))
PPM_PER_BASIS_POINT: Final = 100


@endpoint(
    "GET",
    "/api/v3/account",
    weight=20,
    security=Security.USER_DATA,
    params=(Flag("omitZeroBalances", default=False),),
    ws="account.status",
)
async def account(gateway: "Gateway", call: Call) -> dict[str, Any]:
    balances = await gateway.reads.balances(call.account_id)
    # Rates of the account's tier; where markets differ, the highest, so that nobody is promised less.
    tier = await gateway.reads.fee_tier(call.account_id)
    tiers = [market.fees[min(tier, len(market.fees) - 1)] for market in gateway.markets.by_id.values()]
    maker_ppm = max((maker for maker, _ in tiers), default=0)
    taker_ppm = max((taker for _, taker in tiers), default=0)
    assert call.credential is not None, "the endpoint has security"
    return {
        "makerCommission": maker_ppm // PPM_PER_BASIS_POINT,
        "takerCommission": taker_ppm // PPM_PER_BASIS_POINT,
        "buyerCommission": 0,
        "sellerCommission": 0,
        "commissionRates": {
            "maker": commission.rate(maker_ppm),
            "taker": commission.rate(taker_ppm),
            "buyer": commission.rate(0),
            "seller": commission.rate(0),
        },
        "canTrade": call.credential.can_trade and not call.credential.frozen,
        "canWithdraw": False,
        "canDeposit": False,
        "brokered": False,
        "requireSelfTradePrevention": True,
        "preventSor": False,
        "updateTime": call.received_ms,
        "accountType": "SPOT",
        "balances": [
            {
                "asset": gateway.markets.asset_code(asset_id),
                "free": format_units(available),
                "locked": format_units(held),
            }
            for asset_id, (available, held) in sorted(balances.items())
            if available or held or not call.values["omitZeroBalances"]
        ],
        "permissions": ["SPOT"],
        "uid": call.account_id,
    }


@endpoint(
    "GET", "/api/v3/account/commission", weight=20, security=Security.USER_DATA, params=(SYMBOL,),
    ws="account.commission", error_codes=(-1121,),
)  # fmt: skip
async def account_commission(gateway: "Gateway", call: Call) -> dict[str, Any]:
    market = gateway.markets.get(call.values["symbol"])
    maker, taker = await gateway.reads.fees(call.account_id, market)
    return commission.of_account(market.symbol, maker, taker)


@endpoint(
    "GET",
    "/api/v3/order",
    weight=4,
    security=Security.USER_DATA,
    params=(SYMBOL, Integer("orderId", minimum=1), Text("origClientOrderId")),
    ws="order.status",
    error_codes=(-1102, -1121, -2013),
)
async def get_order(gateway: "Gateway", call: Call) -> dict[str, Any]:
    market = gateway.markets.get(call.values["symbol"])
    order_id, client_id = call.values["orderId"], call.values["origClientOrderId"]
    if order_id is None and client_id is None:
        raise errors.missing_one_of("origClientOrderId", "orderId")
    return order_status(await gateway.reads.order(call.account_id, market, order_id, client_id), market)


@endpoint(
    "GET",
    "/api/v3/order/amendments",
    weight=4,
    security=Security.USER_DATA,
    params=(
        SYMBOL, Integer("orderId", required=True, minimum=1), Integer("fromExecutionId"),
        Integer("limit", minimum=1, cap=1000, default=500),
    ),
    ws="order.amendments",
    error_codes=(-1121, -2013),
)  # fmt: skip
async def order_amendments(gateway: "Gateway", call: Call) -> list[dict[str, Any]]:
    """Oldest first. An amended order keeps its client order id."""
    market = gateway.markets.get(call.values["symbol"])
    order = await gateway.reads.order(call.account_id, market, call.values["orderId"], None)
    found = await gateway.own_history.amendments(order.order_id, call.values["fromExecutionId"], call.values["limit"])
    return [
        {
            "symbol": market.symbol,
            "orderId": order.order_id,
            "executionId": each.seq,
            "origClientOrderId": order.client_id,
            "newClientOrderId": order.client_id,
            "origQty": market.quantity(each.old_lots),
            "newQty": market.quantity(each.new_lots),
            "time": each.time_ms,
        }
        for each in found
    ]


@endpoint(
    "GET",
    "/api/v3/openOrders",
    weight=lambda values: 6 if values["symbol"] is not None else 80,
    security=Security.USER_DATA,
    params=(Symbol("symbol"),),
    ws="openOrders.status",
    error_codes=(-1121,),
)
async def open_orders(gateway: "Gateway", call: Call) -> list[dict[str, Any]]:
    symbol = call.values["symbol"]
    market = None if symbol is None else gateway.markets.get(symbol)
    found = await gateway.reads.open_orders(call.account_id, market)
    return [order_status(view, of_market) for view, of_market in found]


@endpoint(
    "GET",
    "/api/v3/allOrders",
    weight=20,
    security=Security.USER_DATA,
    params=(SYMBOL, Integer("orderId"), *RANGE),
    ws="allOrders",
    error_codes=(-1121, -1127),
)
async def all_orders(gateway: "Gateway", call: Call) -> list[dict[str, Any]]:
    market = gateway.markets.get(call.values["symbol"])
    _check_range(call.values)
    found = await gateway.reads.all_orders(
        call.account_id, market, from_id=call.values["orderId"], start_ms=call.values["startTime"],
        end_ms=call.values["endTime"], limit=call.values["limit"],
    )  # fmt: skip
    return [order_status(view, market) for view in found]


@endpoint(
    "GET",
    "/api/v3/myTrades",
    weight=lambda values: 5 if values["orderId"] is not None else 20,
    security=Security.USER_DATA,
    params=(SYMBOL, Integer("orderId", minimum=1), Integer("fromId"), *RANGE),
    ws="myTrades",
    error_codes=(-1121, -1127, -1128),
)
async def my_trades(gateway: "Gateway", call: Call) -> list[dict[str, Any]]:
    market = gateway.markets.get(call.values["symbol"])
    if _has_times(call.values) and not (call.values["orderId"] is None and call.values["fromId"] is None):
        raise errors.bad_combination()
    _check_range(call.values)
    found = await gateway.own_history.trades(
        call.account_id, market, order_id=call.values["orderId"], from_id=call.values["fromId"],
        start_ms=call.values["startTime"], end_ms=call.values["endTime"], limit=call.values["limit"],
    )  # fmt: skip
    return [_trade(trade, market) for trade in found]


@endpoint(
    "GET", "/api/v3/rateLimit/order", weight=40, security=Security.USER_DATA, orders=0, ws="account.rateLimits.orders"
)
async def order_limits(gateway: "Gateway", call: Call) -> list[dict[str, Any]]:
    """The limits of the account's tier, and how many orders it has sent in each window."""
    assert call.usage is not None, "the request was admitted"
    return order_rows(gateway.limits.tier(call.credential), (call.usage.orders_10_s, call.usage.orders_day))


@endpoint(
    "GET", "/api/v3/myAllocations", weight=20, security=Security.USER_DATA,
    params=(SYMBOL, *RANGE, Integer("fromAllocationId"), Integer("orderId", minimum=1)),
    ws="myAllocations", error_codes=(-1121, -1127, -1128),
)  # fmt: skip
async def my_allocations(gateway: "Gateway", call: Call) -> list[Any]:
    """Of smart order routing, which this exchange has not; shares of block orders are in blockAllocations."""
    gateway.markets.get(call.values["symbol"])
    if _has_times(call.values) and not (call.values["orderId"] is None and call.values["fromAllocationId"] is None):
        raise errors.bad_combination()
    _check_range(call.values)
    return []


@endpoint(
    "GET",
    "/api/v3/myPreventedMatches",
    weight=lambda values: 20 if values["orderId"] is not None else 2,
    security=Security.USER_DATA,
    params=(
        SYMBOL, Integer("preventedMatchId"), Integer("orderId", minimum=1), Integer("fromPreventedMatchId"),
        Integer("limit", minimum=1, cap=1000, default=500),
    ),
    ws="myPreventedMatches",
    error_codes=(-1102, -1106, -1121, -1128),
)  # fmt: skip
async def my_prevented_matches(gateway: "Gateway", call: Call) -> list[dict[str, Any]]:
    """One match by its id, or those of an order."""
    market = gateway.markets.get(call.values["symbol"])
    prevented_id, order_id, from_id = (
        call.values[name] for name in ("preventedMatchId", "orderId", "fromPreventedMatchId")
    )
    if prevented_id is None and order_id is None:
        raise errors.missing_one_of("preventedMatchId", "orderId")
    if from_id is not None and order_id is None:
        raise errors.not_required("fromPreventedMatchId")
    if prevented_id is not None:
        if order_id is not None:
            raise errors.bad_combination()
        found = await gateway.own_history.prevented_match(call.account_id, market, prevented_id)
    else:
        found = await gateway.own_history.prevented_matches_of(
            call.account_id, market, order_id, from_id=from_id or 0, limit=call.values["limit"]
        )
    return [_prevented_match(each, market) for each in found]


@endpoint(
    "GET", "/api/v3/myFilters", weight=40, security=Security.USER_DATA, params=(SYMBOL,), ws="myFilters",
    error_codes=(-1121,),
)  # fmt: skip
async def my_filters(gateway: "Gateway", call: Call) -> dict[str, list[dict[str, Any]]]:
    """The market's filters that count what the account has there. None counts over all markets, or one asset."""
    market = gateway.markets.get(call.values["symbol"])
    of_account = [each for each in filters(market) if each["filterType"] in OF_ACCOUNT]
    return {"exchangeFilters": [], "symbolFilters": of_account, "assetFilters": []}


def _has_times(values: Mapping[str, Any]) -> bool:
    return values["startTime"] is not None or values["endTime"] is not None


def _check_range(values: Mapping[str, Any]) -> None:
    start_ms, end_ms = values["startTime"], values["endTime"]
    if start_ms is not None and end_ms is not None and not 0 <= end_ms - start_ms <= DAY_MS:
        raise errors.range_too_long()


def _trade(trade: OwnTrade, market: "Market") -> dict[str, Any]:
    return {
        "symbol": market.symbol,
        "id": trade.trade_id,
        "orderId": trade.order_id,
        "orderListId": trade.list_id or NO_LIST,
        "price": market.price(trade.price_ticks),
        "qty": market.quantity(trade.quantity_lots),
        "quoteQty": format_units(trade.quote_units),
        "commission": format_units(trade.fee_units),
        "commissionAsset": trade.fee_asset,
        "time": trade.time_ms,
        "isBuyer": trade.is_buyer,
        "isMaker": trade.is_maker,
        "isBestMatch": True,
    }


def _prevented_match(each: OwnPreventedMatch, market: "Market") -> dict[str, Any]:
    """An order's lots are shown where it lost any: those of DECREMENT, else all that was left of it."""
    answer = {
        "symbol": market.symbol,
        "preventedMatchId": each.prevented_id,
        "takerOrderId": each.taker_order_id,
        "makerSymbol": market.symbol,
        "makerOrderId": each.maker_order_id,
        "tradeGroupId": NO_TRADE_GROUP,
        "selfTradePreventionMode": STP_NAMES[each.stp_mode],
        "price": market.price(each.price_ticks),
    }
    if each.stp_mode == StpMode.DECREMENT:
        taker_lots = maker_lots = each.prevented_lots
    else:
        taker_lots = each.taker_rest_lots if each.stp_mode != StpMode.EXPIRE_MAKER else 0
        maker_lots = each.maker_rest_lots if each.stp_mode != StpMode.EXPIRE_TAKER else 0
    if taker_lots:
        answer["takerPreventedQuantity"] = market.quantity(taker_lots)
    if maker_lots:
        answer["makerPreventedQuantity"] = market.quantity(maker_lots)
    return {**answer, "transactTime": each.time_ms}
