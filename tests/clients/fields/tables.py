"""Which table an answer is held against: REST by method and path, WebSocket API by method."""

from typing import Any, Final

from tests.clients.fields import account, market, orders
from tests.clients.fields.kinds import (
    EMPTY,
    FLAG,
    INT,
    NULL,
    TEXT,
    TEXT_OR_NULL,
    TIME,
    TIME_OR_NULL,
    Table,
    any_of,
    words,
)

ERROR: Final = {"code": INT, "msg": TEXT}
# cancelReplace says what became of both halves; limits say when to come back.
REPLACE_ERROR: Final = {
    **ERROR,
    "data": {
        "cancelResult": words("SUCCESS FAILURE NOT_ATTEMPTED"),
        "newOrderResult": words("SUCCESS FAILURE NOT_ATTEMPTED"),
        "cancelResponse": any_of(orders.CANCELED_OR_LIST, ERROR, NULL),
        "newOrderResponse": any_of(orders.PLACED, ERROR, NULL),
    },
}
LIMIT_ERROR: Final = {**ERROR, "data": {"serverTime": TIME, "retryAfter": TIME}}
SESSION: Final = {
    "apiKey": TEXT_OR_NULL, "authorizedSince": TIME_OR_NULL, "connectedSince": TIME, "returnRateLimits": FLAG,
    "serverTime": TIME, "userDataStream": FLAG,
}  # fmt: skip
LISTEN_KEY: Final = {"listenKey": TEXT}

