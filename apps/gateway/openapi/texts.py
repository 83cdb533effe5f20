"""What the registry does not know: a sentence for each endpoint and parameter, and examples of weights that vary.

A test finds an endpoint or parameter without its sentence, and a sentence without its endpoint or parameter.
"""

from typing import Final

from apps.gateway.params import parse_pairs, read
from apps.gateway.registry import Endpoint, Security

MARKET_DATA: Final = "Market data"
ORDERS: Final = "Orders"
LISTS: Final = "Order lists"
ACCOUNT: Final = "Account"
USER_DATA: Final = "User data"
WALLET: Final = "Wallet"
OURS: Final = "Beyond the dialect"
SECTIONS: Final = {
    MARKET_DATA: "Public: no key is needed.",
    ORDERS: "One order at a time. An answer says what became of it, after that is durable.",
    LISTS: "Orders that depend on one another, accepted whole or not at all.",
    ACCOUNT: "Balances, orders, trades and limits of the account whose key asks.",
    USER_DATA: "Events of an account for clients that follow them over a listen key.",
    WALLET: "What clients ask for before they trade, and the empty answers of markets that this exchange has not.",
    OURS: "What other exchanges of this dialect do not have.",
}
OURS_PATHS: Final = frozenset(
    {
        "/api/v3/marketState", "/api/v3/bookChecksum", "/api/v3/cancelAllAfter", "/api/v3/blockOrder",
        "/api/v3/blockAllocations", "/api/openapi.json",
    }
)  # fmt: skip

