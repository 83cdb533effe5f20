"""The OpenAPI document is valid, complete, and says what validation does."""

import json
import re
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from openapi_spec_validator import OpenAPIV31SpecValidator, validate

from apps.gateway.errors import ApiError
from apps.gateway.openapi.codes import by_status, codes_of
from apps.gateway.openapi.document import build, document_json, recorded_answers
from apps.gateway.openapi.parameters import default_of, schema_of
from apps.gateway.openapi.texts import SECTIONS, SUMMARIES, name_of, parameter_names, section_of, weight_examples
from apps.gateway.params import Amounts, Flag, Integer, Param, Permissions, Symbols
from apps.gateway.registry import Endpoint, Registry, Security, load
from tests.gateway.client import Client
from tests.gateway.exchange import Exchange
from tests.gateway.test_bad_numbers import BAD_AMOUNTS, BAD_INTEGERS, TOO_PRECISE

DOCUMENT: dict[str, Any] = json.loads(document_json())
ENDPOINTS = load().all()
TEXTS = [
    *BAD_AMOUNTS,
    *BAD_INTEGERS,
    *TOO_PRECISE,
    "0",
    "1",
    "5",
    "1000",
    "0.5",
    "BTCUSDT",
    "btc",
    "a b",
    "GTC",
    "LIMIT",
]


def test_the_document_is_valid_openapi() -> None:
    validate(DOCUMENT, cls=OpenAPIV31SpecValidator)


def test_a_wrong_document_is_found() -> None:
    with pytest.raises(Exception, match="is a required property"):
        validate({**DOCUMENT, "paths": {"/x": {"get": {"parameters": [{"name": "a"}]}}}}, cls=OpenAPIV31SpecValidator)


def test_the_command_prints_it() -> None:
    out = StringIO()
    call_command("openapi", stdout=out)
    assert json.loads(out.getvalue()) == DOCUMENT


def test_every_endpoint_is_there_and_nothing_else() -> None:
    listed = {(method.upper(), path) for path, methods in DOCUMENT["paths"].items() for method in methods}
    assert listed == {(endpoint.method, endpoint.path) for endpoint in ENDPOINTS}
    ids = [operation["operationId"] for methods in DOCUMENT["paths"].values() for operation in methods.values()]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=name_of)
def test_an_operation_says_what_the_registry_says(endpoint: Endpoint) -> None:
    operation = DOCUMENT["paths"][endpoint.path][endpoint.method.lower()]
    named = {each["name"]: each for each in operation["parameters"] if "name" in each}
    assert list(named) == [param.name for param in endpoint.params]
    for param in endpoint.params:
        assert named[param.name]["required"] is param.required
        assert named[param.name]["description"].endswith(".")
    signed = endpoint.security in (Security.USER_DATA, Security.TRADE)
    by_name_only = endpoint.security is Security.USER_STREAM
    assert operation["security"] == [{"apiKey": [], "signature": []}] * signed + [{"apiKey": []}] * by_name_only
    references = [each["$ref"].split("/")[-1] for each in operation["parameters"] if "$ref" in each]
    assert references == ["timestamp", "recvWindow"] * signed
    assert operation.get("x-websocket-method") == endpoint.ws
    assert operation["tags"][0] in SECTIONS
    assert operation["summary"].endswith(".")
    answered = {int(status): each for status, each in operation["responses"].items() if status != "200"}
    for status, codes in by_status(codes_of(endpoint)).items():
        [content] = answered[status]["content"].values()
        assert content["schema"]["properties"]["code"]["enum"] == codes
    assert set(answered) == set(by_status(codes_of(endpoint)))
    assert set(endpoint.error_codes) <= set(operation["x-error-codes"])
    [content] = operation["responses"]["200"]["content"].values()
    assert content["schema"], "tests/clients/fields/schemas.py has no table for this answer"


@pytest.mark.parametrize("endpoint", [each for each in ENDPOINTS if not isinstance(each.weight, int)], ids=name_of)
def test_weights_that_vary_have_examples(endpoint: Endpoint) -> None:
    weights = [weight for _, weight in weight_examples(endpoint)]
    assert len(set(weights)) == len(weights) > 1


def test_recorded_answers_are_of_endpoints() -> None:
    """Those of endpoints that are still to come are allowed: tables are written down before."""
    assert {name_of(endpoint) for endpoint in ENDPOINTS} <= set(recorded_answers()["answers"])


def test_no_sentence_is_left_over() -> None:
    used = {param.name for endpoint in ENDPOINTS for param in endpoint.params}
    assert parameter_names() - used == set()
    assert {section_of(endpoint) for endpoint in ENDPOINTS} <= set(SECTIONS)
    paths = {path for endpoint in ENDPOINTS for path in [endpoint.path]}
    expected = {"/api/v3/bookChecksum"}
    assert {name.split(" ")[1] for name in SUMMARIES} - paths <= expected


def test_what_has_no_description_is_reported() -> None:
    class Odd(Param):
        pass

    async def handler(*_: Any) -> None: ...

    known = Registry()
    known.add(Endpoint("GET", "/api/v3/odd", handler))
    with pytest.raises(AssertionError, match="GET /api/v3/odd needs a sentence"):
        build(known)
    with pytest.raises(AssertionError, match="Odd has no schema"):
        schema_of(Odd("odd"))


# -- the schema of a parameter says what its validation does ---------------------------------------------------------
def accepted(param: Param, text: str) -> bool:
    try:
        param.parse(text)
    except ApiError:
        return False
    return True


def fits(schema: dict[str, Any], text: str) -> bool:
    """Whether a query value fits, as a client of the document would send it."""
    if schema["type"] == "integer":
        is_integer = re.fullmatch(r"0|[1-9][0-9]*", text) is not None
        return is_integer and schema["minimum"] <= int(text) <= schema["maximum"]
    if "enum" in schema:
        return text in schema["enum"]
    # A pattern of JSON Schema does not end before a line break, as $ does here.
    return re.search(schema["pattern"], text) is not None and not text.endswith("\n")


PARAMS = {
    (type(param).__name__, param.name, json.dumps(schema_of(param), sort_keys=True)): param
    for endpoint in ENDPOINTS
    for param in endpoint.params
    if not isinstance(param, Symbols | Amounts | Permissions | Flag)
}


@pytest.mark.parametrize("param", PARAMS.values(), ids=lambda param: param.name)
def test_schema_and_validation_agree(param: Param) -> None:
    schema = schema_of(param)
    texts = [*TEXTS, *schema.get("enum", ())]
    if isinstance(param, Integer):
        texts += [str(param.minimum), str(param.minimum - 1), str(param.maximum), str(param.maximum + 1)]
    wrong = [text for text in texts if fits(schema, text) != accepted(param, text)]
    # What is known only to be refused is not in the list, and says so by a code of its own.
    assert [text for text in wrong if text not in ("NONE", "TRANSFER")] == []


@pytest.mark.parametrize("param", PARAMS.values(), ids=lambda param: param.name)
def test_defaults_can_be_sent(param: Param) -> None:
    default = default_of(param)
    if default is not None:
        assert param.parse(str(default)) == param.default


def test_the_gateway_serves_the_document(exchange: Exchange, public: Client) -> None:
    answer = public.get("/api/openapi.json")
    assert answer.status_code == 200
    assert answer.content == document_json()
    assert answer.headers["content-type"].startswith("application/json")
    assert public.get("/api/openapi.json", x="1").json()["code"] == -1104
