"""Public market data over REST and the WebSocket API. Everything but old trades and candles comes from memory."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from apps.gateway import errors, publicanswers
from apps.gateway.book import PublicMarket
from apps.gateway.exchangeinfo import exchange_info
from apps.gateway.markets import Market
from apps.gateway.marketstate import state_of
from apps.gateway.params import Choice, Integer, Symbol, Symbols, Text
from apps.gateway.registry import Call, endpoint
from apps.markets.intervals import INTERVALS

if TYPE_CHECKING:
    from apps.gateway.gateway import Gateway

SYMBOL: Final = Symbol("symbol", required=True)
SYMBOL_OR_ALL: Final = (Symbol("symbol"), Symbols("symbols"))
START: Final = Integer("startTime")
END: Final = Integer("endTime")
# Bars start at midnight UTC here; another time zone would need other bars.
UTC_ONLY: Final = Choice("timeZone", values={"0": "0", "00:00": "0", "+00:00": "0"})
KLINE_PARAMS: Final = (
    SYMBOL,
    Choice("interval", required=True, values={name: name for name in INTERVALS}, refuse=errors.invalid_interval),
    START,
    END,
    Integer("limit", minimum=1, cap=1000, default=500),
    UTC_ONLY,
)


def _limit(cap: int, default: int) -> Integer:
    """More than `cap` is lowered to it, as the dialect does."""
    return Integer("limit", minimum=1, cap=cap, default=default)


@endpoint("GET", "/api/v3/ping", ws="ping")
async def ping(gateway: "Gateway", call: Call) -> dict[str, Any]:
    return {}


@endpoint("GET", "/api/v3/time", ws="time")
async def server_time(gateway: "Gateway", call: Call) -> dict[str, int]:
    return {"serverTime": call.received_ms}


@endpoint(
    "GET",
    "/api/v3/exchangeInfo",
    weight=20,
    ws="exchangeInfo",
    params=(
        *SYMBOL_OR_ALL,
        Choice("showPermissionSets", values={"true": True, "false": False}, default=True),
        Text("permissions"),
    ),
    error_codes=(-1121,),
)
async def get_exchange_info(gateway: "Gateway", call: Call) -> dict[str, Any]:
    if call.values["permissions"] not in (None, "SPOT"):
        raise errors.not_valid("permissions")
    answer = exchange_info(_chosen(gateway, call.values), gateway.limits.standard, call.received_ms)
    if not call.values["showPermissionSets"]:
        for symbol in answer["symbols"]:
            symbol["permissionSets"] = []
    return answer


def _chosen(gateway: "Gateway", values: Mapping[str, Any]) -> list[Market]:
    """The markets named by `symbol` or `symbols`, all without either; both at once are refused."""
    if values["symbol"] is not None:
        if values["symbols"] is not None:
            raise errors.not_required("symbols")
        return [gateway.markets.get(values["symbol"])]
    if values["symbols"] is not None:
        return [gateway.markets.get(symbol) for symbol in values["symbols"]]
    return list(gateway.markets.by_symbol.values())


@endpoint("GET", "/api/v3/marketState", weight=2, ws="marketState", params=(SYMBOL,), error_codes=(-1121,))
async def market_state(gateway: "Gateway", call: Call) -> dict[str, Any]:
    """Ours: why a market does not trade, and until when."""
    market = gateway.markets.get(call.values["symbol"])
    return {"symbol": market.symbol, **state_of(market, gateway.public.known(market))}


def _depth_weight(values: Mapping[str, Any]) -> int:
    limit = values["limit"]
    return 5 if limit <= 100 else 25 if limit <= 500 else 50 if limit <= 1000 else 250


@endpoint(
    "GET", "/api/v3/depth", weight=_depth_weight, ws="depth", params=(SYMBOL, _limit(5000, 100)), error_codes=(-1121,)
)
async def depth(gateway: "Gateway", call: Call) -> dict[str, Any]:
    market = gateway.markets.get(call.values["symbol"])
    return publicanswers.depth(market, gateway.public.state(market), call.values["limit"])


@endpoint(
    "GET", "/api/v3/trades", weight=25, ws="trades.recent", params=(SYMBOL, _limit(1000, 500)), error_codes=(-1121,)
)
async def trades(gateway: "Gateway", call: Call) -> list[dict[str, Any]]:
    market = gateway.markets.get(call.values["symbol"])
    recent = gateway.public.state(market).trades
    return [publicanswers.trade(market, record) for record in list(recent)[-call.values["limit"] :]]


@endpoint(
    "GET", "/api/v3/historicalTrades", weight=25, ws="trades.historical",
    params=(SYMBOL, Integer("fromId"), _limit(1000, 500)), error_codes=(-1121,),
)  # fmt: skip
async def historical_trades(gateway: "Gateway", call: Call) -> list[dict[str, Any]]:
    """From an id upward; the most recent without one."""
    market = gateway.markets.get(call.values["symbol"])
    from_id, limit = call.values["fromId"], call.values["limit"]
    if from_id is None:
        found = list(gateway.public.state(market).trades)[-limit:]
    else:
        found = await gateway.history.trades(market, from_id, limit)
    return [publicanswers.trade(market, record) for record in found]


@endpoint(
    "GET",
    "/api/v3/aggTrades",
    weight=4,
    ws="trades.aggregate",
    params=(SYMBOL, Integer("fromId"), START, END, _limit(1000, 500)),
    error_codes=(-1121,),
)
async def agg_trades(gateway: "Gateway", call: Call) -> list[dict[str, Any]]:
    market = gateway.markets.get(call.values["symbol"])
    from_id, start_ms, end_ms, limit = (call.values[name] for name in ("fromId", "startTime", "endTime", "limit"))
    if from_id is None and start_ms is None and end_ms is None:
        recent = list(gateway.public.state(market).aggs)[-limit:]
    else:
        if from_id is not None and (start_ms is not None or end_ms is not None):
            raise errors.not_required("fromId")
        recent = await gateway.history.aggregates(
            market, from_id=from_id, start_ms=start_ms, end_ms=end_ms, limit=limit
        )
    return [publicanswers.aggregate(market, record) for record in recent]


async def _klines(gateway: "Gateway", call: Call) -> list[list[Any]]:
    values = call.values
    market = gateway.markets.get(values["symbol"])
    bars = await gateway.history.klines(
        market, values["interval"], start_ms=values["startTime"], end_ms=values["endTime"], limit=values["limit"],
        now_ms=call.received_ms,
    )  # fmt: skip
    return [publicanswers.kline(market, bar) for bar in bars]


@endpoint("GET", "/api/v3/klines", weight=2, ws="klines", params=KLINE_PARAMS, error_codes=(-1120, -1121))
async def klines(gateway: "Gateway", call: Call) -> list[list[Any]]:
    return await _klines(gateway, call)


@endpoint("GET", "/api/v3/uiKlines", weight=2, ws="uiKlines", params=KLINE_PARAMS, error_codes=(-1120, -1121))
async def ui_klines(gateway: "Gateway", call: Call) -> list[list[Any]]:
    return await _klines(gateway, call)


@endpoint("GET", "/api/v3/avgPrice", weight=2, ws="avgPrice", params=(SYMBOL,), error_codes=(-1121,))
async def average_price(gateway: "Gateway", call: Call) -> dict[str, Any]:
    market = gateway.markets.get(call.values["symbol"])
    state = gateway.public.state(market)
    # Before the first trade the initial price stands for the last price (matching-rules.md section 1).
    value, lots = state.average_price_ticks(call.received_ms) or (market.initial_price_ticks, 1)
    return {
        "mins": 5,
        "price": publicanswers.average_price(market, value, lots),
        "closeTime": state.trades[-1]["T"] if state.trades else call.received_ms,
    }


def _one_or_all(one: int, several: int) -> Callable[[Mapping[str, Any]], int]:
    return lambda values: one if values["symbol"] is not None else several


async def _each(
    gateway: "Gateway", call: Call, shape: Callable[[Market, PublicMarket], dict[str, Any]]
) -> dict[str, Any] | list[dict[str, Any]]:
    """One object for `symbol`, a list otherwise. Without names, markets that have no public data yet are left out."""
    if call.values["symbol"] is not None:
        market = _chosen(gateway, call.values)[0]
        return shape(market, gateway.public.state(market))
    markets = _chosen(gateway, call.values)
    if call.values["symbols"] is not None:
        return [shape(market, gateway.public.state(market)) for market in markets]
    return [shape(market, state) for market in markets if (state := gateway.public.known(market)) is not None]


@endpoint(
    "GET",
    "/api/v3/ticker/24hr",
    weight=_one_or_all(2, 80),
    ws="ticker.24hr",
    params=(*SYMBOL_OR_ALL, Choice("type", values={"FULL": "FULL", "MINI": "MINI"}, default="FULL")),
    error_codes=(-1121,),
)
async def ticker_24hr(gateway: "Gateway", call: Call) -> Any:
    shape = publicanswers.mini_ticker if call.values["type"] == "MINI" else publicanswers.ticker
    return await _each(gateway, call, lambda market, state: shape(market, state, call.received_ms))


@endpoint(
    "GET",
    "/api/v3/ticker/price",
    weight=_one_or_all(2, 4),
    ws="ticker.price",
    params=SYMBOL_OR_ALL,
    error_codes=(-1121,),
)
async def ticker_price(gateway: "Gateway", call: Call) -> Any:
    def shape(market: Market, state: PublicMarket) -> dict[str, Any]:
        return {"symbol": market.symbol, "price": market.price(publicanswers.last_price_ticks(market, state))}

    return await _each(gateway, call, shape)


@endpoint(
    "GET",
    "/api/v3/ticker/bookTicker",
    weight=_one_or_all(2, 4),
    ws="ticker.book",
    params=SYMBOL_OR_ALL,
    error_codes=(-1121,),
)
async def ticker_book(gateway: "Gateway", call: Call) -> Any:
    return await _each(
        gateway, call, lambda market, state: {"symbol": market.symbol, **publicanswers.best(market, state)}
    )


MINUTE_MS: Final = 60_000
DAY_MS: Final = 86_400_000
WINDOWS: Final = {
    **{f"{number}m": number * MINUTE_MS for number in range(1, 60)},
    **{f"{number}h": number * 60 * MINUTE_MS for number in range(1, 24)},
    **{f"{number}d": number * DAY_MS for number in range(1, 8)},
}
TICKER_TYPE: Final = Choice("type", values={"FULL": True, "MINI": False}, default=True)


def _window_weight(values: Mapping[str, Any]) -> int:
    return min(4 * len(values["symbols"] or "1"), 200)


async def _windows(gateway: "Gateway", call: Call, open_ms: int, close_ms: int) -> Any:
    if call.values["symbol"] is None and call.values["symbols"] is None:
        raise errors.missing_one_of("symbol", "symbols")
    answers = [
        publicanswers.window_ticker(
            market, await gateway.history.window(market, open_ms),
            publicanswers.last_price_ticks(market, gateway.public.state(market)),
            open_ms=open_ms, close_ms=close_ms, full=call.values["type"],
        )
        for market in _chosen(gateway, call.values)
    ]  # fmt: skip
    return answers if call.values["symbol"] is None else answers[0]


@endpoint(
    "GET", "/api/v3/ticker", weight=_window_weight, ws="ticker",
    params=(*SYMBOL_OR_ALL, Choice("windowSize", values=WINDOWS, default=DAY_MS), TICKER_TYPE),
    error_codes=(-1102, -1121),
)  # fmt: skip
async def rolling_ticker(gateway: "Gateway", call: Call) -> Any:
    """The window begins with a minute, so it is up to 59,999 ms longer than asked for."""
    open_ms = (call.received_ms - call.values["windowSize"]) // MINUTE_MS * MINUTE_MS
    return await _windows(gateway, call, open_ms, call.received_ms)


@endpoint(
    "GET", "/api/v3/ticker/tradingDay", weight=_window_weight, ws="ticker.tradingDay",
    params=(*SYMBOL_OR_ALL, UTC_ONLY, TICKER_TYPE), error_codes=(-1102, -1121),
)  # fmt: skip
async def trading_day(gateway: "Gateway", call: Call) -> Any:
    open_ms = call.received_ms // DAY_MS * DAY_MS
    return await _windows(gateway, call, open_ms, open_ms + DAY_MS - 1)