SUMMARIES: Final = {
    "GET /api/openapi.json": "This API as an OpenAPI 3.1 document.",
    "GET /api/v3/ping": "An empty answer, to see whether the exchange is there.",
    "GET /api/v3/time": "The exchange's clock, by which timestamps are judged.",
    "GET /api/v3/exchangeInfo": "Markets with their filters, order types and states, and the rate limits in force.",
    "GET /api/v3/depth": "The book of a market, best prices first, exactly as it was at lastUpdateId.",
    "GET /api/v3/trades": "The most recent trades, oldest first.",
    "GET /api/v3/historicalTrades": "Trades from an id upward, or the most recent, oldest first.",
    "GET /api/v3/aggTrades": "Trades of one taker order at one price added up, by id or time, oldest first.",
    "GET /api/v3/klines": "Candles, oldest first; times without trades have flat ones.",
    "GET /api/v3/uiKlines": "The same candles.",
    "GET /api/v3/avgPrice": "Average price of the last five minutes.",
    "GET /api/v3/ticker/24hr": "What traded in the last 24 hours, of one market, several or all.",
    "GET /api/v3/ticker/tradingDay": "What traded since midnight of a time zone.",
    "GET /api/v3/ticker/price": "Last prices.",
    "GET /api/v3/ticker/bookTicker": "Best prices and quantities.",
    "GET /api/v3/ticker": "What traded in a window that ends now; it begins with a whole minute.",
    "GET /api/v3/account": "Balances, commission rates and rights.",
    "GET /api/v3/account/commission": "Commission rates of the account in a market.",
    "GET /api/v3/order": "One order by its id or client order id.",
    "GET /api/v3/openOrders": "Open orders of a market, or of all.",
    "GET /api/v3/allOrders": "Orders of any status, oldest first: from an id or time upward, or the most recent.",
    "GET /api/v3/order/amendments": "How an order was amended, oldest first.",
    "GET /api/v3/myTrades": "The account's trades, oldest first: from an id or time upward, or the most recent.",
    "GET /api/v3/rateLimit/order": "The account's order limits, and how many orders it has sent in each window.",
    "GET /api/v3/myAllocations": "Always empty: there is no smart order routing. Block orders have blockAllocations.",
    "GET /api/v3/myPreventedMatches": "Own orders that would have met, by match or by order.",
    "GET /api/v3/myFilters": "The market's filters that count what the account has there.",
    "POST /api/v3/order": "Place an order. A repeated client order id with equal parameters answers the first order.",
    "POST /api/v3/order/test": "Check an order without placing it.",
    "DELETE /api/v3/order": "Cancel an order by its id or client order id.",
    "DELETE /api/v3/openOrders": "Cancel all open orders of a market, lists included.",
    "POST /api/v3/order/cancelReplace": "Cancel an order and place another one in its stead.",
    "PUT /api/v3/order/amend/keepPriority": "Lower an order's quantity; it keeps its place in the book.",
    "POST /api/v3/orderList/oco": "Two orders of one side, of which the first to fill or trigger ends the other.",
    "POST /api/v3/order/oco": "The same with the parameters of old: a limit order and a stop order.",
    "POST /api/v3/orderList/oto": "An order that begins once another one has filled.",
    "POST /api/v3/orderList/otoco": "An OCO that begins once another order has filled.",
    "DELETE /api/v3/orderList": "Cancel a list with all of its orders.",
    "GET /api/v3/orderList": "One list by its id or client id.",
    "GET /api/v3/openOrderList": "Lists that are open.",
    "GET /api/v3/allOrderList": "Lists, oldest first: from an id or time upward, or the most recent.",
    "POST /api/v3/userDataStream": "Begin a user data stream; the listen key is good for an hour.",
    "PUT /api/v3/userDataStream": "Keep a listen key for another hour.",
    "DELETE /api/v3/userDataStream": "End a user data stream.",
    "GET /api/v3/marketState": "Why a market does not trade, until when, and how far the next halt is away.",
    "GET /api/v3/bookChecksum": "A checksum of a book at an update id, to verify a local copy.",
    "POST /api/v3/cancelAllAfter": "Cancel all orders of the account after a while, unless it is called again before.",
    "POST /api/v3/blockOrder": "One order for the accounts of an allocation rule.",
    "GET /api/v3/blockAllocations": "Which account got how much of a block order's trades.",
    "GET /sapi/v1/capital/config/getall": "Every asset with the account's balance.",
    "GET /sapi/v1/system/status": "0 in normal times, 1 while no orders are taken.",
    "GET /sapi/v1/asset/tradeFee": "Commission rates by market.",
    "GET /sapi/v1/asset/assetDetail": "What may be deposited and withdrawn: nothing yet.",
    "POST /sapi/v3/asset/getUserAsset": "What the account has of one asset, or every asset that it has any of.",
    "GET /sapi/v1/account/apiRestrictions": "Rights of the key that asks.",
    "GET /sapi/v1/account/status": "The account's status.",
    "GET /sapi/v1/spot/delist-schedule": "Always empty: markets close when staff closes them.",
    "GET /sapi/v1/margin/allPairs": "Always empty: there is no margin trading.",
    "GET /sapi/v1/margin/isolated/allPairs": "Always empty: there is no margin trading.",
    "GET /fapi/v1/exchangeInfo": "Without markets: there are no futures.",
    "GET /dapi/v1/exchangeInfo": "Without markets: there are no futures.",
}

