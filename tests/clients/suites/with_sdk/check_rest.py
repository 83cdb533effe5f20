"""binance-sdk-spot over REST. Its models are strict: it warns of an answer that does not fit, and here that fails."""

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from binance_common.configuration import ConfigurationRestAPI
from binance_common.errors import BadRequestError, UnauthorizedError
from binance_sdk_spot.spot import Spot

SYMBOL = "BTCUSDT"


@pytest.fixture(scope="module")
def client(base_url: str, keys: tuple[str, str]) -> Any:
    # The default time limit is one second, which a busy machine may miss.
    return Spot(ConfigurationRestAPI(*keys, base_path=base_url, timeout=20_000)).rest_api


@pytest.fixture(autouse=True)
def tidy(client: Any, caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    yield
    if client.get_open_orders(SYMBOL).data():
        client.delete_open_orders(SYMBOL)
    warned = [record.getMessage() for record in caplog.get_records("call") if record.levelno >= logging.WARNING]
    assert warned == [], "an answer does not fit the client's strict models"


def test_public_data(client: Any) -> None:
    client.ping()
    assert client.time().data().server_time > 0
    assert client.exchange_info(symbol=SYMBOL).data().symbols[0].symbol == SYMBOL
    assert len(client.exchange_info(symbols=[SYMBOL, "ETHUSDT"]).data().symbols) == 2
    assert len(client.exchange_info().data().symbols) > 2
    assert client.depth(SYMBOL, limit=5).data().bids
    assert client.get_trades(SYMBOL, limit=5).data()
    assert client.historical_trades(SYMBOL, from_id=1).data()[0].id == 1
    assert client.agg_trades(SYMBOL, limit=5).data()
    assert len(client.klines(SYMBOL, "1m", limit=5).data()) == len(client.ui_klines(SYMBOL, "1m", limit=5).data()) == 5
    assert client.avg_price(SYMBOL).data().mins == 5
    for call in (client.ticker24hr, client.ticker_price, client.ticker_book_ticker, client.ticker_trading_day):
        assert call(symbol=SYMBOL).data().actual_instance.symbol == SYMBOL
        assert len(call(symbols=[SYMBOL, "ETHUSDT"]).data().actual_instance) == 2
    assert client.ticker(symbol=SYMBOL, window_size="1h").data().actual_instance.symbol == SYMBOL
    answer = client.ticker24hr(symbol=SYMBOL, type="MINI")
    assert answer.data().actual_instance.symbol == SYMBOL
    assert [each.interval for each in answer.rate_limits] == ["MINUTE"], "read from the headers"


def test_resting_and_cancelled(client: Any, other: Any) -> None:
    limit = {"symbol": SYMBOL, "side": "BUY", "type": "LIMIT", "time_in_force": "GTC", "price": float(other.away(-20))}
    order = client.new_order(**limit, quantity=0.01).data()
    assert (order.status, order.orig_qty) == ("NEW", "0.01000000")
    assert client.get_order(SYMBOL, order_id=order.order_id).data().is_working is True
    assert [each.order_id for each in client.get_open_orders(SYMBOL).data()] == [order.order_id]
    amended = client.order_amend_keep_priority(SYMBOL, 0.009, order_id=order.order_id).data()
    assert amended.amended_order.qty == "0.00900000"
    (change,) = client.order_amendments(SYMBOL, order.order_id).data()
    assert (change.orig_qty, change.new_qty) == ("0.01000000", "0.00900000")
    replaced = client.order_cancel_replace(
        **limit, quantity=0.02, cancel_replace_mode="STOP_ON_FAILURE", cancel_order_id=order.order_id
    ).data()
    again = replaced.new_order_response.order_id
    assert client.delete_order(SYMBOL, order_id=again).data().status == "CANCELED"
    assert [each.status for each in client.all_orders(SYMBOL, order_id=again).data()] == ["CANCELED"]
    client.new_order(**limit, quantity=0.01)
    assert len(client.delete_open_orders(SYMBOL).data()) == 1


def test_filled(client: Any, other: Any) -> None:
    bought = client.new_order(SYMBOL, "BUY", "MARKET", quantity=0.002).data()
    assert (bought.status, bought.fills[0].commission_asset) == ("FILLED", "BTC")
    assert client.new_order(SYMBOL, "BUY", "MARKET", quote_order_qty=100).data().status == "FILLED"
    assert client.new_order(SYMBOL, "SELL", "MARKET", quantity=0.002).data().status == "FILLED"
    trades = client.my_trades(SYMBOL, order_id=bought.order_id).data()
    assert [(each.is_buyer, each.is_maker) for each in trades] == [(True, False)] * len(trades)
    assert {each.asset for each in client.get_account().data().balances} >= {"BTC", "USDT"}
    assert client.get_account(omit_zero_balances=True).data().account_type == "SPOT"


@pytest.mark.parametrize(
    ("kind", "side", "terms"),
    [
        ("LIMIT", "BUY", {"time_in_force": "IOC", "price": -20}),
        ("LIMIT", "BUY", {"time_in_force": "FOK", "price": -20}),
        ("LIMIT", "BUY", {"time_in_force": "GTC", "price": -20, "iceberg_qty": 0.001}),
        ("LIMIT_MAKER", "SELL", {"price": 20}),
        ("STOP_LOSS", "SELL", {"stop_price": -20}),
        ("STOP_LOSS", "SELL", {"trailing_delta": 1000}),
        ("STOP_LOSS_LIMIT", "SELL", {"stop_price": -20, "price": -21, "time_in_force": "GTC"}),
        ("TAKE_PROFIT", "SELL", {"stop_price": 20}),
        ("TAKE_PROFIT_LIMIT", "SELL", {"stop_price": 20, "price": 19, "time_in_force": "GTC"}),
    ],
)
def test_kinds(client: Any, other: Any, kind: str, side: str, terms: dict[str, Any]) -> None:
    sent = {name: float(other.away(value)) if name.endswith("price") else value for name, value in terms.items()}
    order = {"symbol": SYMBOL, "side": side, "type": kind, "quantity": 0.01, **sent}
    client.order_test(**order)
    made = client.new_order(**order, new_order_resp_type="FULL").data()
    ended = terms.get("time_in_force") in ("IOC", "FOK")
    assert (made.type, made.status) == (kind, "EXPIRED" if ended else "NEW")


def test_lists(client: Any, other: Any) -> None:
    above, below = float(other.away(20)), float(other.away(-20))
    oco = client.order_list_oco(
        SYMBOL, "SELL", 0.01, "LIMIT_MAKER", "STOP_LOSS", above_price=above, below_stop_price=below
    ).data()
    assert client.get_order_list(order_list_id=oco.order_list_id).data().list_order_status == "EXECUTING"
    assert oco.order_list_id in [each.order_list_id for each in client.open_order_list().data()]
    gone = client.delete_order_list(SYMBOL, order_list_id=oco.order_list_id).data()
    assert gone.list_order_status == "ALL_DONE"
    assert oco.order_list_id in [each.order_list_id for each in client.all_order_list().data()]
    working = {
        "symbol": SYMBOL, "working_type": "LIMIT", "working_side": "BUY", "working_time_in_force": "GTC",
        "working_price": below, "working_quantity": 0.01, "pending_side": "SELL", "pending_quantity": 0.009,
    }  # fmt: skip
    oto = client.order_list_oto(**working, pending_type="LIMIT_MAKER", pending_price=above).data()
    assert oto.contingency_type == "OTO"
    otoco = client.order_list_otoco(
        **working, pending_above_type="LIMIT_MAKER", pending_above_price=above, pending_below_type="STOP_LOSS",
        pending_below_stop_price=float(other.away(-30)),
    ).data()  # fmt: skip
    assert len(otoco.orders) == 3


def test_account(client: Any) -> None:
    assert client.account_commission(SYMBOL).data().symbol == SYMBOL
    assert max(row.count for row in client.rate_limit_order().data()) > 0
    assert client.my_prevented_matches(SYMBOL, order_id=1).data() == []
    assert client.my_allocations(SYMBOL).data() == []
    assert client.my_filters(SYMBOL).data().symbol_filters


def test_public_key(base_url: str, private_key: tuple[str, str], other: Any) -> None:
    """Ed25519 and RSA: only the owner has the private half."""
    signer = Spot(
        ConfigurationRestAPI(private_key[0], base_path=base_url, timeout=20_000, private_key=private_key[1])
    ).rest_api
    price = float(other.away(-20))
    order = signer.new_order(SYMBOL, "BUY", "LIMIT", "GTC", quantity=0.01, price=price).data()
    assert signer.delete_order(SYMBOL, order_id=order.order_id).data().status == "CANCELED"


def test_errors(client: Any, base_url: str, keys: tuple[str, str], other: Any) -> None:
    """One class for each HTTP status, with the dialect's code."""
    stranger = [
        Spot(ConfigurationRestAPI(key, secret, base_path=base_url, timeout=20_000)).rest_api
        for key, secret in ((keys[0], "x" * 64), ("x" * 64, keys[1]))
    ]
    for call, params, kind, code in (
        (client.new_order, (SYMBOL, "SELL", "MARKET", None, 90), BadRequestError, -2010),
        (client.new_order, (SYMBOL, "BUY", "LIMIT", "GTC", 0.01), BadRequestError, -1102),
        (client.delete_order, (SYMBOL, 999_999_999), BadRequestError, -2011),
        (client.get_order, (SYMBOL, 999_999_999), BadRequestError, -2013),
        (client.depth, ("NOPE",), BadRequestError, -1121),
        (stranger[0].get_account, (), BadRequestError, -1022),
        (stranger[1].get_account, (), UnauthorizedError, -2015),
    ):
        with pytest.raises(kind) as refused:
            call(*params)
        assert refused.value.status_code == code, params
        assert refused.value.error_message