# (REST method and path, WebSocket API method, table); either name may be missing.
ANSWERS: Final[tuple[tuple[str, str, Any], ...]] = (
    ("GET /api/v3/ping", "ping", EMPTY),
    ("GET /api/v3/time", "time", {"serverTime": TIME}),
    ("GET /api/v3/exchangeInfo", "exchangeInfo", market.EXCHANGE_INFO),
    ("GET /api/v3/marketState", "marketState", market.MARKET_STATE),
    ("GET /api/v3/depth", "depth", market.DEPTH),
    ("GET /api/v3/bookChecksum", "bookChecksum", market.BOOK_CHECKSUM),
    ("GET /api/v3/trades", "trades.recent", market.TRADES),
    ("GET /api/v3/historicalTrades", "trades.historical", market.TRADES),
    ("GET /api/v3/aggTrades", "trades.aggregate", market.AGG_TRADES),
    ("GET /api/v3/klines", "klines", market.KLINES),
    ("GET /api/v3/uiKlines", "uiKlines", market.KLINES),
    ("GET /api/v3/avgPrice", "avgPrice", market.AVG_PRICE),
    ("GET /api/v3/ticker/24hr", "ticker.24hr", market.one_or_many(any_of(market.DAY_TICKER, market.MINI_TICKER))),
    ("GET /api/v3/ticker/tradingDay", "ticker.tradingDay",
     market.one_or_many(any_of(market.WINDOW_TICKER, market.MINI_TICKER))),
    ("GET /api/v3/ticker", "ticker", market.one_or_many(any_of(market.WINDOW_TICKER, market.MINI_TICKER))),
    ("GET /api/v3/ticker/price", "ticker.price", market.one_or_many(market.PRICE_TICKER)),
    ("GET /api/v3/ticker/bookTicker", "ticker.book", market.one_or_many(market.BOOK_TICKER)),
    ("GET /api/v3/account", "account.status", account.ACCOUNT),
    ("GET /api/v3/account/commission", "account.commission", account.COMMISSION),
    ("GET /api/v3/rateLimit/order", "account.rateLimits.orders", [market.COUNTED_RATE_LIMIT]),
    ("POST /api/v3/order", "order.place", orders.PLACED),
    ("POST /api/v3/order/test", "order.test", orders.TESTED),
    ("GET /api/v3/order", "order.status", orders.QUERIED),
    ("DELETE /api/v3/order", "order.cancel", orders.CANCELED_OR_LIST),
    ("POST /api/v3/order/cancelReplace", "order.cancelReplace", orders.REPLACED),
    ("PUT /api/v3/order/amend/keepPriority", "order.amend.keepPriority", orders.AMENDED),
    ("GET /api/v3/order/amendments", "order.amendments", orders.AMENDMENTS),
    ("GET /api/v3/openOrders", "openOrders.status", [orders.QUERIED]),
    ("DELETE /api/v3/openOrders", "openOrders.cancelAll", [orders.CANCELED_OR_LIST]),
    ("GET /api/v3/allOrders", "allOrders", [orders.QUERIED]),
    ("GET /api/v3/myFilters", "myFilters", account.MY_FILTERS),
    ("GET /api/v3/myTrades", "myTrades", orders.MY_TRADES),
    ("GET /api/v3/myPreventedMatches", "myPreventedMatches", orders.PREVENTED_MATCHES),
    ("GET /api/v3/myAllocations", "myAllocations", [EMPTY]),
    ("POST /api/v3/blockOrder", "blockOrder.place", orders.BLOCK_PLACED),
    ("GET /api/v3/blockAllocations", "blockOrder.allocations", orders.SHARES),
    ("POST /api/v3/cancelAllAfter", "cancelAllAfter", orders.CANCEL_TIMER),
    ("POST /api/v3/orderList/oco", "orderList.place.oco", orders.LIST_PLACED),
    ("POST /api/v3/orderList/oto", "orderList.place.oto", orders.LIST_PLACED),
    ("POST /api/v3/orderList/otoco", "orderList.place.otoco", orders.LIST_PLACED),
    ("POST /api/v3/order/oco", "orderList.place", orders.LIST_PLACED),
    ("DELETE /api/v3/orderList", "orderList.cancel", orders.LIST_CANCELED),
    ("GET /api/v3/orderList", "orderList.status", orders.ORDER_LIST),
    ("GET /api/v3/openOrderList", "openOrderLists.status", [orders.ORDER_LIST]),
    ("GET /api/v3/allOrderList", "allOrderLists", [orders.ORDER_LIST]),
    ("POST /api/v3/userDataStream", "userDataStream.start", LISTEN_KEY),
    ("PUT /api/v3/userDataStream", "userDataStream.ping", EMPTY),
    ("DELETE /api/v3/userDataStream", "userDataStream.stop", EMPTY),
    ("", "session.logon", SESSION),
    ("", "session.status", SESSION),
    ("", "session.logout", SESSION),
    ("", "session.subscriptions", [{"subscriptionId": INT}]),
    ("", "userDataStream.subscribe", {"subscriptionId": INT}),
    ("", "userDataStream.subscribe.signature", {"subscriptionId": INT}),
    ("", "userDataStream.unsubscribe", EMPTY),
    ("GET /sapi/v1/system/status", "", account.SYSTEM_STATUS),
    ("GET /sapi/v1/capital/config/getall", "", account.COINS),
    ("GET /sapi/v1/asset/assetDetail", "", account.ASSET_DETAILS),
    ("GET /sapi/v1/asset/tradeFee", "", account.TRADE_FEES),
    ("POST /sapi/v3/asset/getUserAsset", "", account.USER_ASSETS),
    ("GET /sapi/v1/account/apiRestrictions", "", account.API_RESTRICTIONS),
    ("GET /sapi/v1/account/status", "", account.ACCOUNT_STATUS),
    ("GET /sapi/v1/spot/delist-schedule", "", [EMPTY]),
    ("GET /sapi/v1/margin/allPairs", "", [EMPTY]),
    ("GET /sapi/v1/margin/isolated/allPairs", "", [EMPTY]),
    ("GET /fapi/v1/exchangeInfo", "", {"symbols": [EMPTY]}),
    ("GET /dapi/v1/exchangeInfo", "", {"symbols": [EMPTY]}),
)  # fmt: skip
REST: Final[dict[str, Table]] = {name: table for name, _, table in ANSWERS if name}
WS: Final[dict[str, Table]] = {name: table for _, name, table in ANSWERS if name}
