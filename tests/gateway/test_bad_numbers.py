"""Every number field of every endpoint against every bad number: a documented code that names the field, nothing else.

The engine's state hash and event number stay the same over the whole table. `make test` tries every fifth number in a
field, of the next field the ones after those; `make long` tries all of them in each.
"""

from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import quote

import pytest

from apps.gateway.params import Amount, Integer
from apps.gateway.registry import Endpoint, Security, load
from tests.gateway.client import Client, hold_against_table
from tests.gateway.exchange import Exchange
from tests.sampling import part, whole_or_part

BAD_FORM = [
    " ", "+1", "-1", "-0", "-0.0", "1e3", "1E400", "1e-9", "1e308", "1e999", "NaN", "Infinity", "-Infinity", "0x1",
    "0x10", "1_0", "1_000", "1,5", "\u0661", "\uff11\uff12", "00.1", ".5", "5.", "9" * 40, "9" * 400, "1" + "0" * 30,
    "true", "null",    "[]", "[1]", "{}", "\x00", "1\x00", "\u22121", " 1 ", "1 ", "1\n", "%31", "abc", "0" * 20,
]  # fmt: skip
# Not a whole number, or beyond 2^63.
BAD_INTEGERS = [*BAD_FORM, "0.1", "1.0", "9223372036854775808", "18446744073709551616", "00"]
BAD_AMOUNTS = [*BAD_FORM, "1." + "0" * 18 + "1"]
TOO_PRECISE = ["0.000000001", "1.123456789012345678"]
BASE: dict[str, str] = {
    "symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "price": "40000", "quantity": "0.1",
    "interval": "1m", "origClientOrderId": "none", "cancelReplaceMode": "STOP_ON_FAILURE",
    "cancelOrigClientOrderId": "none", "newQty": "0.1", "aboveType": "STOP_LOSS", "belowType": "LIMIT_MAKER",
    "workingType": "LIMIT_MAKER", "workingSide": "BUY", "workingQuantity": "0.1", "workingPrice": "40000",
    "pendingType": "MARKET", "pendingSide": "SELL", "pendingQuantity": "0.1", "pendingAboveType": "LIMIT_MAKER",
    "pendingBelowType": "STOP_LOSS",
}  # fmt: skip


def numbered(endpoints: Iterable[Endpoint], kinds: Any) -> list[tuple[int, Endpoint, str]]:
    """(place, endpoint, name) of each parameter of these kinds."""
    found = [(endpoint, param.name) for endpoint in endpoints for param in endpoint.params if isinstance(param, kinds)]
    return [(place, *field) for place, field in enumerate(found)]


def fields(kind: type) -> list[tuple[int, Endpoint, str]]:
    return numbered(load().all(), kind)


def name_of(value: Any) -> str:
    return f"{value.method} {value.path}" if isinstance(value, Endpoint) else str(value)


def parameters(endpoint: Endpoint, name: str) -> dict[str, str]:
    """A valid request of this endpoint that takes the parameter `name`."""
    known = {param.name for param in endpoint.params}
    params = {key: value for key, value in BASE.items() if key in known}
    params |= {
        param.name: "1" for param in endpoint.params
        if param.required and isinstance(param, Integer) and param.name not in params
    }  # fmt: skip
    if name == "quoteOrderQty":
        params["type"] = "MARKET"
        for unused in ("timeInForce", "price", "quantity"):
            params.pop(unused)
    return params


def target(client: Client, endpoint: Endpoint, params: dict[str, str], name: str, value: str) -> str:
    if endpoint.security is Security.NONE:
        rest = "&".join(f"{key}={quote(each)}" for key, each in params.items() if key != name)
        return f"{endpoint.path}?{rest}&{name}={quote(value)}"
    return f"{endpoint.path}?{client.query(**{**params, name: value})}"


def empty(endpoint: Endpoint, name: str) -> tuple[int, int, str]:
    """The refusal of an empty value."""
    if any(param.required for param in endpoint.params if param.name == name):
        return 400, -1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed."
    return 400, -1105, f"Parameter '{name}' was empty."


def refusals(client: Client, endpoint: Endpoint, name: str, values: Sequence[str]) -> dict[str, tuple[int, int, str]]:
    """{value: (status, code, text)} of what was sent for the field."""
    found: dict[str, tuple[int, int, str]] = {}
    params = parameters(endpoint, name)
    with client.line() as line:
        for value in values:
            answer = line.ask(endpoint.method, target(client, endpoint, params, name, value), client.key_header)
            body = answer.json()
            assert answer.headers["content-type"].startswith("application/json")
            assert isinstance(body, dict), (value, body)
            hold_against_table(endpoint.method, endpoint.path, answer.status, body)
            found[value] = (answer.status, body.get("code", 0), body.get("msg", ""))
    return found


