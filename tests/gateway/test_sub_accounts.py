"""Sub-accounts on a running exchange: keys that reach nothing else, and a frozen account that only cancels."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from apps.accounts.keyterms import KeyTerms
from apps.accounts.models import TradingAccount
from apps.accounts.services.keyissue import issue_hmac_key
from apps.accounts.services.subaccounts import create_sub_account, freeze_sub_account, unfreeze_sub_account
from apps.common.amounts import parse_decimal
from apps.ledger.services import credit
from apps.markets.models import Asset
from tests.gateway.client import LIMIT, Client
from tests.gateway.exchange import Exchange, wait_until
from tests.gateway.sessions import new_session, ticket_of
from tests.gateway.sockets import Socket

FROZEN = (400, -2010, "This action is disabled on this account.")


def sub_account(exchange: Exchange, master: Client, label: str, **funds: str) -> Client:
    """A funded sub-account of the client's user, with a key of its own."""
    owner = TradingAccount.objects.get(pk=master.me.account_id).owner
    account = create_sub_account(user_id=owner.pk, label=label)
    for code, amount in funds.items():
        credit(
            account_id=account.pk,
            asset_id=Asset.objects.get(code=code).pk,
            amount_units=parse_decimal(amount),
            key=f"test:{account.pk}:{code}",
        )
    key = issue_hmac_key(account_id=account.pk, terms=KeyTerms(label="bot", can_read=True, can_trade=True))
    exchange.wait_settled()
    me = replace(master.me, api_key=key.key.public_key, api_secret=key.secret, account_id=account.pk)
    return Client(exchange.base_url, me)


@pytest.fixture
def desk(exchange: Exchange, alice: Client) -> Iterator[Client]:
    with sub_account(exchange, alice, "Desk", BTC="1", USDT="100000") as client:
        yield client


def test_its_key_sees_and_changes_nothing_of_the_master(alice: Client, desk: Client) -> None:
    mine = alice.limit("BUY", "40000", "0.1", newClientOrderId="of-the-master")
    assert desk.ok("GET", "/api/v3/account")["uid"] == desk.me.account_id
    assert desk.balances() == {"BTC": ("1.00000000", "0.00000000"), "USDT": ("100000.00000000", "0.00000000")}
    assert desk.ok("GET", "/api/v3/openOrders") == []
    assert desk.ok("GET", "/api/v3/allOrders", symbol="BTCUSDT") == []
    for named in ({"orderId": mine["orderId"]}, {"origClientOrderId": "of-the-master"}):
        assert desk.refused("GET", "/api/v3/order", symbol="BTCUSDT", **named)[:2] == (400, -2013)
        assert desk.refused("DELETE", "/api/v3/order", symbol="BTCUSDT", **named)[:2] == (400, -2011)
    assert desk.refused("DELETE", "/api/v3/openOrders", symbol="BTCUSDT")[:2] == (400, -2011)
    assert [order["orderId"] for order in alice.ok("GET", "/api/v3/openOrders")] == [mine["orderId"]]


def test_master_and_sub_account_never_trade_with_each_other(alice: Client, desk: Client) -> None:
    resting = alice.limit("SELL", "50000", "0.1")
    met = desk.limit("BUY", "50000", "0.1")
    assert met["status"] == "EXPIRED_IN_MATCH"
    assert alice.ok("GET", "/api/v3/order", symbol="BTCUSDT", orderId=resting["orderId"])["executedQty"] == "0.00000000"


def test_frozen_it_places_nothing_and_cancels(exchange: Exchange, alice: Client, desk: Client) -> None:
    owner = TradingAccount.objects.get(pk=desk.me.account_id).owner_id
    session = new_session(alice.me.account_id)
    order = {**LIMIT, "side": "BUY", "price": "40000", "quantity": "0.1"}
    resting = [desk.limit("BUY", "40000", "0.1")["orderId"] for _ in range(3)]
    with Socket(f"{exchange.ws_url}/ws-api/v3", origin=exchange.base_url) as page:
        assert page.ask("session.logon", ticket=ticket_of(alice, session, desk.me.account_id))["status"] == 200
        assert page.ask("account.status")["result"]["uid"] == desk.me.account_id
        freeze_sub_account(user_id=owner, account_id=desk.me.account_id)
        wait_until(lambda: not desk.ok("GET", "/api/v3/account")["canTrade"])
        wait_until(lambda: page.ask("order.test", **order).get("error", {}).get("code") == -2010)
        assert desk.ok("GET", "/sapi/v1/account/apiRestrictions")["enableSpotAndMarginTrading"] is False
        block = {**order, "allocationId": 1}
        oco = {
            "symbol": "BTCUSDT", "side": "SELL", "quantity": "0.1", "aboveType": "LIMIT_MAKER", "abovePrice": "60000",
            "belowType": "STOP_LOSS", "belowStopPrice": "40000",
        }  # fmt: skip
        replaced = {**order, "cancelReplaceMode": "STOP_ON_FAILURE", "cancelOrderId": resting[0]}
        amended = {"symbol": "BTCUSDT", "orderId": resting[0], "newQty": "0.05"}
        for method, path, params in (
            ("POST", "/api/v3/order", order), ("POST", "/api/v3/order/test", order),
            ("POST", "/api/v3/blockOrder", block), ("POST", "/api/v3/orderList/oco", oco),
            ("POST", "/api/v3/order/cancelReplace", replaced), ("PUT", "/api/v3/order/amend/keepPriority", amended),
        ):  # fmt: skip
            assert desk.refused(method, path, **params) == FROZEN, path
        placed = page.ask("order.place", **order)
        assert (placed["status"], placed["error"]) == (400, {"code": -2010, "msg": FROZEN[2]})
        assert len(desk.ok("GET", "/api/v3/openOrders")) == 3
        # Cancels, by key and by page, and nothing for the master.
        assert desk.ok("DELETE", "/api/v3/order", symbol="BTCUSDT", orderId=resting[0])["status"] == "CANCELED"
        assert page.ask("order.cancel", symbol="BTCUSDT", orderId=resting[1])["status"] == 200
        assert len(desk.ok("DELETE", "/api/v3/openOrders", symbol="BTCUSDT")) == 1
        assert alice.limit("BUY", "40000", "0.1")["status"] == "NEW"
        with Socket(f"{exchange.ws_url}/ws-api/v3", origin=exchange.base_url) as late:
            assert late.ask("session.logon", ticket=ticket_of(alice, session, desk.me.account_id))["status"] == 200
            assert late.ask("order.place", **order)["error"]["code"] == -2010
        unfreeze_sub_account(user_id=owner, account_id=desk.me.account_id)
        wait_until(lambda: desk.ok("GET", "/api/v3/account")["canTrade"])
        wait_until(lambda: page.ask("order.test", **order)["status"] == 200)
        assert desk.limit("BUY", "40000", "0.1")["status"] == "NEW"
