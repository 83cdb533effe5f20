"""Which calls each client must have had answered here: its surface, as shared/clients.md section 2 measured it.

A name is "GET /path" for REST, "ws method" for the WebSocket API, "stream name" and "event name" for what is pushed.
`python -m tests.clients.covered` puts the table of it into docs/bots.md; a test compares them.
"""

import re
from pathlib import Path
from typing import Final

PUBLIC: Final = frozenset(
    f"GET /api/v3/{path}"
    for path in (
        "ping", "time", "exchangeInfo", "depth", "trades", "historicalTrades", "aggTrades", "klines", "uiKlines",
        "avgPrice", "ticker/24hr", "ticker/price", "ticker/bookTicker", "ticker", "ticker/tradingDay",
    )
)  # fmt: skip
ORDERS: Final = frozenset(
    {
        "POST /api/v3/order", "POST /api/v3/order/test", "GET /api/v3/order", "DELETE /api/v3/order",
        "POST /api/v3/order/cancelReplace", "GET /api/v3/openOrders", "DELETE /api/v3/openOrders",
        "GET /api/v3/allOrders", "GET /api/v3/myTrades",
    }
)  # fmt: skip
LISTS: Final = frozenset(
    {
        "POST /api/v3/orderList/oco", "POST /api/v3/orderList/oto", "POST /api/v3/orderList/otoco",
        "GET /api/v3/orderList", "GET /api/v3/openOrderList", "GET /api/v3/allOrderList", "DELETE /api/v3/orderList",
    }
)  # fmt: skip
ACCOUNT: Final = frozenset(
    {
        "GET /api/v3/account", "GET /api/v3/account/commission", "GET /api/v3/rateLimit/order",
        "GET /api/v3/myPreventedMatches", "GET /sapi/v1/asset/tradeFee", "GET /sapi/v1/capital/config/getall",
        "GET /sapi/v1/system/status", "GET /sapi/v1/account/apiRestrictions", "POST /sapi/v3/asset/getUserAsset",
    }
)  # fmt: skip
WALLET: Final = frozenset(
    {
        "GET /sapi/v1/account/status",
        "GET /sapi/v1/asset/assetDetail",
        "GET /sapi/v1/spot/delist-schedule",
        "GET /api/v3/myAllocations",
    }
)
WS_ORDERS: Final = frozenset(
    {
        "ws order.place", "ws order.status", "ws order.cancel", "ws order.cancelReplace", "ws openOrders.status",
        "ws openOrders.cancelAll", "ws allOrders", "ws myTrades", "ws account.status",
    }
)  # fmt: skip
USER_DATA: Final = frozenset(
    {
        "ws userDataStream.subscribe.signature", "event executionReport", "event outboundAccountPosition",
    }
)  # fmt: skip
CONTROL: Final = frozenset({"stream control"})  # SUBSCRIBE and the like; others name their streams in the address
STREAMS: Final = frozenset(
    {
        "stream trade", "stream kline", "stream depthUpdate", "stream bookTicker",
        "stream 24hrMiniTicker",
    }
)  # fmt: skip
DROP_IN: Final = frozenset(
    {
        "GET /sapi/v1/margin/allPairs", "GET /sapi/v1/margin/isolated/allPairs", "GET /fapi/v1/exchangeInfo",
        "GET /dapi/v1/exchangeInfo",
    }
)  # fmt: skip
WS_PUBLIC: Final = frozenset(
    f"ws {method}"
    for method in (
        "ping", "time", "exchangeInfo", "depth", "trades.recent", "trades.historical", "trades.aggregate", "klines",
        "uiKlines", "avgPrice", "ticker", "ticker.24hr", "ticker.price", "ticker.book",
    )
)  # fmt: skip
WS_LISTS: Final = frozenset(
    {"ws orderList.place.oco", "ws orderList.status", "ws orderList.cancel", "ws openOrderLists.status"}
)
WS_ACCOUNT: Final = frozenset({"ws account.rateLimits.orders", "ws myPreventedMatches"})
MORE_STREAMS: Final = frozenset({"stream aggTrade", "stream 24hrTicker", "stream depthN"})
AMEND: Final = frozenset({"PUT /api/v3/order/amend/keepPriority"})
LISTEN_KEY: Final = frozenset(f"{method} /api/v3/userDataStream" for method in ("POST", "PUT", "DELETE"))
WS_LISTEN_KEY: Final = frozenset({"ws userDataStream.start", "ws userDataStream.ping", "ws userDataStream.stop"})
SESSION: Final = frozenset(
    {
        "ws session.logon", "ws session.status", "ws session.subscriptions", "ws session.logout",
        "ws userDataStream.subscribe", "ws order.amendments", "ws myFilters",
    }
)  # fmt: skip
COMMON: Final = PUBLIC | ORDERS | LISTS | WS_PUBLIC | WS_ORDERS | WS_ACCOUNT | STREAMS | MORE_STREAMS
SDK_WITHOUT: Final = frozenset(name for name in ACCOUNT if "/sapi/" in name)
COVERED: Final[dict[str, frozenset[str]]] = {
    "ccxt": (
        (PUBLIC - {"GET /api/v3/ping"}) | ORDERS | ACCOUNT | DROP_IN | WS_ORDERS | USER_DATA | STREAMS | CONTROL
        | {"POST /api/v3/orderList/oco", "GET /api/v3/openOrderList", "DELETE /api/v3/orderList"}
    ),
    "python-binance": (
        COMMON | ACCOUNT | WALLET | LISTEN_KEY | WS_LISTS | USER_DATA | AMEND
        | {"stream 24hrMiniTicker[]", "ws ticker.tradingDay", "ws account.commission", "ws order.test"}
        | {"ws userDataStream.unsubscribe", "ws myAllocations"}
    ),
    "binance-connector": (
        COMMON | CONTROL | ACCOUNT | WALLET | LISTEN_KEY | WS_LISTEN_KEY | {"ws order.test", "stream executionReport"}
    ),
    "binance-sdk-spot": (
        COMMON | CONTROL | SESSION | (ACCOUNT - SDK_WITHOUT) | WS_LISTS | USER_DATA | AMEND
        | {"GET /api/v3/myAllocations", "ws order.amend.keepPriority", "ws order.test", "ws account.commission"}
        | {"ws allOrderLists", "ws myAllocations", "ws ticker.tradingDay"}
        | {"GET /api/v3/myFilters", "GET /api/v3/order/amendments", "event listStatus", "stream 24hrMiniTicker[]"}
    ),
}  # fmt: skip