_PARAMETERS: Final = {
    "symbol": "The market.",
    "symbols": "Several markets.",
    "symbolStatus": "Only markets of this status.",
    "showPermissionSets": "Whether to show permissionSets.",
    "permissions": "Only markets with one of these.",
    "limit": "How many at most.",
    "fromId": "From this id upward.",
    "startTime": "From then on.",
    "endTime": "Up to then.",
    "interval": "Length of a candle.",
    "timeZone": "Where days and longer candles begin.",
    "windowSize": "Length of the window.",
    "type": "Kind of the order.",
    "side": "Whether to buy or sell.",
    "timeInForce": "How long it stays; kinds with LIMIT in their name need it, but for LIMIT_MAKER.",
    "goodTillDate": "End of a GTD order.",
    "quantity": "How much of the base asset.",
    "quoteOrderQty": "How much of the quote asset a market order spends or brings.",
    "price": "The limit.",
    "newClientOrderId": "Your id of the order; on a cancel or amendment the id of that request.",
    "newOrderRespType": "How much the answer tells; FULL for LIMIT and MARKET, else ACK.",
    "selfTradePreventionMode": "What happens when it would meet an order of the same family.",
    "icebergQty": "How much of it is shown in the book.",
    "stopPrice": "At which last price it triggers.",
    "trailingDelta": "Distance in hundredths of a percent at which its trigger follows the last price.",
    "strategyId": "Which of your strategies it belongs to: a number of your own, told again in answers and reports.",
    "strategyType": "What kind of strategy that is: a number of your own from 1000000 on.",
    "computeCommissionRates": "Whether to answer the rates that the order would have.",
    "orderId": "The order's id.",
    "origClientOrderId": "The order's client order id.",
    "newQty": "The new quantity, less than the old one and more than is filled.",
    "cancelReplaceMode": "Whether the new order is placed when the cancel fails.",
    "cancelOrderId": "Id of the order to cancel.",
    "cancelOrigClientOrderId": "Client order id of the order to cancel.",
    "cancelNewClientOrderId": "Id of the cancel.",
    "cancelRestrictions": "Cancel only an order that is NEW, or only one that is PARTIALLY_FILLED.",
    "orderRateLimitExceededMode": "Whether to cancel although the order limit is reached.",
    "omitZeroBalances": "Whether to leave out what the account has nothing of.",
    "fromAllocationId": "From this id upward.",
    "preventedMatchId": "One match.",
    "fromExecutionId": "From this amendment upward.",
    "fromPreventedMatchId": "From this match upward; with orderId.",
    "asset": "One asset.",
    "needBtcValuation": "Whether to value it in bitcoin.",
    "orderListId": "The list's id.",
    "listClientOrderId": "Your id of the list.",
    "timeout": "Milliseconds until all orders are cancelled; 0 switches it off.",
    "allocationId": "Which of the account's allocation rules.",
    "allocationQuantities": "Quantities in the order of the rule's accounts.",
    "listenKey": "The listen key.",
    "limitClientOrderId": "Your id of the limit order.",
    "limitIcebergQty": "How much of the limit order is shown.",
    "limitStrategyId": "Your strategy of the limit order.",
    "limitStrategyType": "The kind of that strategy, from 1000000 on.",
    "stopClientOrderId": "Your id of the stop order.",
    "stopLimitPrice": "Limit of the stop order; without it that is a market order.",
    "stopLimitTimeInForce": "How long the stop order stays; with stopLimitPrice.",
    "stopIcebergQty": "How much of the stop order is shown.",
    "stopStrategyId": "Your strategy of the stop order.",
    "stopStrategyType": "The kind of that strategy, from 1000000 on.",
}
# What the same name means elsewhere.
_ELSEWHERE: Final = {
    ("/api/v3/ticker/24hr", "type"): "Whether to answer all fields or the short form.",
    ("/api/v3/ticker", "type"): "Whether to answer all fields or the short form.",
    ("/api/v3/ticker/tradingDay", "type"): "Whether to answer all fields or the short form.",
    ("/api/v3/allOrders", "orderId"): "From this id upward.",
    ("/api/v3/myTrades", "orderId"): "Only trades of this order.",
    ("/api/v3/myPreventedMatches", "orderId"): "Only matches of this order.",
    ("/api/v3/myAllocations", "orderId"): "Only those of this order.",
    ("/api/v3/blockAllocations", "orderId"): "Without it: those of all block orders that the account has open.",
    ("/api/v3/orderList", "origClientOrderId"): "The list's client id.",
    ("/api/v3/blockOrder", "type"): "LIMIT, LIMIT_MAKER, or MARKET by quantity.",
}
_LEGS: Final = {
    "pendingAbove": "the pending order above", "pendingBelow": "the pending order below", "above": "the order above",
    "below": "the order below", "working": "the working order", "pending": "the pending order",
}  # fmt: skip
_LEG_TERMS: Final = {
    "Type": "Kind", "Side": "Side", "TimeInForce": "How long it stays", "Quantity": "Quantity", "Price": "Limit",
    "StopPrice": "Trigger", "TrailingDelta": "Trailing distance", "IcebergQty": "Shown quantity",
    "ClientOrderId": "Your id", "StrategyId": "Your strategy", "StrategyType": "Kind of strategy",
}  # fmt: skip

