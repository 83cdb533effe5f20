"""Requests that schemathesis makes from the OpenAPI document, right and wrong ones: every answer is as documented.

They go over real connections to a running gateway. Most are signed, so that they come to validation and beyond; the
others show what strangers are told. Status, content type, headers and body of each answer are held against it.
"""

import json
import random
from collections import Counter
from collections.abc import Callable
from functools import cache
from typing import Any
from urllib.parse import quote

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from jsonschema_rs import Draft202012Validator
from schemathesis import Case, GenerationMode

from apps.common.clock import now_ms
from apps.gateway.openapi.document import document_json
from apps.gateway.policy import REQUEST_BYTES_MAX
from apps.gateway.registry import Endpoint, Security, load
from tests.gateway.client import Client
from tests.gateway.exchange import Exchange

SYMBOLS = ["BTCUSDT", "ETHUSDT", "ETHBTC", "NOPE"]
# Of so many requests to signed endpoints one is not signed.
STRANGERS = 10


def document() -> dict[str, Any]:
    """The exchange's own, with what only it knows: names of markets. Else nearly every request ends at -1121.

    Without what makes a request a signed one: `send` does that, with a key and a clock that are right.
    """
    found: dict[str, Any] = json.loads(document_json())
    for methods in found["paths"].values():
        for operation in methods.values():
            operation["parameters"] = [each for each in operation["parameters"] if "$ref" not in each]
            operation["security"] = []
            for parameter in operation["parameters"]:
                if parameter["name"] == "symbol":
                    parameter["schema"] = {"type": "string", "enum": SYMBOLS}
                elif parameter["name"] == "symbols":
                    items = parameter["content"]["application/json"]["schema"]
                    items["items"] = {"type": "string", "enum": SYMBOLS}
    return found


@cache
def endpoints() -> dict[str, dict[str, Endpoint]]:
    return load().paths


def text(value: Any) -> str:
    """A parameter as a client sends it."""
    return value if isinstance(value, str) else json.dumps(value)


def send(client: Client, case: Case, as_stranger: bool) -> httpx.Response:
    pairs = "&".join(f"{quote(name)}={quote(text(value))}" for name, value in (case.query or {}).items())
    endpoint = endpoints()[case.path][case.method]
    if endpoint.security is Security.NONE or as_stranger:
        return client.http.request(case.method, f"{case.path}?{pairs}")
    pairs = f"{pairs}&timestamp={now_ms()}&recvWindow=60000".lstrip("&")
    return client.raw(case.method, f"{case.path}?{pairs}&signature={client.sign(pairs)}")


class Forms:
    """What answers must look like: status, content type, headers and body, as the document says."""

    def __init__(self, described: dict[str, Any]) -> None:
        self._operations = {
            (method.upper(), path): operation
            for path, methods in described["paths"].items()
            for method, operation in methods.items()
        }
        self._components = described["components"]
        self._validators: dict[tuple[str, str, int], Draft202012Validator] = {}

    def check(self, method: str, path: str, answer: httpx.Response) -> None:
        shown = (method, path, answer.request.url, answer.status_code, answer.text[:1000])
        listed = self._operations[method, path]["responses"].get(str(answer.status_code))
        assert listed is not None, shown
        [(content_type, content)] = listed["content"].items()
        assert answer.headers["content-type"] == content_type, shown
        for name in listed["headers"]:
            # Counted requests only: one that is refused before that has none, nor has one that need not wait.
            assert answer.headers.get(name, "0").isdigit(), (name, shown)
        key = method, path, answer.status_code
        if key not in self._validators:
            self._validators[key] = Draft202012Validator({**content["schema"], "components": self._components})
        for error in self._validators[key].iter_errors(answer.json()):
            raise AssertionError((error.message, shown))


def run(client: Client, cases: int, number: int) -> Counter[int]:
    """About so many cases, spread over all operations; (status, count) of the answers."""
    print(f"seed {number}")
    schema = schemathesis.openapi.from_dict(document())
    operations = [result.ok() for result in schema.get_all_operations()]
    several = [each for each in operations if endpoints()[each.path][each.method.upper()].params]
    statuses: Counter[int] = Counter()
    forms = Forms(document())
    examples = -(-cases // (2 * len(several)))
    for operation in operations:
        # A request without parameters cannot be wrong.
        modes = (
            (GenerationMode.POSITIVE, GenerationMode.NEGATIVE) if operation in several else (GenerationMode.POSITIVE,)
        )
        for mode in modes:
            strategy = operation.as_strategy(generation_mode=mode)
            check_operation(client, strategy, examples, number, statuses.update, forms)
    return statuses


def check_operation(
    client: Client, strategy: Any, examples: int, number: int, count: Callable[[list[int]], None], forms: "Forms"
) -> None:
    @seed(number)
    @settings(
        max_examples=examples, database=None, deadline=None, suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )  # fmt: skip
    @given(case=strategy, draw=st.integers(0, STRANGERS - 1))
    def check(case: Case, draw: int) -> None:
        answer = send(client, case, as_stranger=draw == 0)
        count([answer.status_code])
        assert answer.status_code != 500, (case.method, case.path, case.query, answer.text)
        forms.check(case.method, case.path, answer)

    check()


def run_until(client: Client, cases: int, number: int) -> Counter[int]:
    """At least so many: of operations that take little there are fewer requests than were asked for, so it goes on."""
    statuses: Counter[int] = Counter()
    while (left := cases - statuses.total()) > 0:
        statuses += run(client, left, number)
        number += 1
    return statuses


@pytest.mark.timeout(600)
def test_answers_are_as_documented(exchange: Exchange, alice: Client) -> None:
    """A sample of the fifty thousand of `make long` (below)."""
    statuses = run_until(alice, 2_000, random.SystemRandom().randrange(2**32))
    print(statuses)
    assert statuses.total() >= 2_000
    assert set(statuses) >= {200, 400, 401}


def test_an_undocumented_answer_is_found(exchange: Exchange, public: Client) -> None:
    """With planted faults in the document: a status, a field, a content type and a code that are not there."""
    path, time, wrong_symbol = "/api/v3/depth", public.get("/api/v3/time"), public.get("/api/v3/depth", symbol="NOPE")
    Forms(document()).check("GET", "/api/v3/time", time)
    Forms(document()).check("GET", path, wrong_symbol)
    too_long = public.get(path, symbol="A" * REQUEST_BYTES_MAX)
    assert too_long.status_code == 413
    Forms(document()).check("GET", path, too_long)
    for plant in (
        lambda paths: paths["/api/v3/time"]["get"]["responses"].pop("200"),
        lambda paths: paths["/api/v3/time"]["get"]["responses"]["200"].update(
            {"content": {"application/json;charset=UTF-8": {"schema": {"required": ["nothing"]}}}}
        ),
        lambda paths: paths["/api/v3/time"]["get"]["responses"]["200"].update(
            {"content": {"text/html": {"schema": {}}}}
        ),
        lambda paths: codes(paths[path]["get"]["responses"]["400"]).remove(-1121),
    ):
        planted = document()
        plant(planted["paths"])
        with pytest.raises(AssertionError):
            Forms(planted).check("GET", "/api/v3/time", time)
            Forms(planted).check("GET", path, wrong_symbol)


def codes(answer: dict[str, Any]) -> list[int]:
    [content] = answer["content"].values()
    found: list[int] = content["schema"]["properties"]["code"]["enum"]
    return found


@pytest.mark.long
def test_fifty_thousand_answers_are_as_documented(exchange: Exchange, alice: Client) -> None:
    print(run_until(alice, 50_000, random.SystemRandom().randrange(2**32)))
