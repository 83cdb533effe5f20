"""Requests that are wrong in other ways than by a number: each gets its documented code and changes nothing."""

import contextlib
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import httpx
import pytest

from apps.accounts.keyterms import KeyTerms
from apps.accounts.models import ApiKey
from apps.accounts.services.api_keys import revoke_api_key
from apps.accounts.services.keyissue import issue_hmac_key
from tests.gateway.client import FORM, LIMIT, Client
from tests.gateway.exchange import Exchange, wait_until

ORDER = "/api/v3/order"
GOOD: dict[str, Any] = {**LIMIT, "side": "BUY", "price": "40000", "quantity": "0.1"}


def refusal(answer: httpx.Response) -> tuple[int, int]:
    assert answer.headers["content-type"].startswith("application/json"), answer.text
    return answer.status_code, answer.json()["code"]


@pytest.mark.parametrize(
    ("changes", "code", "text"),
    [
        ({"symbol": "NOPE"}, -1121, "Invalid symbol."),
        ({"symbol": "btcusdt"}, -1100, "'symbol'"),
        ({"symbol": None}, -1102, "'symbol'"),
        ({"symbol": ""}, -1102, "'symbol'"),
        ({"side": "HOLD"}, -1117, "Invalid side."),
        ({"side": "buy"}, -1117, "Invalid side."),
        ({"side": None}, -1102, "'side'"),
        ({"type": "STOP"}, -1116, "Supported here: LIMIT, LIMIT_MAKER, MARKET, STOP_LOSS, STOP_LOSS_LIMIT,"),
        ({"type": "LIMIT_MAKER"}, -1106, "'timeInForce'"),
        ({"type": "LIMIT_MAKER", "timeInForce": None, "price": None}, -1102, "'price'"),
        ({"type": None}, -1102, "'type'"),
        ({"timeInForce": "DAY"}, -1115, "Supported here: GTC, IOC, FOK, GTD."),
        ({"timeInForce": "GTD"}, -1102, "'goodTillDate'"),
        ({"goodTillDate": 4_000_000_000_000}, -1106, "'goodTillDate'"),
        ({"timeInForce": "IOC", "goodTillDate": 4_000_000_000_000}, -1106, "'goodTillDate'"),
        ({"timeInForce": None}, -1102, "'timeInForce'"),
        ({"price": None}, -1102, "'price'"),
        ({"quantity": None}, -1102, "'quantity'"),
        ({"quoteOrderQty": "5"}, -1106, "'quoteOrderQty'"),
        ({"stopPrice": "39000"}, -1106, "'stopPrice'"),
        ({"icebergQty": "0.01", "timeInForce": "IOC"}, -1014, "Unsupported order combination."),
        ({"icebergQty": "0.01", "timeInForce": "FOK"}, -1014, "Unsupported order combination."),
        ({"icebergQty": "0.11"}, -1013, "IcebergQty exceeds QTY."),
        ({"icebergQty": "0"}, -1013, "Filter failure: LOT_SIZE"),
        ({"icebergQty": "0.00099"}, -1013, "Filter failure: ICEBERG_PARTS"),
        ({"trailingDelta": "100"}, -1106, "'trailingDelta'"),
        ({"newClientOrderId": "a b"}, -1100, "'newClientOrderId'"),
        ({"newClientOrderId": "a" * 37}, -1100, "'newClientOrderId'"),
        ({"newClientOrderId": ""}, -1105, "'newClientOrderId'"),
        ({"newClientOrderId": "é"}, -1100, "'newClientOrderId'"),
        ({"newOrderRespType": "SOME"}, -1130, "'newOrderRespType'"),
        ({"selfTradePreventionMode": "NONE"}, -1013, "does not allow the specified self-trade prevention mode."),
        ({"selfTradePreventionMode": "TRANSFER"}, -1013, "does not allow the specified self-trade prevention mode."),
        ({"selfTradePreventionMode": "ALL"}, -1130, "'selfTradePreventionMode'"),
        ({"quantitiy": "1"}, -1104, "quantitiy"),
        ({"type": "MARKET", "price": None}, -1106, "'timeInForce'"),
        ({"type": "MARKET", "timeInForce": None}, -1106, "'price'"),
        (
            {"type": "MARKET", "timeInForce": None, "price": None, "quantity": None},
            -1102,
            "'quantity' or 'quoteOrderQty'",
        ),
        ({"type": "MARKET", "timeInForce": None, "price": None, "quoteOrderQty": "9"}, -1106, "'quoteOrderQty'"),
    ],
)
@pytest.mark.parametrize("path", [ORDER, "/api/v3/order/test"])
def test_order_parameters(
    alice: Client, unchanged: None, path: str, changes: dict[str, Any], code: int, text: str
) -> None:
    params = {name: value for name, value in {**GOOD, **changes}.items() if value is not None}
    status, found, message = alice.refused("POST", path, **params)
    assert (status, found) == (400, code), message
    assert text in message


