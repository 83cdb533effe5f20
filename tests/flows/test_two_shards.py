"""Two shards in one installation: one PostgreSQL, one redis-core, two sets of processes; one is down, the other trades
(T16)."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest

from apps.streams.shards import last_order_id, order_ids_after
from tests.dialect import Account, Dialect, demo_account
from tests.stack import TRADING, Stack

pytestmark = [pytest.mark.stack, pytest.mark.timeout(480)]

PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True)
class Venue:
    """One shard's processes, its market, and the same two traders, who have money of their own there."""

    shard: str
    stack: Stack
    symbol: str
    maker: Dialect
    taker: Dialect

    def trade(self, price: str) -> tuple[Any, Any]:
        """Answers of a resting order and of the one that trades with it."""
        order = {"symbol": self.symbol, "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.1", "price": price}
        return self.maker.order(**order, side="SELL"), self.taker.order(**order, side="BUY")

    def takes_orders(self) -> bool:
        """False where an order is refused as a stopped engine's are; it is cancelled where it is taken."""
        order = {"symbol": self.symbol, "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.1", "price": "99.00"}
        status, answer = self.maker.signed("POST", "/api/v3/order", **order, side="SELL")
        if status == 503 and answer["code"] == -1001:
            return False
        assert status == 200, answer
        self.maker.ok("DELETE", "/api/v3/order", symbol=self.symbol, orderId=answer["orderId"])
        return True

    def trades_again(self) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not self.takes_orders():
            assert time.monotonic() < deadline, f"{self.shard} does not trade again"
            time.sleep(0.05)


@pytest.fixture(scope="module")
def venues() -> Iterator[dict[str, Venue]]:
    with (
        Stack(PROCESSES=f"{TRADING},site") as spot,
        Stack(data_dir=spot.data_dir, SHARD="drill", PROCESSES=TRADING) as drill,
    ):
        # The second call gives an account a new key, which is good for both gateways.
        keys: dict[str, Account] = {}
        for name, of_spot, of_drill in (("maker", "LTC", "LTC"), ("taker", "USDT", "USDC")):
            demo_account(spot, f"shards-{name}", **{of_spot: "1000"})
            keys[name] = demo_account(drill, f"shards-{name}", **{of_drill: "500"})
        with (
            Dialect(spot.base_url, keys["maker"]) as spot_maker,
            Dialect(spot.base_url, keys["taker"]) as spot_taker,
            Dialect(drill.base_url, keys["maker"]) as drill_maker,
            Dialect(drill.base_url, keys["taker"]) as drill_taker,
        ):
            yield {
                "spot": Venue("spot", spot, "LTCUSDT", spot_maker, spot_taker),
                "drill": Venue("drill", drill, "LTCUSDC", drill_maker, drill_taker),
            }


def test_each_has_its_own_markets_balances_and_ids(venues: dict[str, Venue]) -> None:
    spot, drill = venues["spot"], venues["drill"]
    for venue, funds in ((spot, "1000.00000000"), (drill, "500.00000000")):
        assert venue.maker.balances() == {"LTC": (funds, "0.00000000")}
        resting, taken = venue.trade("81.00")
        assert taken["status"] == "FILLED"
        assert order_ids_after(venue.shard) < resting["orderId"] < taken["orderId"] <= last_order_id(venue.shard)
        assert [fill["tradeId"] for fill in taken["fills"]] == [1]
    assert {row["symbol"] for row in drill.maker.public("/api/v3/exchangeInfo")["symbols"]} == {"LTCUSDC"}
    assert "LTCUSDC" not in {row["symbol"] for row in spot.maker.public("/api/v3/exchangeInfo")["symbols"]}
    assert drill.maker.answered("GET", "/api/v3/openOrders", symbol="LTCUSDT") == (
        400, {"code": -1121, "msg": "Invalid symbol."}
    )  # fmt: skip
    assert drill.taker.balances()["LTC"] == ("0.09990000", "0.00000000")


def test_reads_of_one_never_show_the_other(venues: dict[str, Venue]) -> None:
    spot, drill = venues["spot"], venues["drill"]
    placed = {}
    for venue in (spot, drill):
        order = {"symbol": venue.symbol, "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.2", "price": "95.00"}
        placed[venue.shard] = venue.maker.order(**order, side="SELL", newClientOrderId="same-id")["orderId"]
    for venue, other in ((spot, drill), (drill, spot)):
        own = placed[venue.shard]
        assert [row["orderId"] for row in venue.maker.ok("GET", "/api/v3/openOrders")] == [own]
        found = venue.maker.ok("GET", "/api/v3/order", symbol=venue.symbol, origClientOrderId="same-id")
        assert found["orderId"] == own
        history = venue.maker.ok("GET", "/api/v3/allOrders", symbol=venue.symbol, startTime=1_000_000)
        assert own in [row["orderId"] for row in history]
        asked = {"symbol": venue.symbol, "orderId": placed[other.shard]}
        assert venue.maker.answered("GET", "/api/v3/order", **asked)[1]["code"] == -2013
        assert venue.maker.answered("DELETE", "/api/v3/order", **asked)[1]["code"] == -2011
        venue.maker.ok("DELETE", "/api/v3/openOrders", symbol=venue.symbol)


