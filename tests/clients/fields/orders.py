"""Answers about orders and lists. Which fields an order's answer has beyond the usual ones depends on the order."""

from typing import Final

from tests.clients.fields.kinds import (
    ASSET,
    CHANGE,
    CLIENT_ID,
    EMPTY,
    FLAG,
    FUTURE,
    ID,
    INT,
    LIST_ID,
    MONEY,
    STRATEGY_ID,
    STRATEGY_TYPE,
    SYMBOL,
    TEXT,
    TIME,
    TIME_OR_NONE,
    TIME_OR_ZERO,
    any_of,
    words,
)  # fmt: skip
from tests.clients.fields.market import ORDER_TYPES, STP_MODES

SIDES: Final = words("BUY SELL")
TIMES_IN_FORCE: Final = words("GTC IOC FOK GTD")
ORDER_STATUS: Final = words(
    "NEW PENDING_NEW PARTIALLY_FILLED FILLED CANCELED PENDING_CANCEL REJECTED EXPIRED EXPIRED_IN_MATCH"
)
CONDITIONAL: Final = {
    "stopPrice?": MONEY, "icebergQty?": MONEY, "trailingDelta?": INT, "trailingTime?": TIME_OR_NONE,
    "strategyId?": STRATEGY_ID, "strategyType?": STRATEGY_TYPE, "preventedMatchId?": ID, "preventedQuantity?": MONEY,
    "expiryReason?": TEXT, "goodTillDate?": FUTURE, "rejectReason?": TEXT, "allocationId?": ID, "parkedUntil?": TIME,
}  # fmt: skip  # the last four are ours
ACK: Final = {
    "symbol": SYMBOL, "orderId": ID, "orderListId": LIST_ID, "clientOrderId": CLIENT_ID, "transactTime": TIME,
}  # fmt: skip
_AMOUNTS: Final = {
    "price": MONEY, "origQty": MONEY, "executedQty": MONEY, "origQuoteOrderQty": MONEY, "cummulativeQuoteQty": MONEY,
    "status": ORDER_STATUS, "timeInForce": TIMES_IN_FORCE, "type": ORDER_TYPES, "side": SIDES,
    "selfTradePreventionMode": STP_MODES,
}  # fmt: skip
RESULT: Final = {**ACK, **_AMOUNTS, "workingTime": TIME_OR_NONE, **CONDITIONAL}
FILL: Final = {"price": MONEY, "qty": MONEY, "commission": CHANGE, "commissionAsset": ASSET, "tradeId": ID}
PREVENTED: Final = {
    "preventedMatchId": ID, "makerOrderId": ID, "price": MONEY, "takerPreventedQuantity?": MONEY,
    "makerPreventedQuantity?": MONEY,
}  # fmt: skip
FULL: Final = {**RESULT, "fills": [FILL], "preventedMatches?": [PREVENTED]}
PLACED: Final = any_of(FULL, RESULT, ACK)
QUERIED: Final = {
    "symbol": SYMBOL, "orderId": ID, "orderListId": LIST_ID, "clientOrderId": CLIENT_ID, **_AMOUNTS, **CONDITIONAL,
    "stopPrice": MONEY, "icebergQty": MONEY, "time": TIME, "updateTime": TIME, "isWorking": FLAG,
    "workingTime": TIME_OR_NONE,
}  # fmt: skip
del QUERIED["stopPrice?"], QUERIED["icebergQty?"]
CANCELED: Final = {**ACK, "origClientOrderId": CLIENT_ID, **_AMOUNTS, **CONDITIONAL}
RATES: Final = {"maker": MONEY, "taker": MONEY}
FULL_RATES: Final = {**RATES, "buyer": MONEY, "seller": MONEY}
DISCOUNT: Final = {"enabledForAccount": FLAG, "enabledForSymbol": FLAG, "discountAsset": ASSET, "discount": MONEY}
TESTED: Final = any_of(
    EMPTY,
    {
        "standardCommissionForOrder": RATES,
        "specialCommissionForOrder": RATES,
        "taxCommissionForOrder": RATES,
        "discount": DISCOUNT,
    },
)
AMENDED: Final = {
    "transactTime": TIME,
    "executionId": ID,
    "amendedOrder": {
        "symbol": SYMBOL, "orderId": ID, "orderListId": LIST_ID, "origClientOrderId": CLIENT_ID,
        "clientOrderId": CLIENT_ID, "price": MONEY, "qty": MONEY, "executedQty": MONEY, "preventedQty": MONEY,
        "quoteOrderQty": MONEY, "cumulativeQuoteQty": MONEY, "status": ORDER_STATUS, "timeInForce": TIMES_IN_FORCE,
        "type": ORDER_TYPES, "side": SIDES, "workingTime": TIME_OR_NONE, "selfTradePreventionMode": STP_MODES,
        "stopPrice?": MONEY, "icebergQty?": MONEY, "goodTillDate?": FUTURE, "strategyId?": STRATEGY_ID,
        "strategyType?": STRATEGY_TYPE,
    },
}  # fmt: skip
AMENDMENTS: Final = [
    {
        "symbol": SYMBOL, "orderId": ID, "executionId": ID, "origClientOrderId": CLIENT_ID,
        "newClientOrderId": CLIENT_ID, "origQty": MONEY, "newQty": MONEY, "time": TIME,
    }
]  # fmt: skip
LIST_ORDER: Final = {"symbol": SYMBOL, "orderId": ID, "clientOrderId": CLIENT_ID}
ORDER_LIST: Final = {
    "orderListId": ID,
    "contingencyType": words("OCO OTO"),
    "listStatusType": words("RESPONSE EXEC_STARTED UPDATED ALL_DONE"),
    "listOrderStatus": words("EXECUTING ALL_DONE REJECT"),
    "listClientOrderId": CLIENT_ID,
    "transactionTime": TIME,
    "symbol": SYMBOL,
    "orders": [LIST_ORDER],
}
LIST_PLACED: Final = {**ORDER_LIST, "orderReports": [PLACED]}
LIST_CANCELED: Final = {**ORDER_LIST, "orderReports": [CANCELED]}
CANCELED_OR_LIST: Final = any_of(CANCELED, LIST_CANCELED)
REPLACED: Final = {
    "cancelResult": words("SUCCESS"), "newOrderResult": words("SUCCESS"),
    "cancelResponse": any_of(CANCELED, LIST_CANCELED),
    "newOrderResponse": PLACED,
}  # fmt: skip
MY_TRADES: Final = [
    {
        "symbol": SYMBOL, "id": ID, "orderId": ID, "orderListId": LIST_ID, "price": MONEY, "qty": MONEY,
        "quoteQty": MONEY, "commission": CHANGE, "commissionAsset": ASSET, "time": TIME, "isBuyer": FLAG,
        "isMaker": FLAG, "isBestMatch": FLAG,
    }
]  # fmt: skip
PREVENTED_MATCHES: Final = [
    {
        "symbol": SYMBOL, "preventedMatchId": ID, "takerOrderId": ID, "makerSymbol": SYMBOL, "makerOrderId": ID,
        "tradeGroupId": LIST_ID, "selfTradePreventionMode": STP_MODES, "price": MONEY,
        "takerPreventedQuantity?": MONEY, "makerPreventedQuantity?": MONEY, "transactTime": TIME,
    }
]  # fmt: skip
# Ours: block orders and their shares, and the end of the account's cancel timer.
SHARES: Final = [
    {
        "symbol": SYMBOL, "orderId": ID, "accountId": ID, "quantity": MONEY, "executedQty": MONEY, "fills": [FILL],
    }
]  # fmt: skip
_BLOCK: Final = {"allocationId": ID, "allocations": [{"accountId": ID, "quantity": MONEY}]}
_WITHOUT_ID: Final = {name: table for name, table in FULL.items() if name != "allocationId?"}
BLOCK_PLACED: Final = any_of(
    {**_WITHOUT_ID, **_BLOCK}, {**{name: table for name, table in _WITHOUT_ID.items() if name != "fills"}, **_BLOCK},
    {**ACK, **_BLOCK},
)  # fmt: skip
CANCEL_TIMER: Final = {"currentTime": TIME, "triggerTime": TIME_OR_ZERO}
