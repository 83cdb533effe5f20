"""Block orders over REST and the WebSocket API: allocated to sub-accounts, told to their owner and to each of them."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import transaction

from apps.outbox import services as outbox
from apps.streams.commands import SetAccount
from apps.streams.kinds import AllocationMethod
from apps.streams.messages import AllocationSettings
from tests.gateway.client import Client
from tests.gateway.exchange import Exchange
from tests.gateway.test_wsapi import open_socket, signed

BLOCK = "/api/v3/blockOrder"
SHARES = "/api/v3/blockAllocations"
PRO_RATA, EQUAL = 1, 2
LIMIT: dict[str, Any] = {
    "symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "price": "50000", "quantity": "0.3",
    "allocationId": EQUAL,
}  # fmt: skip


@pytest.fixture
def subs(exchange: Exchange, alice: Client) -> Iterator[list[Client]]:
    """Two sub-accounts of alice's family, and her rules."""
    accounts = [exchange.account(BTC="1", USDT="100000") for _ in range(2)]
    owner, numbers = alice.me.account_id, [account.account_id for account in accounts]
    with transaction.atomic():
        for number in numbers:
            command = SetAccount(account_id=number, family_id=owner, relay_seq=0, source=0)
            outbox.enqueue(key=f"test:family:{number}", command=command)
        for rule_id, method in ((PRO_RATA, AllocationMethod.PRO_RATA), (EQUAL, AllocationMethod.EQUAL)):
            rule = AllocationSettings(account_id=owner, rule_id=rule_id, method=int(method), accounts=numbers)
            outbox.enqueue_settings(key=f"test:rule:{owner}:{rule_id}", settings=rule)
    exchange.wait_settled()
    clients = [Client(exchange.base_url, account) for account in accounts]
    yield clients
    for client in clients:
        client.http.close()


def test_a_block_order_is_allocated_as_it_fills(alice: Client, bob: Client, subs: list[Client]) -> None:
    placed = alice.ok("POST", BLOCK, **LIMIT, newClientOrderId="block")
    first, second = (client.me.account_id for client in subs)
    assert (placed["status"], placed["allocationId"], placed["allocations"]) == (
        "NEW", EQUAL,
        [{"accountId": first, "quantity": "0.15000000"}, {"accountId": second, "quantity": "0.15000000"}],
    )  # fmt: skip
    assert subs[0].balances()["USDT"] == ("92500.00000000", "7500.00000000")
    assert alice.balances()["USDT"] == ("1000000.00000000", "0.00000000")
    bob.market("SELL", quantity="0.1")
    shares = alice.ok("GET", SHARES, symbol="BTCUSDT", orderId=placed["orderId"])
    assert [(share["accountId"], share["quantity"], share["executedQty"]) for share in shares] == [
        (first, "0.15000000", "0.05000000"), (second, "0.15000000", "0.05000000"),
    ]  # fmt: skip
    [fill] = shares[0]["fills"]
    assert fill | {"tradeId": 0} == {
        "tradeId": 0, "price": "50000.00000000", "qty": "0.05000000", "commission": "0.00005000",
        "commissionAsset": "BTC",
    }  # fmt: skip
    assert subs[0].balances()["BTC"] == ("1.04995000", "0.00000000")
    # Without an order, those of all that are open; a sub-account has none open itself.
    assert alice.ok("GET", SHARES, symbol="BTCUSDT") == shares
    assert subs[0].ok("GET", SHARES, symbol="BTCUSDT") == []
    # A sub-account sees its own share, a stranger none.
    assert subs[1].ok("GET", SHARES, symbol="BTCUSDT", orderId=placed["orderId"]) == shares[1:]
    assert bob.refused("GET", SHARES, symbol="BTCUSDT", orderId=placed["orderId"])[:2] == (400, -2013)
    # A repeat is answered with the first order and the same shares.
    again = alice.ok("POST", BLOCK, **LIMIT, newClientOrderId="block")
    assert (again["orderId"], again["allocations"]) == (placed["orderId"], placed["allocations"])
    assert alice.ok("DELETE", "/api/v3/order", symbol="BTCUSDT", orderId=placed["orderId"])["status"] == "CANCELED"
    assert subs[0].balances()["USDT"] == ("97500.00000000", "0.00000000")
    assert alice.ok("GET", SHARES, symbol="BTCUSDT") == []


