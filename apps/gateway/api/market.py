"""Public market data over REST and the WebSocket API. Everything but old trades and candles comes from memory."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from apps.gateway import bookchecksum, errors, publicanswers
from apps.gateway.chosen import STATUS, SYMBOL_OR_ALL, check_status, chosen, has_status
from apps.gateway.exchangeinfo import PERMISSIONS, exchange_info
from apps.gateway.marketstate import newest_state, state_of
from apps.gateway.params import Choice, Integer, Permissions, Symbol, Time, TimeZone
from apps.gateway.prebuilt import prebuilt
from apps.gateway.registry import Call, endpoint
from apps.markets.intervals import INTERVALS

if TYPE_CHECKING:
    from apps.gateway.gateway import Gateway

SYMBOL: Final = Symbol("symbol", required=True)
START: Final = Time("startTime", from_then_on=True)
END: Final = Time("endTime")
ZONE: Final = TimeZone("timeZone", default=0)
KLINE_PARAMS: Final = (
    SYMBOL,
    Choice("interval", required=True, values={name: name for name in INTERVALS}, refuse=errors.invalid_interval),
    START,
    END,
    Integer("limit", minimum=1, cap=1000, default=500),
    ZONE,
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
        Permissions("permissions"),
        STATUS,
    ),
    error_codes=(-1121, -1122, -1128),
)
async def get_exchange_info(gateway: "Gateway", call: Call) -> dict[str, Any]:
    """The markets named, or those with any of the permissions and the status asked for."""
    named = call.values["symbol"] is not None or call.values["symbols"] is not None
    permissions, status = call.values["permissions"], call.values["symbolStatus"]
    if named and (permissions is not None or status is not None):
        raise errors.bad_combination()
    markets = chosen(gateway, call.values)
    if permissions is not None and permissions.isdisjoint(PERMISSIONS):
        markets = []
    markets = [market for market in markets if has_status(gateway, market, status)]
    answer = exchange_info(
        [(market, newest_state(market, gateway.public.known(market))) for market in markets], gateway.limits.standard,
        call.received_ms,
    )  # fmt: skip
    if not call.values["showPermissionSets"]:
        for symbol in answer["symbols"]:
            symbol["permissionSets"] = []
    return answer


@endpoint("GET", "/api/v3/marketState", weight=2, ws="marketState", params=(SYMBOL,), error_codes=(-1121,))
async def market_state(gateway: "Gateway", call: Call) -> dict[str, Any]:
    """Ours: why a market does not trade, and until when; and whether its public data are what happened."""
    market, public = gateway.markets.get(call.values["symbol"]), gateway.public
    return {"symbol": market.symbol, **state_of(market, public.known(market), public.age.stale_since_ms())}


@endpoint("GET", "/api/v3/bookChecksum", weight=5, ws="bookChecksum", params=(SYMBOL,), error_codes=(-1121,))
async def book_checksum(gateway: "Gateway", call: Call) -> dict[str, Any]:
    """Ours: by which a client proves the book that it keeps; also the stream of that name."""
    market = gateway.markets.get(call.values["symbol"])
    return bookchecksum.answer(market, gateway.public.state(market))


def _depth_weight(values: Mapping[str, Any]) -> int:
    limit = values["limit"]
    return 5 if limit <= 100 else 25 if limit <= 500 else 50 if limit <= 1000 else 250


@endpoint(
    "GET", "/api/v3/depth", weight=_depth_weight, ws="depth", params=(SYMBOL, _limit(5000, 100), STATUS),
    error_codes=(-1121, -1122, -1220),
)  # fmt: skip
async def depth(gateway: "Gateway", call: Call) -> Any:
    market, limit = gateway.markets.get(call.values["symbol"]), call.values["limit"]
    check_status(gateway, market, call.values["symbolStatus"])
    state = gateway.public.state(market)
    return prebuilt(market, state, ("depth", limit), lambda market, state: publicanswers.depth(market, state, limit))


@endpoint(
    "GET", "/api/v3/trades", weight=25, ws="trades.recent", params=(SYMBOL, _limit(1000, 500)), error_codes=(-1121,)
)
async def trades(gateway: "Gateway", call: Call) -> list[dict[str, Any]]:
    market = gateway.markets.get(call.values["symbol"])
    recent = await gateway.past_trades.recent_trades(market, call.values["limit"])
    return [publicanswers.trade(market, record) for record in recent]


@endpoint(
    "GET", "/api/v3/historicalTrades", weight=25, ws="trades.historical",
    params=(SYMBOL, Integer("fromId"), _limit(1000, 500)), error_codes=(-1121,),
)  # fmt: skip
async def historical_trades(gateway: "Gateway", call: Call) -> list[dict[str, Any]]:
    """From an id upward; the most recent without one."""
    market = gateway.markets.get(call.values["symbol"])
    from_id, limit = call.values["fromId"], call.values["limit"]
    if from_id is None:
        found = await gateway.past_trades.recent_trades(market, limit)
    else:
        found = await gateway.past_trades.trades(market, from_id, limit)
    return [publicanswers.trade(market, record) for record in found]


@endpoint(
    "GET",
    "/api/v3/aggTrades",
    weight=4,
    ws="trades.aggregate",
    params=(SYMBOL, Integer("fromId"), START, END, _limit(1000, 500)),
    error_codes=(-1121, -1128),
)
async def agg_trades(gateway: "Gateway", call: Call) -> list[dict[str, Any]]:
    market = gateway.markets.get(call.values["symbol"])
    from_id, start_ms, end_ms, limit = (call.values[name] for name in ("fromId", "startTime", "endTime", "limit"))
    if from_id is None and start_ms is None and end_ms is None:
        recent = await gateway.past_trades.recent_aggregates(market, limit)
    else:
        if from_id is not None and (start_ms is not None or end_ms is not None):
            raise errors.bad_combination()
        recent = await gateway.past_trades.aggregates(
            market, from_id=from_id, start_ms=start_ms, end_ms=end_ms, limit=limit
        )
    return [publicanswers.aggregate(market, record) for record in recent]


async def _klines(gateway: "Gateway", call: Call) -> list[list[Any]]:
    values = call.values
    market = gateway.markets.get(values["symbol"])
    bars = await gateway.history.klines(
        market, values["interval"], start_ms=values["startTime"], end_ms=values["endTime"], limit=values["limit"],
        now_ms=call.received_ms, offset_ms=values["timeZone"],
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