@pytest.mark.parametrize("whole", whole_or_part())
@pytest.mark.parametrize(("place", "endpoint", "name"), fields(Integer), ids=name_of)
def test_integers(alice: Client, unchanged: None, place: int, endpoint: Endpoint, name: str, whole: bool) -> None:
    values = part(BAD_INTEGERS, place, whole)
    for value, (status, code, text) in refusals(alice, endpoint, name, values).items():
        assert (status, code) in ((400, -1100), (400, -1130)), (value, status, code, text)
        assert f"'{name}'" in text, (value, text)
    assert list(refusals(alice, endpoint, name, [""]).values()) == [empty(endpoint, name)]


@pytest.mark.parametrize("whole", whole_or_part())
@pytest.mark.parametrize(("place", "endpoint", "name"), fields(Amount), ids=name_of)
def test_amounts(alice: Client, unchanged: None, place: int, endpoint: Endpoint, name: str, whole: bool) -> None:
    values = part(BAD_AMOUNTS, place, whole)
    for value, (status, code, text) in refusals(alice, endpoint, name, values).items():
        assert (status, code) == (400, -1100), (value, status, code, text)
        assert f"'{name}'" in text
    for value, refusal in refusals(alice, endpoint, name, TOO_PRECISE).items():
        assert refusal == (400, -1111, f"Parameter '{name}' has too much precision."), value
    assert list(refusals(alice, endpoint, name, [""]).values()) == [empty(endpoint, name)]


@pytest.mark.parametrize("path", ["/api/v3/order", "/api/v3/order/test"])
@pytest.mark.parametrize(
    ("name", "values", "filter_name"),
    [
        # off tick, below, above, beyond every amount
        (
            "price",
            ["40000.001", "0.001", "0", "0.00", "1000000.01", "99999999999", "999999999999999999"],
            "PRICE_FILTER",
        ),
        # off lot, below, above, beyond every amount
        ("quantity", ["0.1000001", "0.000001", "0", "0.0", "9000.1", "99999999999", "999999999999999999"], "LOT_SIZE"),
        ("quoteOrderQty", ["0", "0.00", "4.99999999", "9000000.00000001", "999999999999999999"], "NOTIONAL"),
    ],
)
def test_filters(
    exchange: Exchange, alice: Client, unchanged: None, path: str, name: str, values: list[str], filter_name: str
) -> None:
    """Off the grid, below and above; without a client id the gateway refuses by itself, so nothing reaches the log."""
    [endpoint] = [each for each in load().all() if each.path == path and each.method == "POST"]
    for value, refusal in refusals(alice, endpoint, name, values).items():
        assert refusal == (400, -1013, f"Filter failure: {filter_name}"), value


def test_notional_and_market_lot_filters(alice: Client, unchanged: None) -> None:
    limit = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC"}
    assert alice.refused("POST", "/api/v3/order", **limit, price="100", quantity="0.01")[1:] == (
        -1013, "Filter failure: NOTIONAL",
    )  # fmt: skip
    assert alice.refused("POST", "/api/v3/order", **limit, price="900000", quantity="100")[1:] == (
        -1013, "Filter failure: NOTIONAL",
    )  # fmt: skip
    market = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET"}
    assert alice.refused("POST", "/api/v3/order", **market, quantity="100.00001")[1:] == (
        -1013, "Filter failure: MARKET_LOT_SIZE",
    )  # fmt: skip


def test_engine_filters_have_the_same_texts(alice: Client) -> None:
    """With the client's own id an order may be a repeat, so the engine decides; the answer is the same."""
    limit = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "newClientOrderId": "mine"}
    for price, quantity, name in (
        ("1000000.01", "0.1", "PRICE_FILTER"), ("50000", "9001", "LOT_SIZE"), ("50000", "0.00001", "NOTIONAL"),
        ("900000", "0.1", "PERCENT_PRICE_BY_SIDE"),
    ):  # fmt: skip
        refusal = alice.refused("POST", "/api/v3/order", **limit, price=price, quantity=quantity)
        assert refusal == (400, -1013, f"Filter failure: {name}")
    assert alice.ok("GET", "/api/v3/openOrders") == []


def test_a_megabyte_is_not_read(alice: Client, unchanged: None) -> None:
    for field in ("price", "quantity", "quoteOrderQty", "orderId"):
        long = f"{field}={'1' * 1_000_000}".encode()
        answer = alice.raw("POST", "/api/v3/order", long, **{"content-type": "application/x-www-form-urlencoded"})
        assert (answer.status_code, answer.json()["code"]) == (413, -1101)
        assert alice.raw("GET", f"/api/v3/order?{field}={'1' * 60_000}").status_code == 413


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("timestamp", [*BAD_INTEGERS, "0"]),
        ("recvWindow", [*BAD_FORM, "1.0001", "60000.001", "60001", "99999999999"]),
    ],
)
def test_request_time(alice: Client, unchanged: None, name: str, values: list[str]) -> None:
    for value in values:
        status, code, text = alice.refused("GET", "/api/v3/openOrders", **{name: value})
        assert status == 400
        assert code in (-1100, -1021, -1131), (value, text)
        assert name in text
