"""Random requests over the whole registry: whatever is sent, the answer is a documented refusal or a right answer."""

import random
import string
from typing import Any
from urllib.parse import quote_from_bytes

import pytest

from apps.common.clock import now_ms
from apps.gateway.registry import Endpoint, Security, load
from tests.gateway.client import FORM, Client
from tests.gateway.exchange import Exchange
from tests.gateway.test_bad_numbers import BAD_AMOUNTS, BAD_INTEGERS, BASE

REQUESTS = 1_500
WORDS = [
    *BAD_AMOUNTS,
    *BAD_INTEGERS,
    *BASE.values(),
    "",
    "0",
    "1",
    "5",
    "BTCUSDT",
    '["BTCUSDT"]',
    "MARKET",
    "SELL",
    "1d",
]


def text(draw: random.Random) -> bytes:
    match draw.randrange(4):
        case 0:
            return draw.randbytes(draw.randrange(12))
        case 1:
            return "".join(draw.choices(string.printable, k=draw.randrange(20))).encode()
        case _:
            return draw.choice(WORDS).encode()


def pairs(draw: random.Random, endpoint: Endpoint) -> str:
    """A query or body: mostly declared names, some unknown, some twice, some not even pairs."""
    names = [param.name for param in endpoint.params] + ["timestamp", "recvWindow", "signature", "unknown", ""]
    chosen = [(name, BASE[name].encode()) for name in names if name in BASE and draw.random() < 0.6]
    chosen += [(draw.choice(names), text(draw)) for _ in range(draw.randrange(4))]
    parts = [f"{name}={quote_from_bytes(value)}" for name, value in chosen]
    if draw.random() < 0.1:
        parts.append(draw.choice(["&&", "=", "a", "%", "%zz", "%ff=%fe", "a=b=c"]))
    return "&".join(parts)


@pytest.mark.parametrize("seed", [1, None], ids=["fixed", "fresh"])
def test_random_requests(exchange: Exchange, alice: Client, seed: int | None) -> None:
    seed = random.SystemRandom().randrange(2**32) if seed is None else seed
    print(f"seed {seed}")
    draw = random.Random(seed)
    endpoints = load().all()
    statuses: dict[int, int] = {}
    for _ in range(REQUESTS // 2):
        endpoint = draw.choice(endpoints)
        query, body = pairs(draw, endpoint), None
        if endpoint.method != "GET" and draw.random() < 0.5:
            query, body = "", query
        if endpoint.security is not Security.NONE and draw.random() < 0.8:
            signed = f"{query or body}&timestamp={now_ms()}".lstrip("&")
            signed += f"&signature={alice.sign(signed)}"
            query, body = (signed, None) if body is None else ("", signed)
        headers: dict[str, Any] = FORM if body is not None else {}
        answer = alice.raw(endpoint.method, f"{endpoint.path}?{query}", body.encode() if body else None, **headers)
        statuses[answer.status_code] = statuses.get(answer.status_code, 0) + 1
        parsed = answer.json()
        shown = (endpoint.method, endpoint.path, query, body, answer.text[:300])
        assert answer.status_code in (200, 400, 401, 413), shown
        if answer.status_code != 200:
            assert isinstance(parsed["code"], int), shown
            assert isinstance(parsed["msg"], str), shown
    assert set(statuses) >= {200, 400}, statuses
