"""Tickers over REST and the WebSocket API: of 24 hours, of the last price, of the best prices, of a window or a day."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from apps.gateway import errors, publicanswers
from apps.gateway.book import PublicMarket
from apps.gateway.chosen import STATUS, SYMBOL_OR_ALL, check_status, chosen, has_status
from apps.gateway.markets import Market
from apps.gateway.params import Choice, TimeZone
from apps.gateway.prebuilt import prebuilt
from apps.gateway.registry import Call, endpoint

if TYPE_CHECKING:
    from apps.gateway.gateway import Gateway

# Whether all fields are wanted.
TICKER_TYPE: Final = Choice(
    "type", values={"FULL": True, "MINI": False}, default=True, refuse=errors.invalid_ticker_type
)


def _one_or_all(one: int, several: int) -> Callable[[Mapping[str, Any]], int]:
    return lambda values: one if values["symbol"] is not None else several


async def _each(
    gateway: "Gateway", call: Call, name: str, build: Callable[[Market, PublicMarket], dict[str, Any]]
) -> Any:
    """One object for `symbol`, a list otherwise. Without names, markets that have no public data yet are left out."""
    status = call.values["symbolStatus"]

    def shape(market: Market, state: PublicMarket) -> Any:
        # Before a market's first trade an answer may tell the time of the request.
        return prebuilt(market, state, name, build) if state.ticker is not None else build(market, state)

    if call.values["symbol"] is not None:
        market = chosen(gateway, call.values)[0]
        check_status(gateway, market, status)
        return shape(market, gateway.public.state(market))
    markets = [market for market in chosen(gateway, call.values) if has_status(gateway, market, status)]
    if call.values["symbols"] is not None:
        return [shape(market, gateway.public.state(market)) for market in markets]
    return [shape(market, state) for market in markets if (state := gateway.public.known(market)) is not None]


def _day_weight(values: Mapping[str, Any]) -> int:
    if values["symbol"] is not None:
        return 2
    if values["symbols"] is not None:
        return 2 if len(values["symbols"]) <= 20 else 40
    return 80


@endpoint(
    "GET",
    "/api/v3/ticker/24hr",
    weight=_day_weight,
    ws="ticker.24hr",
    params=(*SYMBOL_OR_ALL, TICKER_TYPE, STATUS),
    error_codes=(-1121, -1122, -1220),
)
async def ticker_24hr(gateway: "Gateway", call: Call) -> Any:
    shape = publicanswers.ticker if call.values["type"] else publicanswers.mini_ticker
    return await _each(gateway, call, shape.__name__, lambda market, state: shape(market, state, call.received_ms))


@endpoint(
    "GET",
    "/api/v3/ticker/price",
    weight=_one_or_all(2, 4),
    ws="ticker.price",
    params=(*SYMBOL_OR_ALL, STATUS),
    error_codes=(-1121, -1122, -1220),
)
async def ticker_price(gateway: "Gateway", call: Call) -> Any:
    def shape(market: Market, state: PublicMarket) -> dict[str, Any]:
        return {"symbol": market.symbol, "price": market.price(publicanswers.last_price_ticks(market, state))}

    return await _each(gateway, call, "price", shape)


@endpoint(
    "GET",
    "/api/v3/ticker/bookTicker",
    weight=_one_or_all(2, 4),
    ws="ticker.book",
    params=(*SYMBOL_OR_ALL, STATUS),
    error_codes=(-1121, -1122, -1220),
)
async def ticker_book(gateway: "Gateway", call: Call) -> Any:
    return await _each(
        gateway, call, "book", lambda market, state: {"symbol": market.symbol, **publicanswers.best(market, state)}
    )


MINUTE_MS: Final = 60_000
DAY_MS: Final = 86_400_000
WINDOWS: Final = {
    **{f"{number}m": number * MINUTE_MS for number in range(1, 60)},
    **{f"{number}h": number * 60 * MINUTE_MS for number in range(1, 24)},
    **{f"{number}d": number * DAY_MS for number in range(1, 8)},
}


def _window_weight(values: Mapping[str, Any]) -> int:
    return min(4 * len(values["symbols"] or "1"), 200)


async def _windows(gateway: "Gateway", call: Call, open_ms: int, close_ms: int) -> Any:
    if call.values["symbol"] is None and call.values["symbols"] is None:
        raise errors.missing_one_of("symbol", "symbols")
    status, markets = call.values["symbolStatus"], chosen(gateway, call.values)
    if call.values["symbol"] is not None:
        check_status(gateway, markets[0], status)
    answers = [
        publicanswers.window_ticker(
            market, await gateway.history.window(market, open_ms),
            publicanswers.last_price_ticks(market, gateway.public.state(market)),
            open_ms=open_ms, close_ms=close_ms, full=call.values["type"],
        )
        for market in markets
        if has_status(gateway, market, status)
    ]  # fmt: skip
    return answers if call.values["symbol"] is None else answers[0]


@endpoint(
    "GET", "/api/v3/ticker", weight=_window_weight, ws="ticker",
    params=(*SYMBOL_OR_ALL, Choice("windowSize", values=WINDOWS, default=DAY_MS), TICKER_TYPE, STATUS),
    error_codes=(-1102, -1121, -1122, -1220),
)  # fmt: skip
async def rolling_ticker(gateway: "Gateway", call: Call) -> Any:
    """The window begins with a minute, so it is up to 59,999 ms longer than asked for."""
    open_ms = (call.received_ms - call.values["windowSize"]) // MINUTE_MS * MINUTE_MS
    return await _windows(gateway, call, open_ms, call.received_ms)


@endpoint(
    "GET", "/api/v3/ticker/tradingDay", weight=_window_weight, ws="ticker.tradingDay",
    params=(*SYMBOL_OR_ALL, TimeZone("timeZone", default=0), TICKER_TYPE, STATUS),
    error_codes=(-1102, -1121, -1122, -1220),
)  # fmt: skip
async def trading_day(gateway: "Gateway", call: Call) -> Any:
    """The day that it is by a clock of the time zone."""
    offset_ms = call.values["timeZone"]
    open_ms = (call.received_ms + offset_ms) // DAY_MS * DAY_MS - offset_ms
    return await _windows(gateway, call, open_ms, open_ms + DAY_MS - 1)