def test_order_test_changes_nothing(alice: Client, unchanged: None) -> None:
    assert alice.ok("POST", "/api/v3/order/test", **GOOD) == {}


def test_duplicate_parameters(alice: Client, unchanged: None) -> None:
    query = alice.query(**GOOD, x="1").replace("&x=1", "").split("&signature=")[0] + "&price=39000"
    answer = alice.raw("POST", f"{ORDER}?{query}&signature={alice.sign(query)}")
    assert answer.json() == {"code": -1101, "msg": "Duplicate values for a parameter detected."}
    body = query.encode()
    answer = alice.raw("POST", ORDER, body + b"&signature=" + alice.sign(query).encode(), **FORM)
    assert refusal(answer) == (400, -1101)


def test_keys(exchange: Exchange, alice: Client, public: Client, unchanged: None) -> None:
    assert refusal(public.raw("GET", "/api/v3/account")) == (401, -2014)
    for key, code in (("", -2014), ("short", -2014), ("é" * 64, -2014), ("a" * 65, -2014), ("a" * 64, -2015)):
        headers = {"x-mbx-apikey": key.encode("latin-1")}
        answer = public.http.get(f"/api/v3/account?{alice.query()}", headers=headers)  # type: ignore[arg-type]
        assert refusal(answer) == (401, code), key
    # Two keys at once are none.
    headers_twice = [("x-mbx-apikey", alice.me.api_key), ("x-mbx-apikey", alice.me.api_key)]
    assert refusal(public.http.get(f"/api/v3/account?{alice.query()}", headers=headers_twice)) == (401, -2014)


def test_header_names_in_any_case(alice: Client, public: Client) -> None:
    answer = public.http.get(f"/api/v3/account?{alice.query()}", headers={"X-Mbx-APIkey": alice.me.api_key})
    assert answer.status_code == 200


def test_rights_of_a_key(exchange: Exchange, alice: Client) -> None:
    reader = issue_hmac_key(
        account_id=alice.me.account_id, terms=KeyTerms(label="read", can_read=True, can_trade=False)
    )
    trader = issue_hmac_key(
        account_id=alice.me.account_id, terms=KeyTerms(label="trade", can_read=False, can_trade=True)
    )
    for key, path, status in (
        (reader, "/api/v3/order/test", 401), (reader, "/api/v3/account", 200),
        (trader, "/api/v3/order/test", 200), (trader, "/api/v3/account", 401),
    ):  # fmt: skip
        account = replace(alice.me, api_key=key.key.public_key, api_secret=key.secret)
        method, params = ("POST", GOOD) if "order" in path else ("GET", {})
        with Client(exchange.base_url, account, tidy=False) as client:
            answer = client.signed(method, path, **params)
        assert answer.status_code == status, (path, answer.text)
        if status == 401:
            assert answer.json() == {"code": -2015, "msg": "Invalid API-key, IP, or permissions for action."}