def test_over_the_websocket_api(exchange: Exchange, alice: Client, subs: list[Client]) -> None:
    """The same endpoints: what is placed, what is refused by the gateway and by the engine, and the shares."""
    first, second = (client.me.account_id for client in subs)
    order = {**LIMIT, "allocationId": PRO_RATA}
    with open_socket(exchange) as socket:
        placed = socket.ask("blockOrder.place", **signed(alice, **order, allocationQuantities='["0.2","0.1"]'))
        assert (placed["status"], placed["result"]["allocations"]) == (
            200, [{"accountId": first, "quantity": "0.20000000"}, {"accountId": second, "quantity": "0.10000000"}],
        )  # fmt: skip
        for changes, error in (
            ({}, {"code": -1013, "msg": "The requested quantities do not fit the allocation rule."}),
            ({"allocationId": 7}, {"code": -2010, "msg": "The account has no such allocation rule."}),
            ({"icebergQty": "0.1"}, {"code": -1106, "msg": "Parameter 'icebergQty' sent when not required."}),
        ):
            refused = socket.ask("blockOrder.place", **signed(alice, **{**order, **changes}))
            assert (refused["status"], refused["error"]) == (400, error)
        named = {"symbol": "BTCUSDT", "orderId": placed["result"]["orderId"]}
        shares = socket.ask("blockOrder.allocations", **signed(alice, **named))["result"]
        assert [(share["accountId"], share["quantity"]) for share in shares] == [
            (first, "0.20000000"), (second, "0.10000000"),
        ]  # fmt: skip
        assert socket.ask("blockOrder.allocations", **signed(alice, symbol="BTCUSDT"))["result"] == shares
        unknown = socket.ask("blockOrder.allocations", **signed(alice, symbol="BTCUSDT", orderId=99))
        assert (unknown["status"], unknown["error"]["code"]) == (400, -2013)


def test_pro_rata_takes_the_requested_quantities(alice: Client, subs: list[Client]) -> None:
    order = {**LIMIT, "allocationId": PRO_RATA}
    placed = alice.ok("POST", BLOCK, **order, allocationQuantities=json.dumps(["0.2", "0.1"]))
    assert [share["quantity"] for share in placed["allocations"]] == ["0.20000000", "0.10000000"]
    only = alice.ok("POST", BLOCK, **order, allocationQuantities=json.dumps(["0", "0.1"]))
    assert [share["quantity"] for share in only["allocations"]] == ["0.30000000"]


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"allocationId": 7}, (400, -2010, "The account has no such allocation rule.")),
        ({"allocationId": PRO_RATA}, (400, -1013, "The requested quantities do not fit the allocation rule.")),
        (
            {"allocationQuantities": '["0.1","0.2"]'},
            (400, -1013, "The requested quantities do not fit the allocation rule."),
        ),
        ({"quantity": "9"}, (400, -2010, "Account has insufficient balance for requested action.")),
    ],
)
def test_refusals_of_the_engine(
    alice: Client, subs: list[Client], changes: dict[str, Any], refusal: tuple[int, int, str]
) -> None:
    before = [client.balances() for client in subs]
    assert alice.refused("POST", BLOCK, **{**LIMIT, **changes}) == refusal
    assert [client.balances() for client in subs] == before
    assert alice.ok("GET", "/api/v3/openOrders") == []


@pytest.mark.parametrize(
    ("changes", "code", "text"),
    [
        ({"allocationId": None}, -1102, "'allocationId'"),
        ({"allocationId": "0"}, -1130, "'allocationId'"),
        ({"icebergQty": "0.1"}, -1106, "'icebergQty'"),
        ({"type": "STOP_LOSS_LIMIT", "stopPrice": "49000"}, -1116, "Supported for block orders: LIMIT, LIMIT_MAKER,"),
        ({"type": "MARKET", "timeInForce": None, "price": None}, -1014, "Unsupported order combination."),
        ({"type": "MARKET", "timeInForce": None, "price": None, "quantity": None, "quoteOrderQty": "9"}, -1106, "'quo"),
        ({"allocationQuantities": "0.1"}, -1100, "'allocationQuantities'"),
        ({"allocationQuantities": "[]"}, -1130, "'allocationQuantities'"),
        ({"allocationQuantities": "[0.1]"}, -1100, "'allocationQuantities'"),
        ({"allocationQuantities": '["1e3"]'}, -1100, "'allocationQuantities'"),
        ({"allocationQuantities": '["0.000001"]'}, -1013, "Filter failure: LOT_SIZE"),
        ({"allocationQuantities": json.dumps(["1"] * 65)}, -1130, "'allocationQuantities'"),
    ],
)
def test_parameters(exchange: Exchange, alice: Client, changes: dict[str, Any], code: int, text: str) -> None:
    before = exchange.seq(), exchange.state_hash()
    params = {name: value for name, value in {**LIMIT, **changes}.items() if value is not None}
    status, found, message = alice.refused("POST", BLOCK, **params)
    assert (status, found) == (400, code), message
    assert text in message
    assert (exchange.seq(), exchange.state_hash()) == before


def test_what_cannot_be_done_with_a_block_order(alice: Client, subs: list[Client]) -> None:
    placed = alice.ok("POST", BLOCK, **LIMIT)
    assert alice.refused(
        "PUT", "/api/v3/order/amend/keepPriority", symbol="BTCUSDT", orderId=placed["orderId"], newQty="0.2"
    ) == (400, -2038, "A block order can be neither amended nor replaced.")
    answer = alice.signed(
        "POST", "/api/v3/order/cancelReplace", symbol="BTCUSDT", side="BUY", type="LIMIT", timeInForce="GTC",
        price="50000", quantity="0.1", cancelReplaceMode="STOP_ON_FAILURE", cancelOrderId=placed["orderId"],
    ).json()  # fmt: skip
    assert (answer["code"], answer["data"]["cancelResponse"]["msg"]) == (
        -2022, "A block order can be neither amended nor replaced.",
    )  # fmt: skip
    assert len(alice.ok("GET", "/api/v3/openOrders")) == 1
