"""The simulator's parts: price walk, quotes, makers and takers against a scripted exchange, accounts and funding."""

import asyncio
import contextlib
import sys
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import replace
from random import Random
from typing import Any
from unittest.mock import AsyncMock

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db.models import F
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs
from websockets.asyncio.server import ServerConnection, serve

from apps.accounts.models import TradingAccount
from apps.common.amounts import parse_decimal
from apps.ledger.models import Balance
from apps.markets import demo
from apps.markets.management.commands.run_simulator import last_prices, own_url
from apps.markets.models import Asset
from apps.markets.services import create_asset
from apps.markets.simulator import participants
from apps.markets.simulator.funding import TARGETS, funds_on_their_way, make_account, refill
from apps.markets.simulator.market_view import MarketView
from apps.markets.simulator.news import News
from apps.markets.simulator.participants import Maker, MakerStyle, OwnQuotes
from apps.markets.simulator.prices import ONE, FairPrices, initial_units
from apps.markets.simulator.process import MAKERS
from apps.markets.simulator.quotes import QuoteRule, commands, crossing
from apps.markets.simulator.session import Credentials, Refused, from_address, trading_session
from apps.markets.simulator.takers import Taker
from apps.streams.kinds import Side

BTCUSDT = MarketView(demo.MARKETS[0], "BTCUSDT", 1_000_000, 1_000, 5 * ONE)
STYLE = MakerStyle(grid_ppm=200, gap_ppm=100, levels=5, phase_ppm=0, notional_units=2_500 * ONE)