def test_a_revoked_key_is_refused_within_a_second(exchange: Exchange) -> None:
    """Where the machine stands still in between it may take longer, but not five times in a row."""
    took_s: list[float] = []
    while not took_s or took_s[-1] >= 1.0:
        assert len(took_s) < 5, took_s
        with Client(exchange.base_url, exchange.account(), tidy=False) as client:
            client.ok("GET", "/api/v3/account")
            key = ApiKey.objects.get(public_key=client.me.api_key)
            revoke_api_key(account_id=client.me.account_id, key_id=key.pk)
            revoked_s = time.monotonic()
            wait_until(lambda client=client: client.signed("GET", "/api/v3/account").status_code == 401)
            took_s.append(time.monotonic() - revoked_s)


def test_signatures(alice: Client, bob: Client, unchanged: None) -> None:
    query = alice.query(**GOOD).split("&signature=")[0]
    for wrong in ("0" * 64, bob.sign(query), "", "x", "é"):
        answer = alice.raw("POST", f"{ORDER}?{query}&signature={wrong}")
        assert refusal(answer) == (400, -1102 if wrong == "" else -1022), wrong
    missing = alice.raw("POST", f"{ORDER}?{query}")
    assert missing.json() == {
        "code": -1102, "msg": "Mandatory parameter 'signature' was not sent, was empty/null, or malformed.",
    }  # fmt: skip
    changed = query.replace("price=40000", "price=40001") + "&signature=" + alice.sign(query)
    assert refusal(alice.raw("POST", f"{ORDER}?{changed}")) == (400, -1022)
    # The same bytes split differently over query and body are the same text; one byte more in the body is not.
    assert refusal(
        alice.raw("POST", f"{ORDER}?{query}&signature={alice.sign(query)}", b"a=1", **FORM)
    ) == (400, -1022)  # fmt: skip


def test_request_time(alice: Client, unchanged: None) -> None:
    now = int(time.time() * 1000)
    for timestamp, text in (
        (now - 30_000, "Timestamp for this request is outside of the recvWindow."),
        (now + 5_000, "Timestamp for this request was 1000ms ahead of the server's time."),
    ):
        assert alice.refused("POST", ORDER, **GOOD, timestamp=timestamp) == (400, -1021, text)
    query = "symbol=BTCUSDT"
    answer = alice.raw("GET", f"/api/v3/openOrders?{query}&signature={alice.sign(query)}")
    assert refusal(answer) == (400, -1102)


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("GET", "/api/v3/nothing", 404), ("GET", "/api/v3/", 404), ("GET", "/api/v3/ping/", 404),
        ("GET", "/sapi/v1/x", 404), ("GET", "/fapi/v2/balance", 404), ("GET", "/dapi/x", 404),
        ("POST", "/api/v3/ping", 405), ("PUT", "/api/v3/order", 405),
        ("PATCH", "/api/v3/order", 405), ("OPTIONS", "/api/v3/order", 405), ("GET", "/api/v3/order/test", 405),
        ("GET", "/ws", 404), ("GET", "/stream", 404), ("GET", "/ws-api/v3", 404), ("GET", "/api/v3/%2e%2e/order", 404),
    ],
)  # fmt: skip
def test_unknown_paths_and_methods_answer_json(public: Client, method: str, target: str, status: int) -> None:
    answer = public.raw(method, target)
    assert answer.status_code == status
    assert refusal(answer)[1] == -1000
    assert ("allow" in answer.headers) == (status == 405)


def test_a_wrong_method_is_told_the_right_ones(public: Client) -> None:
    assert public.raw("PATCH", "/api/v3/order").headers["allow"] == "DELETE, GET, HEAD, POST"
    assert public.raw("GET", "/api/v3/order/test").headers["allow"] == "POST"


def test_bodies(alice: Client, unchanged: None) -> None:
    form = alice.query(**GOOD).encode()
    for kind in ("application/json", "text/plain", "multipart/form-data; boundary=x"):
        assert refusal(alice.raw("POST", ORDER, form, **{"content-type": kind})) == (400, -1100)
    assert refusal(alice.raw("POST", ORDER, b'{"symbol":"BTCUSDT"}', **{"content-type": "application/json"})) == (
        400,
        -1100,
    )
    assert refusal(alice.raw("GET", "/api/v3/account", form, **FORM)) == (400, -1100)
    assert refusal(alice.raw("POST", ORDER, b"a=" + b"x" * 16_384, **FORM)) == (413, -1101)
    assert refusal(alice.raw("POST", f"{ORDER}?%ff=1")) == (400, -1100)
    assert refusal(alice.raw("POST", ORDER, b"\xff\xfe\x00", **FORM))[0] in (400, 401)


