"""A key that is limited to networks: refused from elsewhere, at once, with the text of any unknown key."""

from collections.abc import Iterator

import pytest

from apps.accounts.keynetworks import is_within, networks_of, parse_address
from apps.accounts.models import ApiKey
from apps.accounts.services.api_keys import limit_api_key
from apps.gateway.keys import Credential, Revocable
from tests.gateway.client import LIMIT, Client
from tests.gateway.exchange import Exchange, GatewayThread, wait_until
from tests.gateway.sockets import Socket
from tests.gateway.test_wsapi import signed

REFUSED = {"code": -2015, "msg": "Invalid API-key, IP, or permissions for action."}


def limit(client: Client, *networks: str) -> None:
    key = ApiKey.objects.get(public_key=client.me.api_key)
    limit_api_key(account_id=key.account_id, key_id=key.pk, networks=networks, reason="tests", requested_by="tests")


def test_refused_from_elsewhere_and_at_once(exchange: Exchange, alice: Client, bob: Client) -> None:
    assert alice.ok("GET", "/sapi/v1/account/apiRestrictions")["ipRestrict"] is False
    limit(alice, "203.0.113.0/24")
    try:
        wait_until(lambda: alice.signed("GET", "/api/v3/account").status_code == 401)
        order = {**LIMIT, "side": "BUY", "price": "40000.00", "quantity": "0.1"}
        for method, path, params in (
            ("GET", "/api/v3/account", {}), ("POST", "/api/v3/order", order), ("POST", "/api/v3/order/test", order),
            ("DELETE", "/api/v3/openOrders", {"symbol": "BTCUSDT"}),
            ("GET", "/sapi/v1/account/apiRestrictions", {}),
        ):  # fmt: skip
            answer = alice.signed(method, path, **params)
            assert (answer.status_code, answer.json()) == (401, REFUSED), path
        # Not even whether the signature was right is told.
        bad = alice.raw("GET", f"/api/v3/account?{alice.query()}0")
        assert (bad.status_code, bad.json()) == (401, REFUSED)
        assert bob.signed("GET", "/api/v3/account").status_code == 200
    finally:
        limit(alice, "127.0.0.0/8", "203.0.113.0/24")
    wait_until(lambda: alice.signed("GET", "/api/v3/account").status_code == 200)
    assert alice.ok("GET", "/sapi/v1/account/apiRestrictions")["ipRestrict"] is True
    assert alice.ok("GET", "/api/v3/openOrders") == []
    limit(alice)
    wait_until(lambda: alice.ok("GET", "/sapi/v1/account/apiRestrictions")["ipRestrict"] is False)


def test_open_connections_from_elsewhere_end(exchange: Exchange, alice: Client) -> None:
    with Socket(f"{exchange.ws_url}/ws-api/v3") as socket, Socket(f"{exchange.ws_url}/ws-api/v3") as other:
        assert socket.ask("userDataStream.subscribe.signature", **signed(alice))["status"] == 200
        limit(alice, "127.0.0.1")
        wait_until(lambda: alice.ok("GET", "/sapi/v1/account/apiRestrictions")["ipRestrict"])
        assert socket.ask("ping")["status"] == 200
        limit(alice, "203.0.113.7")
        assert socket.closed_with() == 4001
        refused = other.ask("account.status", **signed(alice))
        assert (refused["status"], refused["error"]) == (401, REFUSED)
    limit(alice)
    wait_until(lambda: alice.signed("GET", "/api/v3/account").status_code == 200)


@pytest.fixture
def behind_a_proxy(exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> Iterator[GatewayThread]:
    monkeypatch.setenv("TRUSTED_PROXIES", "127.0.0.1")
    with exchange.further_gateway() as thread:
        yield thread


def test_the_address_that_a_configured_proxy_forwards(
    exchange: Exchange, behind_a_proxy: GatewayThread, alice: Client
) -> None:
    limit(alice, "203.0.113.7")
    forwarded = {"x-forwarded-for": "203.0.113.7"}
    try:
        with Client(f"http://127.0.0.1:{behind_a_proxy.port}", alice.me, tidy=False) as client:

            def status(asking: Client, **headers: str) -> int:
                return asking.raw("GET", f"/api/v3/account?{asking.query()}", **headers).status_code

            wait_until(lambda: status(client) == 401)
            assert status(client, **forwarded) == 200
            assert status(client, **{"x-forwarded-for": "203.0.113.8"}) == 401
            # What stands before the last address is the client's own invention.
            assert status(client, **{"x-forwarded-for": "203.0.113.7, 203.0.113.8"}) == 401
            # Without a configured proxy the header is nothing.
            wait_until(lambda: status(alice, **forwarded) == 401)
    finally:
        limit(alice)
        wait_until(lambda: alice.signed("GET", "/api/v3/account").status_code == 200)


def test_addresses_and_networks() -> None:
    networks = networks_of(["203.0.113.7", "2001:db8::/32"])
    for address, expected in (
        ("203.0.113.7", True), ("203.0.113.8", False), ("::ffff:203.0.113.7", True), ("2001:db8::1", True),
        ("2001:db9::1", False), ("", False), ("unix", False), (None, True),
    ):  # fmt: skip
        assert is_within(address, networks) is expected, address
        assert is_within(address, ())
    assert parse_address("nowhere") is None
    assert Revocable.address is None
    assert Credential("ticket", 1, 1, 1, can_read=True, can_trade=True, tier="").works_from("")
