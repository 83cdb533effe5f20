"""Market streams and user events by their `e`; the three without one are told by their keys."""

from typing import Any, Final

from tests.clients.fields.kinds import (
    ASSET,
    ASSET_OR_NULL,
    CHANGE,
    CLIENT_ID,
    FLAG,
    ID,
    INT,
    LIST_ID,
    MONEY,
    PERCENT,
    STRATEGY_ID,
    STRATEGY_TYPE,
    SYMBOL,
    TEXT,
    TIME,
    ZERO,
    Table,
    words,
)  # fmt: skip
from tests.clients.fields.market import DEPTH, LEVELS, ORDER_TYPES, STP_MODES
from tests.clients.fields.orders import ORDER_STATUS, SIDES, TIMES_IN_FORCE

_HEAD: Final = {"e": TEXT, "E": TIME, "s": SYMBOL}
MINI_TICKER: Final = {**_HEAD, "c": MONEY, "o": MONEY, "h": MONEY, "l": MONEY, "v": MONEY, "q": MONEY}
BEST: Final = {"u": ID, "s": SYMBOL, "b": MONEY, "B": MONEY, "a": MONEY, "A": MONEY}
MARKET_EVENTS: Final[dict[str, Table]] = {
    "trade": {**_HEAD, "t": ID, "p": MONEY, "q": MONEY, "T": TIME, "m": FLAG, "M": FLAG},
    "aggTrade": {**_HEAD, "a": ID, "p": MONEY, "q": MONEY, "f": ID, "l": ID, "T": TIME, "m": FLAG, "M": FLAG},
    "kline": {
        **_HEAD,
        "k": {
            "t": TIME, "T": TIME, "s": SYMBOL, "i": TEXT, "f": LIST_ID, "L": LIST_ID, "o": MONEY, "c": MONEY,
            "h": MONEY, "l": MONEY, "v": MONEY, "n": INT, "x": FLAG, "q": MONEY, "V": MONEY, "Q": MONEY, "B": ZERO,
        },
    },
    "24hrMiniTicker": MINI_TICKER,
    "24hrTicker": {
        **MINI_TICKER, "p": CHANGE, "P": PERCENT, "w": MONEY, "x": MONEY, "Q": MONEY, "b": MONEY, "B": MONEY,
        "a": MONEY, "A": MONEY, "O": TIME, "C": TIME, "F": LIST_ID, "L": LIST_ID, "n": INT,
    },
    "avgPrice": {**_HEAD, "i": TEXT, "w": MONEY, "T": TIME},
    "bookChecksum": {**_HEAD, "u": ID, "c": ID},  # ours
    "depthUpdate": {**_HEAD, "U": ID, "u": ID, "b": LEVELS, "a": LEVELS},
}  # fmt: skip
_WINDOW_TICKER: Final = {
    **MINI_TICKER, "p": CHANGE, "P": PERCENT, "w": MONEY, "O": TIME, "C": TIME, "F": LIST_ID, "L": LIST_ID, "n": INT,
}  # fmt: skip
USER_EVENTS: Final[dict[str, Table]] = {
    "executionReport": {
        **_HEAD, "c": CLIENT_ID, "S": SIDES, "o": ORDER_TYPES, "f": TIMES_IN_FORCE, "q": MONEY, "p": MONEY, "P": MONEY,
        "F": MONEY, "g": LIST_ID, "C": TEXT,
        "x": words("NEW CANCELED REPLACED REJECTED TRADE EXPIRED TRADE_PREVENTION"), "X": ORDER_STATUS, "r": TEXT,
        "i": ID, "l": MONEY, "z": MONEY, "L": MONEY, "n": CHANGE, "N": ASSET_OR_NULL, "T": TIME, "t": LIST_ID, "I": ID,
        "w": FLAG, "m": FLAG, "M": FLAG, "O": TIME, "Z": MONEY, "Y": MONEY, "Q": MONEY, "W?": TIME, "V": STP_MODES,
        "d?": INT, "D?": TIME, "j?": STRATEGY_ID, "J?": STRATEGY_TYPE, "eR?": TEXT, "v?": ID, "A?": MONEY, "B?": MONEY,
        "u?": LIST_ID, "U?": ID, "Cs?": SYMBOL, "pl?": MONEY, "pL?": MONEY, "pY?": MONEY,
    },
    "outboundAccountPosition": {"e": TEXT, "E": TIME, "u": TIME, "B": [{"a": ASSET, "f": MONEY, "l": MONEY}]},
    "balanceUpdate": {"e": TEXT, "E": TIME, "a": ASSET, "d": CHANGE, "T": TIME},
    "listStatus": {
        **_HEAD, "g": ID, "c": words("OCO OTO"), "l": TEXT, "L": TEXT, "r": TEXT, "C": CLIENT_ID, "T": TIME,
        "O": [{"s": SYMBOL, "i": ID, "c": CLIENT_ID}],
    },
    "eventStreamTerminated": {"e": TEXT, "E": TIME},
    "listenKeyExpired": {"e": TEXT, "E": TIME, "listenKey": TEXT},
}  # fmt: skip


def table_of(data: Any) -> tuple[str, Table | None]:
    """(name, table) of one message of a stream; None where no table knows it."""
    if isinstance(data, dict):
        name = data.get("e")
        if name is None and "lastUpdateId" in data:
            return "depthN", DEPTH
        if name is None and "u" in data:
            return "bookTicker", BEST
        if isinstance(name, str) and name.endswith("Ticker") and name[0].isdigit() and not name.startswith("24hr"):
            return "ticker_<window>", _WINDOW_TICKER
        table = MARKET_EVENTS.get(str(name)) or USER_EVENTS.get(str(name))
        return str(name), table
    if isinstance(data, list) and data:
        name, table = table_of(data[0])
        return f"{name}[]", None if table is None else [table]
    return "?", None