# -- connection -------------------------------------------------------------------------------------------------------
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere this machine has one loopback address")
async def test_a_ban_of_this_machines_other_clients_is_not_the_simulators() -> None:
    addresses = []

    async def gateway(connection: ServerConnection) -> None:
        addresses.append(connection.remote_address[0])

    async with serve(gateway, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with trading_session(f"ws://127.0.0.1:{port}", Credentials("m", 1, "k", "s"), lambda _: None):
            pass
    assert addresses == ["127.0.0.2"]


@pytest.mark.parametrize("url", ["ws://exchange:8000/ws-api/v3", "ws://10.0.0.3:8000/ws-api/v3", "ws://[::1]:8000/"])
def test_to_any_other_gateway_it_connects_from_anywhere(url: str) -> None:
    assert from_address(url) is None


# -- prices -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("seed", range(3))
def test_the_walk_moves_slowly_and_stays_near_home(seed: int) -> None:
    prices = FairPrices({}, Random(seed))
    home = initial_units()
    for _ in range(20_000):
        before = dict(prices.units)
        prices.step()
        for code in home:
            assert abs(prices.units[code] - before[code]) * 1_000_000 <= before[code] * 1_300
            assert home[code] // 3 < prices.units[code] < home[code] * 3
    assert prices.units["USDT"] == ONE


def test_ethbtc_follows_the_other_two() -> None:
    prices = FairPrices({"BTC": 50_000 * ONE, "ETH": 3_000 * ONE}, Random(1))
    ethbtc = demo.MARKETS[2]
    assert prices.ticks(ethbtc, ethbtc.terms().tick_size) == 6_000  # 0.06 BTC in ticks of 0.00001


# -- quotes -----------------------------------------------------------------------------------------------------------
@given(st.integers(1, 10**7), st.integers(1, 5_000), st.integers(1, 25), st.integers(1, 5_000), st.integers(0, 4_999))
def test_wanted_quotes(fair: int, grid: int, levels: int, gap: int, phase: int) -> None:
    rule = QuoteRule(grid, levels, gap, phase % grid)
    wanted = rule.wanted(fair)
    bids = [price for side, price in wanted if side == Side.BUY]
    asks = [price for side, price in wanted if side == Side.SELL]
    assert bids == sorted(bids, reverse=True)
    assert asks == sorted(asks)
    assert len(asks) == levels
    assert len(bids) <= levels
    assert all((price - phase % grid) % grid == 0 for price in bids + asks)
    assert all(0 < price <= fair - gap for price in bids)
    assert all(fair + gap <= price for price in asks)
    assert asks[0] < fair + gap + grid
    assert crossing(fair, wanted) == []


def test_a_small_move_changes_one_level_a_side() -> None:
    rule = QuoteRule(grid_ticks=10, levels=5, gap_ticks=5)
    own = dict.fromkeys(rule.wanted(1_000), "x")
    cancels, places = commands(rule.wanted(1_010), own, 10)
    assert set(cancels) == {(Side.SELL, 1_010), (Side.BUY, 950)}
    assert set(places) == {(Side.BUY, 1_000), (Side.SELL, 1_060)}
    assert commands(rule.wanted(1_000), own, 10) == ([], [])
    assert commands(rule.wanted(1_000), {}, 3) == ([], [(Side.BUY, 990), (Side.SELL, 1_010), (Side.BUY, 980)])
    assert crossing(985, own) == [(Side.BUY, 990)]


def test_sizes_pass_the_filters() -> None:
    assert BTCUSDT.price(5_000_000) == "50000.00000000"
    assert BTCUSDT.ticks_of("50000.00000000") == 5_000_000
    assert BTCUSDT.lots_of(BTCUSDT.quantity(7)) == 7
    assert BTCUSDT.lots_for(2_500 * ONE, 5_000_000) == 5_000  # 0.05 BTC
    lots = BTCUSDT.lots_for(1, 5_000_000)
    assert lots * 5_000_000 * 10 >= 5 * ONE, "never below the smallest notional"


# -- a maker against a scripted exchange ------------------------------------------------------------------------------
class ScriptedExchange:
    """Takes orders as the API would; `refuse` is raised instead."""

    def __init__(self, maker: Maker) -> None:
        self.maker = maker
        self.open: dict[str, dict[str, Any]] = {}
        self.refuse: Refused | None = None

    async def signed(self, method: str, **params: Any) -> dict[str, Any]:
        if self.refuse:
            raise self.refuse
        if method == "order.place":
            self.open[params["newClientOrderId"]] = params
        elif method == "order.cancel":
            order = self.open.pop(params["origClientOrderId"])
            self.tell(order, "CANCELED", "CANCELED", "0", cancel=True)
        return {}

    def tell(self, order: dict[str, Any], kind: str, status: str, last: str, *, cancel: bool = False) -> None:
        """The user data event; on CANCELED `c` is the cancel's id and `C` the order's."""
        own = order["newClientOrderId"]
        self.maker.on_event(
            {"e": "executionReport", "s": order["symbol"], "S": order["side"], "p": order["price"], "x": kind,
             "X": status, "l": last, "c": "cancel" if cancel else own, "C": own if cancel else ""}
        )  # fmt: skip

    def quotes(self) -> set[tuple[Side, int]]:
        return {(Side[order["side"]], BTCUSDT.ticks_of(order["price"])) for order in self.open.values()}


class StillNews(News):
    """News whose fair price the test sets."""

    fair = 5_000_000

    def fair_ticks(self, view: MarketView) -> int:
        return self.fair


@pytest.fixture
def news() -> StillNews:
    return StillNews(FairPrices({}, Random(1)), demo.MARKETS)


@pytest.fixture
def maker(news: StillNews) -> Maker:
    maker = Maker("ws://unused", Credentials("m", 1, "k", "s"), news, Random(1), STYLE)
    maker._views = {"BTCUSDT": BTCUSDT}
    maker.books["BTCUSDT"] = OwnQuotes()
    return maker


@pytest.fixture
def exchange(maker: Maker) -> ScriptedExchange:
    return ScriptedExchange(maker)


async def requote(maker: Maker, exchange: ScriptedExchange, times: int = 10) -> None:
    for _ in range(times):
        await maker._requote(exchange, BTCUSDT)  # type: ignore[arg-type]


async def test_a_maker_fills_its_book_a_few_orders_at_a_time(maker: Maker, exchange: ScriptedExchange) -> None:
    await requote(maker, exchange, 1)
    assert len(exchange.open) == Maker.COMMANDS_MAX
    await requote(maker, exchange)
    wanted = set(maker._rule(5_000_000).wanted(5_000_000))
    assert exchange.quotes() == wanted == set(maker.books["BTCUSDT"].orders)
    assert len(wanted) == 10


async def test_a_maker_follows_the_price(maker: Maker, exchange: ScriptedExchange, news: StillNews) -> None:
    await requote(maker, exchange)
    news.fair = 5_020_000
    await requote(maker, exchange)
    assert exchange.quotes() == set(maker._rule(5_020_000).wanted(5_020_000))


async def test_a_filled_order_is_replaced_and_moves_the_quotes(maker: Maker, exchange: ScriptedExchange) -> None:
    await requote(maker, exchange)
    before = exchange.quotes()
    client_id, order = next((key, order) for key, order in exchange.open.items() if order["side"] == "BUY")
    exchange.tell(order, "TRADE", "PARTIALLY_FILLED", order["quantity"])
    assert exchange.quotes() == set(maker.books["BTCUSDT"].orders), "still open"
    exchange.open.pop(client_id)
    exchange.tell(order, "TRADE", "FILLED", order["quantity"])
    assert len(maker.books["BTCUSDT"].orders) == 9
    await requote(maker, exchange)
    assert exchange.quotes() == before
    maker.books["BTCUSDT"].position_lots = 10**9
    await requote(maker, exchange)
    assert max(price for side, price in exchange.quotes() if side == Side.SELL) < max(price for _, price in before)


async def test_refusals_of_an_outage_are_said_once_and_asked_ever_more_rarely(
    maker: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A session opens as well as ever while each order gets 503; only an order that is taken ends the outage."""
    pauses: list[float] = []
    sessions = 0

    @contextlib.asynccontextmanager
    async def session(*_: object) -> AsyncIterator[None]:
        yield

    async def trade(*_: object) -> None:
        nonlocal sessions
        sessions += 1
        maker.connects()
        if sessions == 5:
            maker.works()
        raise Refused(503, -1001, "Internal error")

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 6:
            raise asyncio.CancelledError

    monkeypatch.setattr(participants, "trading_session", session)
    monkeypatch.setattr(maker, "_markets", AsyncMock())
    monkeypatch.setattr(maker, "trade", trade)
    monkeypatch.setattr(participants.asyncio, "sleep", sleep)
    with capture_logs() as lines, pytest.raises(asyncio.CancelledError):
        await maker.run()
    assert [line["event"] for line in lines] == ["lost the exchange", "trades again", "lost the exchange"]
    assert pauses == [1, 2, 4, 8, 1, 2]


async def test_a_refused_market_is_left_alone(maker: Maker, exchange: ScriptedExchange) -> None:
    exchange.refuse = Refused(400, -2010, "Market is closed.")
    await requote(maker, exchange, 1)
    assert maker.books["BTCUSDT"].orders == {}
    assert maker.books["BTCUSDT"].sleeps_until_s > 0
    exchange.refuse = Refused(503, -1001, "Internal error")
    with pytest.raises(Refused):
        await requote(maker, exchange, 1)


@pytest.mark.parametrize("style", MAKERS.values())
@pytest.mark.parametrize("market", demo.MARKETS, ids=lambda market: market.symbol)
def test_every_demo_market_gets_enough_levels(style: MakerStyle, market: demo.DemoMarket, news: StillNews) -> None:
    terms = market.terms()
    view = MarketView(market, market.symbol, terms.tick_size, terms.lot_size, terms.min_notional_units)
    maker = Maker("ws://unused", Credentials("m", 1, "k", "s"), news, Random(1), style)
    wanted = maker._rule(terms.initial_price_ticks).wanted(terms.initial_price_ticks)
    assert len(set(wanted)) == 2 * style.levels
    lots = view.lots_for(news.in_quote(view, style.notional_units), terms.initial_price_ticks)
    assert terms.min_lots <= lots <= terms.max_lots


async def test_post_only_quotes_and_icebergs(news: StillNews) -> None:
    style = replace(STYLE, post_only=True, iceberg_percent=50)
    maker = Maker("ws://unused", Credentials("m", 1, "k", "s"), news, Random(1), style)
    maker._views = {"BTCUSDT": BTCUSDT}
    maker.books["BTCUSDT"] = OwnQuotes()
    exchange = ScriptedExchange(maker)
    await requote(maker, exchange)
    orders = list(exchange.open.values())
    assert {order["type"] for order in orders} == {"LIMIT_MAKER"}
    assert not any("timeInForce" in order for order in orders)
    icebergs = [order for order in orders if "icebergQty" in order]
    assert 0 < len(icebergs) < len(orders)
    for order in icebergs:
        shown, whole = (BTCUSDT.lots_of(order[name]) for name in ("icebergQty", "quantity"))
        assert whole <= shown * 4 < whole + 4
    # Another maker stands where the quote would go: it is tried again, and the market is not left alone.
    exchange.refuse = Refused(400, -2010, "Order would immediately match and take.")
    maker.books["BTCUSDT"] = OwnQuotes()
    await requote(maker, exchange, 1)
    assert (maker.books["BTCUSDT"].orders, maker.books["BTCUSDT"].sleeps_until_s) == ({}, 0.0)


class TakersExchange:
    """Records what a taker asks for; `refuse` is raised instead of taking a stop order."""

    def __init__(self) -> None:
        self.orders: list[dict[str, Any]] = []
        self.canceled: list[str] = []
        self.refuse: Refused | None = None

    async def signed(self, method: str, **params: Any) -> dict[str, Any]:
        if method == "order.cancel":
            self.canceled.append(params["origClientOrderId"])
            if self.refuse:
                raise self.refuse
        elif self.refuse and params["type"] == "STOP_LOSS":
            raise self.refuse
        else:
            self.orders.append(params)
        return {}


async def test_a_taker_uses_every_kind_and_leaves_few_stops(news: StillNews) -> None:
    taker = Taker(
        "ws://unused", Credentials("t", 1, "k", "s"), news, Random(1), mean_pause_ms=1, notional_units=300 * ONE
    )
    taker._stops["BTCUSDT"] = deque()
    exchange = TakersExchange()
    for _ in range(200):
        await taker.order(exchange, BTCUSDT)  # type: ignore[arg-type]
    kinds = {order["type"] for order in exchange.orders}
    assert kinds == {"MARKET", "LIMIT", "STOP_LOSS"}
    assert {order["timeInForce"] for order in exchange.orders if order["type"] == "LIMIT"} == {"IOC"}
    stops = [order for order in exchange.orders if order["type"] == "STOP_LOSS"]
    for order in stops:
        ticks = BTCUSDT.ticks_of(order["stopPrice"])
        assert ticks > news.fair if order["side"] == "BUY" else ticks < news.fair
    assert exchange.canceled == [order["newClientOrderId"] for order in stops[:-3]]
    exchange.refuse = Refused(400, -2010, "Order would trigger immediately.")
    await taker._stop(exchange, BTCUSDT, {}, 1)  # type: ignore[arg-type]
    assert len(taker._stops["BTCUSDT"]) == 3
    exchange.refuse = Refused(400, -2010, "Market is closed.")
    with pytest.raises(Refused):
        await taker._stop(exchange, BTCUSDT, {}, 1)  # type: ignore[arg-type]


# -- accounts ---------------------------------------------------------------------------------------------------------
@pytest.fixture
def assets(db: None) -> None:
    for code, name, asset_class in demo.ASSETS:
        create_asset(code=code, name=name, asset_class=asset_class)


def test_accounts_are_demo_accounts_and_funded_once(assets: None) -> None:
    account = make_account("simulator-maker-a")
    assert TradingAccount.objects.get(pk=account.account_id).tier == TradingAccount.Tier.DEMO
    assert account.api_secret not in repr(account)
    assert not funds_on_their_way([account.account_id])
    assert refill([account.account_id]) == len(TARGETS)
    assert funds_on_their_way([account.account_id])
    assert refill([account.account_id]) == 0, "what is on its way is not sent again"
    again = make_account("simulator-maker-a")
    assert (again.account_id, again.api_key != account.api_key) == (account.account_id, True)


def test_an_account_that_has_enough_gets_nothing(assets: None) -> None:
    account = make_account("simulator-maker-a")
    for code, target in TARGETS.items():
        quarter = parse_decimal(target) // 4
        Balance.objects.create(
            account_id=account.account_id, asset_id=Asset.objects.get(code=code).pk,
            available_units=quarter - 1, held_units=1, posted_units=quarter, seq=1,
        )  # fmt: skip
    assert refill([account.account_id]) == 0
    Balance.objects.exclude(asset_id=1).update(held_units=0, posted_units=F("available_units"))
    assert refill([account.account_id]) == len(TARGETS) - 1


def test_prices_go_on_where_the_market_is(settings: Any, db: None) -> None:
    assert last_prices() == {}
    settings.SIMULATOR = True
    call_command("demo_data", verbosity=0)
    assert last_prices() == initial_units()


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "ws://127.0.0.1:8000/ws-api/v3"),
        ("0.0.0.0", "ws://127.0.0.1:8000/ws-api/v3"),
        ("::", "ws://[::1]:8000/ws-api/v3"),
        ("exchange.example", "ws://exchange.example:8000/ws-api/v3"),
    ],
)
def test_where_the_gateway_is(host: str, url: str) -> None:
    assert own_url(host, 8000) == url


@pytest.mark.parametrize(("environment", "simulator"), [("production", True), ("development", False)])
def test_the_simulator_refuses_to_run(settings: Any, environment: str, simulator: bool) -> None:
    settings.ENVIRONMENT, settings.SIMULATOR = environment, simulator
    with pytest.raises(CommandError, match="for development"):
        call_command("run_simulator")
