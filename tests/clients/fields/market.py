"""Answers of public endpoints, the same over REST and WebSocket API."""

from typing import Final

from tests.clients.fields.kinds import (
    ASSET,
    CHANGE,
    EMPTY,
    FLAG,
    ID,
    INT,
    INT_OR_NULL,
    LIST_ID,
    MONEY,
    MONEY_OR_NULL,
    PERCENT,
    RATIO,
    SYMBOL,
    TEXT,
    TEXT_OR_NULL,
    TIME,
    TIME_OR_NULL,
    ZERO,
    any_of,
    row,
    words,
)  # fmt: skip

STATUS: Final = words("TRADING HALT BREAK END_OF_DAY CANCEL_ONLY")
MARKET_STATES: Final = words("OPEN POST_ONLY HALTED AUCTION CANCEL_ONLY PRE_LAUNCH CLOSED")
ORDER_TYPES: Final = words("LIMIT LIMIT_MAKER MARKET STOP_LOSS STOP_LOSS_LIMIT TAKE_PROFIT TAKE_PROFIT_LIMIT")
STP_MODES: Final = words("NONE EXPIRE_TAKER EXPIRE_MAKER EXPIRE_BOTH DECREMENT TRANSFER")
RATE_LIMIT: Final = {
    "rateLimitType": words("REQUEST_WEIGHT ORDERS RAW_REQUESTS"),
    "interval": words("SECOND MINUTE HOUR DAY"),
    "intervalNum": INT,
    "limit": INT,
}
COUNTED_RATE_LIMIT: Final = {**RATE_LIMIT, "count": INT}


def _filter(name: str, **fields: object) -> dict[str, object]:
    return {"filterType": words(name), **fields}


