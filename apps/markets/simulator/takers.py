"""Takers: buy or sell a little now and then, mostly at market, sometimes within a limit or by a stop order."""

import asyncio
from collections import deque
from collections.abc import Mapping
from random import Random
from typing import Final

import structlog

from apps.common.amounts import PPM
from apps.markets.simulator.market_view import MarketView
from apps.markets.simulator.news import News
from apps.markets.simulator.participants import REFUSED_PAUSE_S, UNKNOWN_ORDER, Participant, cancel_everything
from apps.markets.simulator.session import Credentials, Refused, TradingSession
from apps.streams.kinds import Side

log = structlog.get_logger(__name__)

IMMEDIATE_PERCENT: Final = 20
STOP_PERCENT: Final = 8
# How far beyond the fair price a limit that has to fill at once may go, and how far away a stop order waits.
LIMIT_PPM: Final = 600
STOP_PPM: Final = 3_000
# Stop orders that a taker leaves waiting in one market; then the oldest goes.
STOPS_MAX: Final = 3
WOULD_TRIGGER: Final = "Order would trigger immediately."


class Taker(Participant):
    def __init__(
        self, url: str, credentials: Credentials, news: News, random: Random, *, mean_pause_ms: int, notional_units: int
    ) -> None:
        super().__init__(url, credentials, news, random)
        self.mean_pause_ms = mean_pause_ms
        self.notional_units = notional_units
        self._stops: dict[str, deque[str]] = {}

    async def trade(self, session: TradingSession, markets: Mapping[str, MarketView]) -> None:
        for symbol in markets:
            await cancel_everything(session, symbol)
            self._stops[symbol] = deque()
        self.connects()
        views = list(markets.values())
        sleeps_until_s: dict[str, float] = {}
        clock = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(self.random.randint(0, 2 * self.mean_pause_ms) / 1000)
            view = self.random.choice(views)
            if sleeps_until_s.get(view.symbol, 0.0) > clock.time():
                continue
            try:
                await self.order(session, view)
            except Refused as refusal:
                if refusal.status >= 500:
                    raise
                log.info("refused", participant=self.credentials.name, symbol=view.symbol, error=str(refusal))
                sleeps_until_s[view.symbol] = clock.time() + REFUSED_PAUSE_S
            self.works()

    async def order(self, session: TradingSession, view: MarketView) -> None:
        """One order of some kind. Raises Refused, but for a stop whose price has been passed meanwhile."""
        fair = self.news.fair_ticks(view)
        notional = self.news.in_quote(view, self.notional_units) * self.random.randint(5, 200) // 100
        side = self.random.choice(tuple(Side))
        up = 1 if side == Side.BUY else -1
        order: dict[str, str] = {
            "symbol": view.symbol, "side": side.name, "quantity": view.quantity(view.lots_for(notional, fair)),
            "newOrderRespType": "ACK",
        }  # fmt: skip
        draw = self.random.randrange(100)
        if draw < STOP_PERCENT:
            await self._stop(session, view, order, max(fair + up * (fair * STOP_PPM // PPM), 1))
        elif draw < STOP_PERCENT + IMMEDIATE_PERCENT:
            price = view.price(max(fair + up * (fair * LIMIT_PPM // PPM), 1))
            await session.signed("order.place", **order, type="LIMIT", timeInForce="IOC", price=price)
        else:
            await session.signed("order.place", **order, type="MARKET")

    async def _stop(self, session: TradingSession, view: MarketView, order: dict[str, str], stop_ticks: int) -> None:
        """A stop-loss at market: a buy above the price, a sell below it."""
        waiting = self._stops[view.symbol]
        client_id = f"{self.credentials.name}-{self.random.getrandbits(40):x}"
        try:
            await session.signed(
                "order.place", **order, type="STOP_LOSS", stopPrice=view.price(stop_ticks), newClientOrderId=client_id
            )
        except Refused as refusal:
            if refusal.message != WOULD_TRIGGER:
                raise
            return
        waiting.append(client_id)
        if len(waiting) > STOPS_MAX:
            try:
                await session.signed("order.cancel", symbol=view.symbol, origClientOrderId=waiting.popleft())
            except Refused as refusal:
                if refusal.code != UNKNOWN_ORDER:  # it has been triggered meanwhile
                    raise
