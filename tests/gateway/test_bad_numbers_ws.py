"""The bad numbers again, over the WebSocket API: as JSON strings and as JSON literals, in every number field.

`make test` tries every fifth in a field, of the next field the ones after those; `make long` tries all in each.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from apps.gateway.params import Amount, Integer
from apps.gateway.registry import Endpoint, load
from tests.gateway.client import Client
from tests.gateway.exchange import Exchange
from tests.gateway.sessions import new_session, ticket_of
from tests.gateway.sockets import Socket
from tests.gateway.test_bad_numbers import BAD_AMOUNTS, BAD_INTEGERS, TOO_PRECISE, empty, numbered, parameters
from tests.gateway.test_wsapi import open_socket
from tests.sampling import part, whole_or_part

# JSON texts that are valid JSON (or accepted by Python's parser) and no valid number of ours.
LITERALS = [
    "-1", "-0", "-0.0", "1e3", "1E400", "1e-9", "NaN", "Infinity", "-Infinity", "9" * 40, "1" + "0" * 30,
    "true", "false", "[]", "[1]", '["1"]', "{}", '{"a":1}',
]  # fmt: skip
FIELDS = numbered(load().ws.values(), (Integer, Amount))


@pytest.fixture
def page(exchange: Exchange, alice: Client) -> Iterator[Socket]:
    with open_socket(exchange, origin=exchange.base_url) as socket:
        ticket = ticket_of(alice, new_session(alice.me.account_id))
        assert socket.ask("session.logon", ticket=ticket)["status"] == 200
        yield socket


def ask(page: Socket, endpoint: Endpoint, name: str, value_json: str) -> Any:
    params = {key: value for key, value in parameters(endpoint, name).items() if key != name}
    inside = "".join(f"{json.dumps(key)}:{json.dumps(value)}," for key, value in params.items())
    page.send(f'{{"id":1,"method":"{endpoint.ws}","params":{{{inside}{json.dumps(name)}:{value_json}}}}}')
    return page.receive()


@pytest.mark.parametrize("whole", whole_or_part())
@pytest.mark.parametrize(("place", "endpoint", "name"), FIELDS, ids=lambda value: getattr(value, "ws", str(value)))
def test_number_fields(unchanged: None, page: Socket, place: int, endpoint: Endpoint, name: str, whole: bool) -> None:
    is_amount = any(isinstance(param, Amount) for param in endpoint.params if param.name == name)
    texts = [json.dumps(text) for text in (BAD_AMOUNTS if is_amount else BAD_INTEGERS)]
    for value in part([*texts, *LITERALS, *([] if is_amount else ["0.5", "1.0"])], place, whole):
        answer = ask(page, endpoint, name, value)
        assert answer["status"] == 400, (value, answer)
        assert answer["error"]["code"] in (-1100, -1130), (value, answer)
        assert f"'{name}'" in answer["error"]["msg"], (value, answer)
    for value in TOO_PRECISE if is_amount else ():
        for text in (value, json.dumps(value)):
            assert ask(page, endpoint, name, text)["error"]["code"] == -1111
    for nothing in ("null", '""'):
        assert ask(page, endpoint, name, nothing)["error"]["code"] == empty(endpoint, name)[1]


@pytest.mark.parametrize(
    ("name", "values", "filter_name"),
    [
        ("price", ["40000.001", "0.001", "0", "1000000.01", "99999999999"], "PRICE_FILTER"),
        ("quantity", ["0.1000001", "0.000001", "0", "9000.1", "99999999999"], "LOT_SIZE"),
        ("quoteOrderQty", ["0", "4.99999999", "9000000.00000001"], "NOTIONAL"),
    ],
)
def test_filters(unchanged: None, page: Socket, name: str, values: list[str], filter_name: str) -> None:
    for value in values:
        for text in (value, json.dumps(value)):
            for method in ("order.place", "order.test"):
                answer = ask(page, load().ws[method], name, text)
                assert answer["error"] == {"code": -1013, "msg": f"Filter failure: {filter_name}"}, (method, text)