# Requests that show how a weight varies.
_WEIGHTS: Final = {
    "GET /api/v3/depth": ("limit=100", "limit=500", "limit=1000", "limit=5000"),
    "GET /api/v3/ticker/24hr": ("symbol=BTCUSDT", ""),
    "GET /api/v3/ticker/price": ("symbol=BTCUSDT", ""),
    "GET /api/v3/ticker/bookTicker": ("symbol=BTCUSDT", ""),
    "GET /api/v3/ticker": ("symbol=BTCUSDT", 'symbols=["BTCUSDT","ETHUSDT"]'),
    "GET /api/v3/ticker/tradingDay": ("symbol=BTCUSDT", 'symbols=["BTCUSDT","ETHUSDT"]'),
    "GET /api/v3/openOrders": ("symbol=BTCUSDT", ""),
    "GET /api/v3/myTrades": ("orderId=1", ""),
    "GET /api/v3/myPreventedMatches": ("preventedMatchId=1", "orderId=1"),
    "GET /api/v3/blockAllocations": ("orderId=1", ""),
    "POST /api/v3/order/test": ("", "computeCommissionRates=true"),
}
# Enough of a request to weigh it.
_SAMPLE: Final = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET"}


def name_of(endpoint: Endpoint) -> str:
    return f"{endpoint.method} {endpoint.path}"


def section_of(endpoint: Endpoint) -> str:
    if endpoint.path in OURS_PATHS:
        return OURS
    if endpoint.path.endswith("userDataStream"):
        return USER_DATA
    if not endpoint.path.startswith("/api/"):
        return WALLET
    if endpoint.security is Security.NONE:
        return MARKET_DATA
    if "orderlist" in endpoint.path.lower() or endpoint.path.endswith("/oco"):
        return LISTS
    if endpoint.security is Security.TRADE:
        return ORDERS
    return ACCOUNT


def summary(endpoint: Endpoint) -> str:
    """AssertionError for an endpoint without its sentence."""
    assert name_of(endpoint) in SUMMARIES, f"{name_of(endpoint)} needs a sentence in {__name__}.SUMMARIES"
    return SUMMARIES[name_of(endpoint)]


def parameter_text(name: str, path: str) -> str:
    """AssertionError for a parameter without its sentence."""
    if (path, name) in _ELSEWHERE:
        return _ELSEWHERE[path, name]
    if name in _PARAMETERS:
        return _PARAMETERS[name]
    for prefix, leg in _LEGS.items():
        if name.removeprefix(prefix) in _LEG_TERMS and name.startswith(prefix):
            return f"{_LEG_TERMS[name.removeprefix(prefix)]} of {leg}."
    raise AssertionError(f"the parameter {name} of {path} needs a sentence in {__name__}")


def parameter_names() -> set[str]:
    """Names that have a sentence of their own."""
    return {*_PARAMETERS, *(name for _, name in _ELSEWHERE)}


def weight_examples(endpoint: Endpoint) -> list[tuple[str, int]]:
    """(request, weight) where the weight varies, computed as for any request; nothing where it is one number."""
    if isinstance(endpoint.weight, int):
        return []
    known = {param.name: param for param in endpoint.params}
    found = []
    for query in _WEIGHTS[name_of(endpoint)]:
        sent = parse_pairs(query.encode())
        filled = {name: text for name, text in _SAMPLE.items() if name in known and known[name].required} | sent
        found.append((query, endpoint.weight_of(read(endpoint.params, filled))))
    return found


def weight_text(endpoint: Endpoint) -> str:
    if isinstance(endpoint.weight, int):
        return str(endpoint.weight)
    return ", ".join(f"{weight} {f'with {query}' if query else 'else'}" for query, weight in weight_examples(endpoint))
