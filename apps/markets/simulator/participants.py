"""Who trades: here the makers, with quotes on both sides (takers.py hits them). Each knows only the public API."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Final

import structlog
from websockets.exceptions import WebSocketException

from apps.common.amounts import PPM, ceil_div
from apps.markets.simulator.market_view import MarketView
from apps.markets.simulator.news import News
from apps.markets.simulator.quotes import Quote, QuoteRule, commands, crossing
from apps.markets.simulator.session import Credentials, Event, Refused, TradingSession, trading_session
from apps.streams.kinds import Side

log = structlog.get_logger(__name__)

RETRY_S: Final = 1.0
RETRY_S_MAX: Final = 15.0
# After a refusal (market halted, money on its way) a market is left alone for so long.
REFUSED_PAUSE_S: Final = 5.0
UNKNOWN_ORDER: Final = -2011
WOULD_MATCH: Final = "Order would immediately match and take."
# An iceberg shows one part of so many.
ICEBERG_PARTS: Final = 4


class Participant:
    """Trades while it can; comes back after any loss of the connection, beginning with its old orders gone."""

    def __init__(self, url: str, credentials: Credentials, news: News, random: Random) -> None:
        self.url = url
        self.credentials = credentials
        self.news = news
        self.random = random
        self.connected = False
        self._failing = False
        self._pause_s = RETRY_S

    async def run(self) -> None:
        while True:
            try:
                async with trading_session(self.url, self.credentials, self.on_event) as session:
                    markets = await self._markets(session)
                    await self.trade(session, markets)
            except* (OSError, TimeoutError, WebSocketException, Refused) as group:
                if not self._failing:
                    log.warning("lost the exchange", participant=self.credentials.name, error=str(group.exceptions[0]))
                self._failing = True
            self.connected = False
            await asyncio.sleep(self._pause_s)
            self._pause_s = min(self._pause_s * 2, RETRY_S_MAX)

    def connects(self) -> None:
        """Called when the session is usable: enough at first, but after a loss only an order that is taken counts."""
        if not self._failing:
            self.works()

    def works(self) -> None:
        """Called when orders are taken: a session opens just as well while all of them are refused with 503."""
        if self._failing:
            log.info("trades again", participant=self.credentials.name)
        self.connected, self._failing = True, False
        self._pause_s = RETRY_S

    async def _markets(self, session: TradingSession) -> dict[str, MarketView]:
        info = await session.request("exchangeInfo")
        listed = {symbol["symbol"]: symbol for symbol in info["symbols"]}
        return {
            market.symbol: MarketView.from_exchange_info(market, listed[market.symbol])
            for market in self.news.markets
            if market.symbol in listed
        }

    async def trade(self, session: TradingSession, markets: Mapping[str, MarketView]) -> None:
        raise NotImplementedError

    def on_event(self, event: Event) -> None:
        """User data; nothing to do for a participant that did not subscribe."""


@dataclass(slots=True)
class OwnQuotes:
    """One market of a maker: {quote: client order id}, net position since the start, and when to look again."""

    orders: dict[Quote, str] = field(default_factory=dict)
    position_lots: int = 0
    sleeps_until_s: float = 0.0


@dataclass(frozen=True, slots=True)
class MakerStyle:
    """Distances in ppm of the fair price, sizes in 10^-8 of the numeraire.

    `post_only`: quotes rest or are refused. Of all quotes, `iceberg_percent` hide most of their size.
    """

    grid_ppm: int
    gap_ppm: int
    levels: int
    phase_ppm: int
    notional_units: int
    post_only: bool = False
    iceberg_percent: int = 0


class Maker(Participant):
    """Quotes around the fair price, moved against its position, so that it sells what it has bought too much of."""

    TICK_S: Final = 1.0
    COMMANDS_MAX: Final = 6
    # A position of this many of its orders moves its quotes by one grid step, at most SKEW_MAX steps.
    ORDERS_A_STEP: Final = 8
    SKEW_MAX: Final = 3

    def __init__(self, url: str, credentials: Credentials, news: News, random: Random, style: MakerStyle) -> None:
        super().__init__(url, credentials, news, random)
        self.style = style
        self.books: dict[str, OwnQuotes] = {}
        self._views: Mapping[str, MarketView] = {}
        self._orders_sent = 0

    async def trade(self, session: TradingSession, markets: Mapping[str, MarketView]) -> None:
        self._views = markets
        await session.signed("userDataStream.subscribe.signature")
        for symbol in markets:
            self.books[symbol] = OwnQuotes(position_lots=self.books.get(symbol, OwnQuotes()).position_lots)
            await cancel_everything(session, symbol)
        self.connects()
        clock = asyncio.get_running_loop()
        while True:
            for symbol, view in markets.items():
                if self.books[symbol].sleeps_until_s <= clock.time():
                    await self._requote(session, view)
            self.works()
            await asyncio.sleep(self.TICK_S)

    async def _requote(self, session: TradingSession, view: MarketView) -> None:
        own = self.books[view.symbol]
        fair = self.news.fair_ticks(view)
        rule = self._rule(fair)
        order_lots = view.lots_for(self.news.in_quote(view, self.style.notional_units), fair)
        skew = max(-self.SKEW_MAX, min(self.SKEW_MAX, own.position_lots // (order_lots * self.ORDERS_A_STEP)))
        wanted = rule.wanted(fair - skew * rule.grid_ticks)
        for quote in crossing(fair, own.orders):
            if quote not in wanted:
                await self._cancel(session, view, own, quote)
        cancels, places = commands(wanted, own.orders, self.COMMANDS_MAX)
        for quote in cancels:
            await self._cancel(session, view, own, quote)
        for quote in places:
            lots = order_lots * self.random.randint(60, 160) // 100 + 1
            if not await self._place(session, view, own, quote, lots):
                break

    def _rule(self, fair: int) -> QuoteRule:
        style = self.style
        return QuoteRule(
            grid_ticks=max(_nice(fair * style.grid_ppm // PPM), 1),
            levels=style.levels,
            gap_ticks=max(fair * style.gap_ppm // PPM, 1),
            phase_ticks=fair * style.phase_ppm // PPM and _nice(fair * style.phase_ppm // PPM),
        )

    async def _place(self, session: TradingSession, view: MarketView, own: OwnQuotes, quote: Quote, lots: int) -> bool:
        side, price = quote
        self._orders_sent += 1
        client_id = f"{self.credentials.name}-{self.random.getrandbits(40):x}-{self._orders_sent}"
        own.orders[quote] = client_id
        kind: dict[str, str] = {"type": "LIMIT", "timeInForce": "GTC"}
        if self.style.post_only:
            kind = {"type": "LIMIT_MAKER"}
        if self.random.randrange(100) < self.style.iceberg_percent:
            kind["icebergQty"] = view.quantity(ceil_div(lots, ICEBERG_PARTS))
        try:
            await session.signed(
                "order.place",
                symbol=view.symbol,
                side=side.name,
                price=view.price(price),
                quantity=view.quantity(lots),
                newClientOrderId=client_id,
                newOrderRespType="ACK",
                **kind,
            )
        except Refused as refusal:
            own.orders.pop(quote, None)
            if refusal.message == WOULD_MATCH:
                # The other maker stands there still; the next look at the market tries again.
                return True
            self._rest(view, own, refusal)
            return False
        return True

    async def _cancel(self, session: TradingSession, view: MarketView, own: OwnQuotes, quote: Quote) -> None:
        client_id = own.orders.pop(quote, None)
        if client_id is None:
            return
        try:
            await session.signed("order.cancel", symbol=view.symbol, origClientOrderId=client_id)
        except Refused as refusal:
            if refusal.code != UNKNOWN_ORDER:
                self._rest(view, own, refusal)

    def _rest(self, view: MarketView, own: OwnQuotes, refusal: Refused) -> None:
        if refusal.status >= 500:
            raise refusal
        log.info("refused", participant=self.credentials.name, symbol=view.symbol, error=str(refusal))
        own.sleeps_until_s = asyncio.get_running_loop().time() + REFUSED_PAUSE_S

    def on_event(self, event: Event) -> None:
        """Own orders as they end, by fill or otherwise, and the position that fills leave."""
        if event["e"] != "executionReport" or event["s"] not in self.books:
            return
        own, view = self.books[event["s"]], self._views[event["s"]]
        side = Side[event["S"]]
        if event["x"] == "TRADE":
            own.position_lots += view.lots_of(event["l"]) * (1 if side == Side.BUY else -1)
        if event["X"] not in ("NEW", "PARTIALLY_FILLED"):
            quote = (side, view.ticks_of(event["p"]))
            client_id = event["C"] or event["c"]
            if own.orders.get(quote) == client_id:
                del own.orders[quote]


async def cancel_everything(session: TradingSession, symbol: str) -> None:
    """What an earlier session left behind."""
    try:
        await session.signed("openOrders.cancelAll", symbol=symbol)
    except Refused as refusal:
        if refusal.code != UNKNOWN_ORDER:
            raise


def _nice(ticks: int) -> int:
    """Rounded down to one leading digit of 1, 2 or 5: a grid that does not move with every fair price."""
    if ticks < 1:
        return 0
    digits = str(ticks)
    lead = int(digits[0])
    return int(str(5 if lead >= 5 else 2 if lead >= 2 else 1) + "0" * (len(digits) - 1))