PAGE: Final = Path(__file__).resolve().parent.parent.parent / "docs" / "bots.md"
BEGIN: Final = "<!-- table of calls: python -m tests.clients.covered -->\n"
END: Final = "<!-- end of the table -->\n"
ALL: Final = frozenset().union(*COVERED.values())
AMENDING: Final = AMEND | {"GET /api/v3/order/amendments"}
USER_DATA_WORDS: Final = ("event ", "ws userDataStream", "stream executionReport")
PUSHED: Final = frozenset(name for name in ALL if name.startswith(USER_DATA_WORDS)) | LISTEN_KEY
MARKET_WS: Final = WS_PUBLIC | {"ws ticker.tradingDay"}
# Every call of ALL stands in one of them.
ROWS: Final[dict[str, frozenset[str]]] = {
    "market data, REST": PUBLIC,
    "market data, WebSocket API": MARKET_WS,
    "market streams": frozenset(name for name in ALL if name.startswith("stream ")) - PUSHED,
    "orders, REST": ORDERS | AMENDING,
    "order lists, REST": LISTS,
    "account and wallet, REST": frozenset(name for name in ALL if " /" in name)
    - PUBLIC - ORDERS - AMENDING - LISTS - LISTEN_KEY,
    "orders, lists, account and session, WebSocket API": frozenset(name for name in ALL if name.startswith("ws "))
    - MARKET_WS - PUSHED,
    "user data": PUSHED,
}  # fmt: skip


def version(client: str) -> str:
    """That the tests install."""
    lock = (Path(__file__).resolve().parent / "requirements" / f"{client}.txt").read_text(encoding="utf-8")
    found = re.search(rf"^{client}==(\S+)", lock, re.MULTILINE)
    assert found is not None, f"no version in the lock of {client}"
    return found[1]


def table() -> str:
    """In Markdown: the versions, and of the calls of a group that any client makes, how many each has had answered."""
    lines = [
        f"| of | calls | {' | '.join(COVERED)} |", "|---" * (2 + len(COVERED)) + "|",
        f"| *version* | | {' | '.join(version(name) for name in COVERED)} |",
    ]  # fmt: skip
    for title, calls in ROWS.items():
        counts = [str(len(calls & covered)) for covered in COVERED.values()]
        lines.append(f"| {title} | {len(calls)} | {' | '.join(counts)} |")
    return "\n".join(lines) + "\n"


def replaced(text: str) -> str:
    """The page with the table between its marks. ValueError where they are not there."""
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    return before + BEGIN + "\n" + table() + "\n" + END + after


if __name__ == "__main__":
    PAGE.write_text(replaced(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