FILTERS: Final = {
    name: _filter(name, **fields)
    for name, fields in {
        "PRICE_FILTER": {"minPrice": MONEY, "maxPrice": MONEY, "tickSize": MONEY},
        "LOT_SIZE": {"minQty": MONEY, "maxQty": MONEY, "stepSize": MONEY},
        "MARKET_LOT_SIZE": {"minQty": MONEY, "maxQty": MONEY, "stepSize": MONEY},
        "NOTIONAL": {
            "minNotional": MONEY, "applyMinToMarket": FLAG, "maxNotional": MONEY, "applyMaxToMarket": FLAG,
            "avgPriceMins": INT,
        },
        "PERCENT_PRICE_BY_SIDE": {
            "bidMultiplierUp": RATIO, "bidMultiplierDown": RATIO, "askMultiplierUp": RATIO, "askMultiplierDown": RATIO,
            "avgPriceMins": INT,
        },
        "ICEBERG_PARTS": {"limit": INT},
        "TRAILING_DELTA": {
            "minTrailingAboveDelta": INT, "maxTrailingAboveDelta": INT, "minTrailingBelowDelta": INT,
            "maxTrailingBelowDelta": INT,
        },
        "MAX_NUM_ORDERS": {"maxNumOrders": INT},
        "MAX_NUM_ALGO_ORDERS": {"maxNumAlgoOrders": INT},
        "MAX_NUM_ORDER_LISTS": {"maxNumOrderLists": INT},
        "MAX_NUM_ICEBERG_ORDERS": {"maxNumIcebergOrders": INT},
        "MAX_NUM_ORDER_AMENDS": {"maxNumOrderAmends": INT},
        "MAX_POSITION": {"maxPosition": MONEY},
    }.items()
}  # fmt: skip
SYMBOL_INFO: Final = {
    "symbol": SYMBOL,
    "status": STATUS,
    "marketState": MARKET_STATES,  # ours
    "baseAsset": ASSET,
    "baseAssetPrecision": INT,
    "quoteAsset": ASSET,
    "quotePrecision": INT,
    "quoteAssetPrecision": INT,
    "baseCommissionPrecision": INT,
    "quoteCommissionPrecision": INT,
    "orderTypes": [ORDER_TYPES],
    "icebergAllowed": FLAG,
    "ocoAllowed": FLAG,
    "otoAllowed": FLAG,
    "opoAllowed": FLAG,
    "quoteOrderQtyMarketAllowed": FLAG,
    "allowTrailingStop": FLAG,
    "stopBuyBuffer": RATIO,  # ours
    # Ours.
    "circuitBreakers": [
        {"rule": INT, "measure": words("PRICE VWAP"), "distance": RATIO, "windowMs": INT, "haltMs": INT}
    ],
    "cancelReplaceAllowed": FLAG,
    "amendAllowed": FLAG,
    "pegInstructionsAllowed": FLAG,
    "isSpotTradingAllowed": FLAG,
    "isMarginTradingAllowed": FLAG,
    "filters": [any_of(*FILTERS.values())],
    "permissions": [TEXT],
    "permissionSets": [[TEXT]],
    "defaultSelfTradePreventionMode": STP_MODES,
    "allowedSelfTradePreventionModes": [STP_MODES],
}
EXCHANGE_INFO: Final = {
    "timezone": words("UTC"),
    "serverTime": TIME,
    "rateLimits": [RATE_LIMIT],
    "exchangeFilters": [EMPTY],
    "symbols": [SYMBOL_INFO],
}
LEVELS: Final = [row(MONEY, MONEY)]
DEPTH: Final = {"lastUpdateId": ID, "bids": LEVELS, "asks": LEVELS}
TRADES: Final = [
    {"id": ID, "price": MONEY, "qty": MONEY, "quoteQty": MONEY, "time": TIME, "isBuyerMaker": FLAG, "isBestMatch": FLAG}
]
AGG_TRADES: Final = [{"a": ID, "p": MONEY, "q": MONEY, "f": ID, "l": ID, "T": TIME, "m": FLAG, "M": FLAG}]
KLINES: Final = [row(TIME, MONEY, MONEY, MONEY, MONEY, MONEY, TIME, MONEY, INT, MONEY, MONEY, ZERO)]
AVG_PRICE: Final = {"mins": INT, "price": MONEY, "closeTime": TIME}
MINI_TICKER: Final = {
    "symbol": SYMBOL, "openPrice": MONEY, "highPrice": MONEY, "lowPrice": MONEY, "lastPrice": MONEY, "volume": MONEY,
    "quoteVolume": MONEY, "openTime": TIME, "closeTime": TIME, "firstId": LIST_ID, "lastId": LIST_ID, "count": INT,
}  # fmt: skip
WINDOW_TICKER: Final = {
    **MINI_TICKER, "priceChange": CHANGE, "priceChangePercent": PERCENT, "weightedAvgPrice": MONEY,
}  # fmt: skip
DAY_TICKER: Final = {
    **WINDOW_TICKER, "prevClosePrice": MONEY, "lastQty": MONEY, "bidPrice": MONEY, "bidQty": MONEY, "askPrice": MONEY,
    "askQty": MONEY,
}  # fmt: skip
PRICE_TICKER: Final = {"symbol": SYMBOL, "price": MONEY}
BOOK_TICKER: Final = {"symbol": SYMBOL, "bidPrice": MONEY, "bidQty": MONEY, "askPrice": MONEY, "askQty": MONEY}
MARKET_STATE: Final = {  # ours
    "symbol": SYMBOL,
    "status": STATUS,
    "marketState": MARKET_STATES,
    "cause": TEXT_OR_NULL,
    "rule": INT_OR_NULL,
    "until": TIME_OR_NULL,
    "resumesAt": TIME_OR_NULL,
    "indicativePrice": MONEY_OR_NULL,
    "indicativeQty": MONEY_OR_NULL,
    "haltAbove": MONEY_OR_NULL,
    "haltBelow": MONEY_OR_NULL,
    "staleSince": TIME_OR_NULL,
}
BOOK_CHECKSUM: Final = {"symbol": SYMBOL, "lastUpdateId": ID, "levels": INT, "checksum": ID}  # ours


def one_or_many(table: object) -> object:
    """A ticker: an object for `symbol`, else a list."""
    return any_of(table, [table])  # type: ignore[arg-type,list-item]
