"""T2 over REST, exact to the last digit, fees and balances included."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.dialect import Account, Dialect, demo_account
from tests.stack import TRADING, Stack

pytestmark = pytest.mark.stack

BIDS = [("50950.00", "0.5"), ("50940.00", "1.0"), ("50930.00", "2.5")]
ASKS = [("51000.00", "1.2"), ("51100.00", "0.8"), ("51200.00", "0.3")]
LIMIT = {"symbol": "BTCUSDT", "type": "LIMIT", "timeInForce": "GTC"}


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with Stack(PROCESSES=TRADING) as running:
        yield running


@pytest.fixture
def book(stack: Stack) -> Iterator[Dialect]:
    """The example's book, by a market maker of its own; emptied afterwards."""
    with Dialect(stack.base_url, fresh_account(stack, BTC="10", USDT="1000000")) as maker:
        for side, orders in (("BUY", BIDS), ("SELL", ASKS)):
            for price, quantity in orders:
                maker.order(**LIMIT, side=side, price=price, quantity=quantity)
        yield maker
        maker.signed("DELETE", "/api/v3/openOrders", symbol="BTCUSDT")


def fresh_account(stack: Stack, **funds: str) -> Account:
    return demo_account(stack, f"t2-{time.monotonic_ns()}", **funds)


def wait_for_depth(client: Dialect, bids: list[list[str]], asks: list[list[str]]) -> None:
    """Market data follows the engine within its 100 ms rhythm; the content must then be exact."""
    deadline = time.monotonic() + 40
    while True:
        depth: Any = client.public("/api/v3/depth", symbol="BTCUSDT", limit=3)
        if depth["bids"] == bids and depth["asks"] == asks:
            return
        assert time.monotonic() < deadline, depth
        time.sleep(0.05)


def levels(*rows: tuple[str, str]) -> list[list[str]]:
    return [[f"{price}000000", quantity] for price, quantity in rows]


ALL_ASKS = levels(("51000.00", "1.20000000"), ("51100.00", "0.80000000"), ("51200.00", "0.30000000"))


def test_market_sell_prints_two_levels(stack: Stack, book: Dialect) -> None:
    with Dialect(stack.base_url, fresh_account(stack, BTC="1")) as seller:
        answer = seller.order(symbol="BTCUSDT", side="SELL", type="MARKET", quantity="0.7")
        assert [(fill["price"], fill["qty"]) for fill in answer["fills"]] == [
            ("50950.00000000", "0.50000000"),
            ("50940.00000000", "0.20000000"),
        ]
        assert answer["status"] == "FILLED"
        assert answer["cummulativeQuoteQty"] == "35663.00000000"
        assert [(fill["commission"], fill["commissionAsset"]) for fill in answer["fills"]] == [
            ("25.47500000", "USDT"),
            ("10.18800000", "USDT"),
        ]
        assert seller.balances() == {"BTC": ("0.30000000", "0.00000000"), "USDT": ("35627.33700000", "0.00000000")}
        wait_for_depth(seller, levels(("50940.00", "0.80000000"), ("50930.00", "2.50000000")), ALL_ASKS)
        # The maker paid 35,663 of the 203,740 that it had reserved for its bids, and a 0.1 % fee out of the 0.7 BTC.
        assert book.balances() == {
            "BTC": ("8.39930000", "2.30000000"),
            "USDT": ("796260.00000000", "168077.00000000"),
        }


def test_limit_sell_at_the_best_bid_rests_the_remainder(stack: Stack, book: Dialect) -> None:
    with Dialect(stack.base_url, fresh_account(stack, BTC="1")) as seller:
        answer = seller.order(**LIMIT, side="SELL", price="50950", quantity="0.7")
        assert [(fill["price"], fill["qty"]) for fill in answer["fills"]] == [("50950.00000000", "0.50000000")]
        assert (answer["status"], answer["executedQty"]) == ("PARTIALLY_FILLED", "0.50000000")
        assert seller.balances()["BTC"] == ("0.30000000", "0.20000000")
        wait_for_depth(
            seller,
            levels(("50940.00", "1.00000000"), ("50930.00", "2.50000000")),
            [*levels(("50950.00", "0.20000000")), *ALL_ASKS[:2]],
        )
        seller.ok("DELETE", "/api/v3/order", symbol="BTCUSDT", orderId=answer["orderId"])


def test_limit_sell_below_prints_both_fills(stack: Stack, book: Dialect) -> None:
    with Dialect(stack.base_url, fresh_account(stack, BTC="1")) as seller:
        answer = seller.order(**LIMIT, side="SELL", price="50940", quantity="0.7")
        assert [(fill["price"], fill["qty"]) for fill in answer["fills"]] == [
            ("50950.00000000", "0.50000000"),
            ("50940.00000000", "0.20000000"),
        ]
        assert answer["status"] == "FILLED"


def test_limit_buy_fills_at_the_better_ask_first(stack: Stack, book: Dialect) -> None:
    with Dialect(stack.base_url, fresh_account(stack, USDT="100000")) as buyer:
        answer = buyer.order(**LIMIT, side="BUY", price="51100", quantity="1.5")
        keys = ("price", "qty", "commission", "commissionAsset")
        assert [tuple(fill[key] for key in keys) for fill in answer["fills"]] == [
            ("51000.00000000", "1.20000000", "0.00120000", "BTC"),
            ("51100.00000000", "0.30000000", "0.00030000", "BTC"),
        ]
        # 1.2 x 51,000 + 0.3 x 51,100 = 76,530
        assert buyer.balances() == {"BTC": ("1.49850000", "0.00000000"), "USDT": ("23470.00000000", "0.00000000")}


def test_books_and_record_agree_afterwards(stack: Stack) -> None:
    assert "equal" in stack.manage("reconcile")
