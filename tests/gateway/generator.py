"""Requests made from the registry, each with what must come of it.

A request is a right one with some of its parameters replaced by what clients should not send: the number list, hostile
texts, values of other parameters, bounds, or nothing. The registry's own validation says what the answer must be: its
very refusal, before anything is done. Where validation finds nothing, the endpoint answers as it documents.
"""

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote_from_bytes

from apps.common.clock import now_ms
from apps.gateway.errors import ApiError
from apps.gateway.params import SECURITY_NAMES, Choice, Integer, Param, parse_pairs, read
from apps.gateway.registry import Endpoint, Security, load
from tests.gateway.client import Client
from tests.gateway.test_bad_numbers import BAD_AMOUNTS, BAD_INTEGERS, BASE, TOO_PRECISE, parameters

NUMBERS = [*dict.fromkeys([*BAD_AMOUNTS, *BAD_INTEGERS, *TOO_PRECISE])]
GOOD_NUMBERS = ["0", "1", "2", "5", "7", "1000", "5001", "0.5", "40000", "9007199254740993", "4611686018427387903"]
HOSTILE = [
    "'; DROP TABLE orders_order; --", '" OR 1=1 --', "<script>alert(1)</script>", "{{7*7}}", "${jndi:x}", "../../x",
    "%00", "%2e%2e", "\r\nX-Injected: 1", "\t", " ", "+", "&", "=", "a=b&c=d", "\\", "'", '"', "`id`", "$(id)",
    "\u202eabc", "\u200b", "\ufeff1", "\u0391\u0392", "\U0001d7d9", "\uff11", "\u0661\u0662", "e\u0301", "\U0001f600",
    "TRUE", "False", "None", "undefined", "nil", "NULL", "[]", "{}", "[[[[[[", "[" * 3000, '["BTCUSDT"', '["BTCUSDT",]',
    '["BTCUSDT","BTCUSDT"]', "[1]", "[null]", '[["BTCUSDT"]]', '{"a":1}', '["btcusdt"]', '[""]', "a" * 36, "a" * 37,
    "A" * 20, "A" * 21, "x" * 8000, "-_.", "BTCUSDT ", " BTCUSDT", "btcusdt", "BTC/USDT", "BTCUSDT\x00", "NOPE", "1m ",
    "1M", "LIMIT,MARKET", "buy", "Sell", "GTX", "SPOT", '["SPOT"]', "+99:00", "14:60", "8:5", "-0",
]  # fmt: skip
# Not even text; a query can carry it, a WebSocket frame cannot.
BROKEN = [b"\xff", b"\xff\xfe\x00", b"\xc0\x80", b"\xed\xa0\x80", b"\xf5\x80\x80\x80", b"abc\x80"]


@dataclass(frozen=True)
class Case:
    """`refusal`: (HTTP status, code) that must come; None where only the endpoint can tell."""

    endpoint: Endpoint
    sent: tuple[tuple[str, bytes], ...]
    refusal: tuple[int, int] | None

    def __str__(self) -> str:
        return f"{self.endpoint.method} {self.endpoint.path} {self.endpoint.ws} {self.sent} -> {self.refusal}"


def every_value(seed: int) -> Iterator[Case]:
    """Each value of the lists in each parameter of each endpoint, in an order by the seed."""
    pairs = [(endpoint, param) for endpoint in load().all() for param in endpoint.params]
    found = [(endpoint, param, value) for endpoint, param in pairs for value in values_for(param)]
    random.Random(seed).shuffle(found)
    for endpoint, param, value in found:
        sent = {name: text.encode() for name, text in parameters(endpoint, param.name).items()}
        yield case_of(endpoint, {**sent, param.name: value})


def values_for(param: Param) -> list[bytes]:
    texts = [*NUMBERS, *GOOD_NUMBERS, *HOSTILE, ""]
    if isinstance(param, Integer):
        texts += [str(each) for each in (param.minimum, param.minimum - 1, param.maximum, param.maximum + 1)]
    if isinstance(param, Choice):
        texts += [*(param.values or {}), *(text.lower() for text in param.values or {})]
    return [*(text.encode("utf-8", "surrogatepass") for text in texts), *BROKEN]