def test_a_body_that_does_not_come(exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.gateway.http.REQUEST_BODY_TIMEOUT_S", 0.2)
    with socket.create_connection(("127.0.0.1", exchange.port), timeout=40) as slow:
        slow.sendall(b"POST /api/v3/order HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nsymbol=")
        assert slow.recv(100).startswith(b"HTTP/1.1 408")


def read_to_the_end(client: socket.socket) -> bytes:
    got = b""
    with contextlib.suppress(ConnectionResetError):
        while part := client.recv(4096):
            got += part
    return got


@pytest.mark.parametrize("path", ["/api/v3/order", "/accounts/login/"])
def test_a_connection_whose_body_does_not_come_is_closed(
    exchange: Exchange, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """Answered or not: otherwise the rest of the body could come for ever. For paths of the site too."""
    is_api = path.startswith("/api/")
    monkeypatch.setattr("apps.gateway.http.REQUEST_BODY_TIMEOUT_S", 0.2)
    monkeypatch.setattr("apps.gateway.httpprotocol.REQUEST_BODY_TIMEOUT_S", 0.2)
    # A loop that was held up meets both limits at once, and whoever is to be answered must not be cut off before.
    monkeypatch.setattr("apps.gateway.httpprotocol.BODY_GRACE_S", 20.0 if is_api else 0.2)
    request = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nsymbol=".encode()
    with socket.create_connection(("127.0.0.1", exchange.port), timeout=40) as slow:
        slow.sendall(request)
        if is_api:
            assert read_to_the_end(slow).startswith(b"HTTP/1.1 408")
        else:
            read_to_the_end(slow)


def test_a_long_body_that_comes_steadily_has_its_time(exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.gateway.httpprotocol.REQUEST_BODY_TIMEOUT_S", 0.01)
    monkeypatch.setattr("apps.gateway.httpprotocol.BODY_GRACE_S", 0.01)
    monkeypatch.setattr("apps.gateway.httpprotocol.BODY_BYTES_PER_S_MIN", 10)
    head = b"POST /api/v3/order HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    with socket.create_connection(("127.0.0.1", exchange.port), timeout=40) as steady:
        steady.sendall(head + b"Content-Length: 1000\r\n\r\n" + b"a" * 999)
        time.sleep(0.3)
        steady.sendall(b"b")
        assert steady.recv(4096).startswith(b"HTTP/1.1 401")


def test_a_head_without_end_is_cut_off(exchange: Exchange) -> None:
    """It is kept in memory until it is whole, so it must not become large."""
    sent = 0
    with socket.create_connection(("127.0.0.1", exchange.port), timeout=40) as endless:
        endless.sendall(b"GET /api/v3/ping HTTP/1.1\r\nX-Long: ")
        with pytest.raises(ConnectionError):
            while sent < 64 * 2**20:
                endless.sendall(b"x" * 65_536)
                sent += 65_536
    assert sent < 16 * 2**20


def test_a_head_that_does_not_come_is_cut_off(exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.gateway.httpprotocol.REQUEST_HEAD_TIMEOUT_S", 0.2)
    for start in (b"", b"GET /api/v3/ping HT", b"GET /api/v3/ping HTTP/1.1\r\nHost: x\r\n\r\nGET /api"):
        with socket.create_connection(("127.0.0.1", exchange.port), timeout=40) as slow:
            slow.sendall(start)
            with contextlib.suppress(ConnectionResetError):
                while slow.recv(4096):
                    pass


def test_many_requests_in_one_piece_are_all_answered(exchange: Exchange) -> None:
    request = b"GET /api/v3/ping HTTP/1.1\r\nHost: x\r\n\r\n"
    count = 3_000
    with socket.create_connection(("127.0.0.1", exchange.port), timeout=40) as client:
        threading.Thread(target=client.sendall, args=(request * count,)).start()
        got = b""
        while got.count(b"HTTP/1.1 200 OK") < count or not got.endswith(b"{}"):
            part = client.recv(65_536)
            assert part, got[-200:]
            got += part


def test_another_account_can_neither_see_nor_cancel(alice: Client, bob: Client) -> None:
    order = alice.limit("BUY", "40000", "0.1", newClientOrderId="mine")
    by_id, by_client_id = {"orderId": order["orderId"]}, {"origClientOrderId": "mine"}
    for which in (by_id, by_client_id):
        assert bob.refused("DELETE", ORDER, symbol="BTCUSDT", **which) == (400, -2011, "Unknown order sent.")
        assert bob.refused("GET", ORDER, symbol="BTCUSDT", **which) == (400, -2013, "Order does not exist.")
    # The right account in the wrong market, and two ids that do not belong together.
    assert alice.refused("DELETE", ORDER, symbol="ETHUSDT", **by_id)[1] == -2011
    assert alice.refused("GET", ORDER, symbol="ETHUSDT", **by_id)[1] == -2013
    assert alice.refused("DELETE", ORDER, symbol="BTCUSDT", **by_id, origClientOrderId="other")[1] == -2011
    assert alice.refused("GET", ORDER, symbol="BTCUSDT", **by_id, origClientOrderId="other")[1] == -2013
    assert alice.refused("DELETE", ORDER, symbol="BTCUSDT")[1] == -1102
    assert alice.ok("GET", "/api/v3/openOrders") != []


def test_insufficient_funds(exchange: Exchange) -> None:
    poor = exchange.account(USDT="100")
    with Client(exchange.base_url, poor) as client:
        expected = (400, -2010, "Account has insufficient balance for requested action.")
        assert client.refused("POST", ORDER, **GOOD) == expected
        assert client.refused("POST", ORDER, symbol="BTCUSDT", side="SELL", type="MARKET", quantity="1") == expected
        assert client.balances() == {"USDT": ("100.00000000", "0.00000000")}
    with Client(exchange.base_url, exchange.account()) as never_funded:
        assert never_funded.refused("POST", ORDER, **GOOD) == expected


def test_fifty_equal_client_ids_at_once_make_one_order(exchange: Exchange, alice: Client) -> None:
    barrier = threading.Barrier(10)

    def send(number: int) -> list[tuple[int, Any]]:
        with Client(exchange.base_url, alice.me, tidy=False) as client:
            barrier.wait()
            answers = [client.signed("POST", ORDER, **GOOD, newClientOrderId="one") for _ in range(5)]
            return [(answer.status_code, answer.json()) for answer in answers]

    with ThreadPoolExecutor(10) as pool:
        answers = [answer for part in pool.map(send, range(10)) for answer in part]
    assert {status for status, _ in answers} == {200}
    assert len({body["orderId"] for _, body in answers}) == 1
    assert len(alice.ok("GET", "/api/v3/openOrders")) == 1
    assert alice.balances()["USDT"] == ("996000.00000000", "4000.00000000")


def test_a_hundred_orders_that_exceed_the_balance(exchange: Exchange) -> None:
    """25,000 USDT pay for six orders of 4,000: six pass, whatever the interleaving, and 94 are refused."""
    account = exchange.account(USDT="25000")

    def send(_: int) -> int:
        with Client(exchange.base_url, account, tidy=False) as client:
            return client.signed("POST", ORDER, **GOOD).status_code

    with ThreadPoolExecutor(10) as pool:
        statuses = list(pool.map(send, range(100)))
    assert (statuses.count(200), statuses.count(400)) == (6, 94)
    with Client(exchange.base_url, account) as client:
        assert len(client.ok("GET", "/api/v3/openOrders")) == 6
        assert client.balances()["USDT"] == ("1000.00000000", "24000.00000000")