def test_public_data_of_each(venues: dict[str, Venue]) -> None:
    def trades(venue: Venue) -> list[str]:
        return [trade["price"] for trade in venue.maker.public("/api/v3/trades", symbol=venue.symbol)]

    def in_candles(venue: Venue) -> int:
        return sum(bar[8] for bar in venue.maker.public("/api/v3/klines", symbol=venue.symbol, interval="1d", limit=2))

    for venue in venues.values():
        deadline = time.monotonic() + PATIENCE_S
        while (trades(venue), in_candles(venue)) != (["81.00000000"], 1):
            assert time.monotonic() < deadline, (venue.shard, trades(venue), in_candles(venue))
            time.sleep(0.05)


@pytest.mark.parametrize(("down", "up"), [("spot", "drill"), pytest.param("drill", "spot", marks=pytest.mark.long)])
def test_one_stopped_the_other_trades(venues: dict[str, Venue], down: str, up: str) -> None:
    """With unchanged answers; what is stopped refuses at once and goes on when it is back.

    `make test` stops the first shard and kills (below) the second, `make long` does both to both.
    """
    stopped, trading = venues[down], venues[up]
    before = trading.trade("82.00")
    stopped.stack.stop_process("matching")
    try:
        during = trading.trade("82.00")
        deadline = time.monotonic() + PATIENCE_S
        while stopped.maker.public("/sapi/v1/system/status")["status"] == 0:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert not stopped.takes_orders()
        assert trading.trade("82.00")[1]["status"] == "FILLED"
    finally:
        stopped.stack.start_process("matching")
    assert [_without_ids(answer) for answer in during] == [_without_ids(answer) for answer in before]
    stopped.trades_again()
    assert stopped.trade("83.00")[1]["status"] == "FILLED"


def _without_ids(answer: dict[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in answer.items() if name not in ("orderId", "clientOrderId")}
    kept = {name: value for name, value in kept.items() if not name.lower().endswith("time")}
    return kept | {"fills": [{**fill, "tradeId": None} for fill in answer.get("fills", [])]}


@pytest.mark.parametrize(
    ("killed", "other"), [("drill", "spot"), pytest.param("spot", "drill", marks=pytest.mark.long)]
)
def test_one_killed_the_other_trades(venues: dict[str, Venue], killed: str, other: str) -> None:
    pid = venues[other].stack.pid("matching")
    venues[killed].stack.kill("matching")
    for _ in range(5):
        assert venues[other].trade("84.00")[1]["status"] == "FILLED"
    venues[killed].stack.wait_ready("matching")
    venues[killed].trades_again()
    assert venues[killed].trade("84.00")[1]["status"] == "FILLED"
    assert venues[other].stack.pid("matching") == pid


def test_log_engine_and_ledger_of_both_are_equal(venues: dict[str, Venue]) -> None:
    for venue in venues.values():
        assert "equal" in venue.stack.manage("reconcile")
    with psycopg.connect(venues["spot"].stack.dsn) as connection:
        rows = connection.execute("SELECT shard, reader FROM matching_watermark WHERE reader = 'settlement'").fetchall()
        assert {shard for shard, _ in rows} == {"spot", "drill"}
        crossed = connection.execute(
            "SELECT o.id FROM orders_order o JOIN markets_market m ON m.id = o.market_id"
            " WHERE o.id BETWEEN %s AND %s AND m.shard <> 'drill'",
            [order_ids_after("drill") + 1, last_order_id("drill")],
        ).fetchall()
    assert crossed == []


def test_end_of_the_second_leaves_the_first(venues: dict[str, Venue]) -> None:
    spot, drill = venues["spot"], venues["drill"]
    before = {name: entry["pid"] for name, entry in spot.stack.processes().items()}
    drill.stack.stop_processes()
    try:
        assert {entry["state"] for entry in drill.stack.processes().values()} == {"stopped"}
        assert spot.trade("85.00")[1]["status"] == "FILLED"
        assert {name: entry["pid"] for name, entry in spot.stack.processes().items()} == before
        found = {path.name for path in spot.stack.paths.own_sockets()}
        assert {"supervisor.sock", "matching.health.sock", "site.sock", "redis-core.sock"} <= found
    finally:
        drill.stack.start()
    drill.trades_again()
    assert drill.trade("85.00")[1]["status"] == "FILLED"