def random_cases(draw: random.Random, count: int) -> Iterator[Case]:
    """Several parameters changed, left out or added at once."""
    endpoints = load().all()
    for _ in range(count):
        endpoint = draw.choice(endpoints)
        names = [param.name for param in endpoint.params]
        sent = {name: BASE[name].encode() for name in names if name in BASE and draw.random() < 0.9}
        for _ in range(draw.randrange(4)):
            name = draw.choice([*names, "unknown", "symbol", "x" * draw.randrange(1, 60)])
            if draw.random() < 0.15:
                sent.pop(name, None)
            else:
                sent[name] = value(draw)
        if not draw.randrange(20):
            sent[draw.choice(("timestamp", "recvWindow"))] = value(draw)
        yield case_of(endpoint, sent)


def value(draw: random.Random) -> bytes:
    match draw.randrange(6):
        case 0:
            return draw.choice(HOSTILE).encode("utf-8", "surrogatepass")
        case 1:
            return draw.choice(BROKEN) if not draw.randrange(4) else draw.randbytes(draw.randrange(12))
        case 2:
            return draw.choice(list(BASE.values())).encode()
        case 3:
            return draw.choice(GOOD_NUMBERS).encode()
        case _:
            return draw.choice(NUMBERS).encode()


def case_of(endpoint: Endpoint, sent: dict[str, bytes]) -> Case:
    return Case(endpoint, tuple(sent.items()), expected(endpoint, sent))


def expected(endpoint: Endpoint, sent: dict[str, bytes]) -> tuple[int, int] | None:
    """What validation says; nothing where times are sent, which are looked at before."""
    if endpoint.security is not Security.NONE and SECURITY_NAMES & sent.keys():
        return None
    try:
        read(endpoint.params, parse_pairs(query_of(sent).encode()))
    except ApiError as error:
        return error.status, error.number
    return None


def query_of(sent: dict[str, bytes]) -> str:
    return "&".join(f"{name}={quote_from_bytes(value)}" for name, value in sent.items())


def rest_request(case: Case, client: Client) -> tuple[str, str, bytes, bytes, list[tuple[bytes, bytes]]]:
    """Signed where that is asked for; in a form body where the method takes one and the length is odd."""
    endpoint, sent = case.endpoint, dict(case.sent)
    query = query_of(sent)
    headers: list[tuple[bytes, bytes]] = []
    if endpoint.security is not Security.NONE:
        if "recvWindow" not in sent:
            query += "&recvWindow=60000"
        if "timestamp" not in sent:
            query += f"&timestamp={now_ms()}"
        query = query.lstrip("&")
        query = f"{query}&signature={client.sign(query)}"
        headers.append((b"x-mbx-apikey", client.me.api_key.encode()))
    if endpoint.method != "GET" and len(query) % 2:
        headers.append((b"content-type", b"application/x-www-form-urlencoded"))
        return endpoint.method, endpoint.path, b"", query.encode(), headers
    return endpoint.method, endpoint.path, query.encode(), b"", headers


def ws_frame(case: Case, client: Client, number: int) -> str | None:
    """The same over the WebSocket API; None where a frame cannot say it."""
    endpoint = case.endpoint
    if endpoint.ws is None:
        return None
    try:
        sent = {name: value.decode() for name, value in case.sent}
    except UnicodeDecodeError:
        return None
    if endpoint.security is not Security.NONE:
        sent = {"apiKey": client.me.api_key, "timestamp": str(now_ms()), "recvWindow": "60000", **sent}
        text = "&".join(f"{name}={sent[name]}" for name in sorted(sent))
        sent["signature"] = client.sign(text)
    return json.dumps({"id": number, "method": endpoint.ws, "params": sent})
