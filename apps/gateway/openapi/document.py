"""The OpenAPI 3.1 document: every REST endpoint with parameters, security, weight, answers and errors."""

import json
from functools import cache
from importlib.resources import files
from typing import Any, Final

import msgspec

from apps.gateway import registry
from apps.gateway.openapi.codes import ERROR_CODES, by_status, codes_of
from apps.gateway.openapi.parameters import described
from apps.gateway.openapi.texts import SECTIONS, name_of, section_of, summary, weight_text
from apps.gateway.policy import RECV_WINDOW_DEFAULT_MS, RECV_WINDOW_MAX_MS, REQUEST_BYTES_MAX
from apps.gateway.registry import Endpoint, Security

VERSION: Final = "3"
JSON_TYPE: Final = "application/json;charset=UTF-8"
HTTP_NAMES: Final = {
    400: "Refused", 401: "No rights", 403: "Not allowed", 404: "Unknown path", 405: "Wrong method",
    408: "Too slow", 409: "Half done", 413: "Too large", 418: "Banned", 429: "Too many requests", 500: "Failure",
    503: "Not executed", 504: "Unknown outcome",
}  # fmt: skip
DESCRIPTION: Final = f"""Orders, market data and account of this exchange in the Binance Spot dialect.

Parameters go into the query string or, for POST, PUT and DELETE, into a form body
(`application/x-www-form-urlencoded`) or both, each of at most {REQUEST_BYTES_MAX} bytes. A parameter that is sent
twice, empty or unknown is refused. Amounts are plain decimals, in answers always texts with 8 decimals.

Signed endpoints take the key's name in `X-MBX-APIKEY`, a `timestamp` in milliseconds or microseconds, perhaps a
`recvWindow` (default {RECV_WINDOW_DEFAULT_MS}, at most {RECV_WINDOW_MAX_MS} ms), and a `signature` of query and body as
they are sent, without itself: HMAC-SHA-256 in hex, Ed25519 or RSA in base64.

`x-weight` counts against the limits in exchangeInfo; `x-websocket-method` is the method of the WebSocket API that does
the same."""

TIMESTAMP: Final = {
    "name": "timestamp",
    "in": "query",
    "required": True,
    "description": "When the request was made, in milliseconds or microseconds since 1970.",
    "schema": {"type": "string", "pattern": "^[0-9]{1,16}$"},
}
RECV_WINDOW: Final = {
    "name": "recvWindow",
    "in": "query",
    "required": False,
    "description": f"For how many milliseconds the request is good; at most {RECV_WINDOW_MAX_MS}.",
    "schema": {
        "type": "string", "pattern": r"^[0-9]{1,5}(\.[0-9]{1,3})?$", "default": str(RECV_WINDOW_DEFAULT_MS),
    },
}  # fmt: skip
HEADERS: Final = {
    "UsedWeight": ("X-MBX-USED-WEIGHT-1M", "Weight that the address has used in this minute."),
    "UsedSapiWeight": ("X-SAPI-USED-IP-WEIGHT-1M", "Weight of /sapi that the address has used in this minute."),
    "OrderCount10s": ("X-MBX-ORDER-COUNT-10S", "Orders that the account has sent in these ten seconds."),
    "OrderCount1d": ("X-MBX-ORDER-COUNT-1D", "Orders that the account has sent today."),
    "StaleSince": (
        "X-Market-Data-Stale-Since",
        "Only while market data is silent: since when, in milliseconds. What happened after may be missing.",
    ),
    "RetryAfter": ("Retry-After", "Seconds to wait."),
}


def build(known: registry.Registry) -> dict[str, Any]:
    """The document as JSON values."""
    recorded = recorded_answers()
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in known.all():
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint, recorded["answers"])
    return {
        "openapi": "3.1.0",
        "info": {"title": "Nebannpet trading API", "version": VERSION, "description": DESCRIPTION},
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": text} for name, text in SECTIONS.items()],
        "paths": paths,
        "components": {
            "schemas": {**recorded["schemas"], "Error": _error_schema(sorted(ERROR_CODES, reverse=True))},
            "parameters": {"timestamp": TIMESTAMP, "recvWindow": RECV_WINDOW},
            "headers": {
                name: {"description": text, "schema": {"type": "integer", "minimum": 0}}
                for name, (_, text) in HEADERS.items()
            },
            "securitySchemes": {
                "apiKey": {"type": "apiKey", "in": "header", "name": "X-MBX-APIKEY"},
                "signature": {"type": "apiKey", "in": "query", "name": "signature"},
            },
        },
    }


@cache
def recorded_answers() -> dict[str, Any]:
    """{"schemas": {name: schema}, "answers": {"GET /api/v3/ping": schema}}, written from the tables that the tests hold
    against every answer of real clients.
    """
    text = (files("apps.gateway.openapi") / "answers.json").read_text()
    found: dict[str, Any] = json.loads(text)
    return found


@cache
def document_json() -> bytes:
    """Encoded once: it changes only with the program."""
    return msgspec.json.encode(build(registry.load()))


_SIGNED: Final[list[dict[str, Any]]] = [{"apiKey": [], "signature": []}]
_SCHEMES: Final[dict[Security, list[dict[str, Any]]]] = {
    Security.NONE: [],
    Security.USER_STREAM: [{"apiKey": []}],
    Security.USER_DATA: _SIGNED,
    Security.TRADE: _SIGNED,
}


def _operation(endpoint: Endpoint, answers: dict[str, Any]) -> dict[str, Any]:
    signed = endpoint.security in (Security.USER_DATA, Security.TRADE)
    parameters = [described(param, endpoint.path) for param in endpoint.params]
    if signed:
        parameters += [{"$ref": "#/components/parameters/timestamp"}, {"$ref": "#/components/parameters/recvWindow"}]
    operation: dict[str, Any] = {
        "operationId": _operation_id(endpoint),
        "tags": [section_of(endpoint)],
        "summary": summary(endpoint),
        "description": f"Weight: {weight_text(endpoint)}.",
        "parameters": parameters,
        "security": _SCHEMES[endpoint.security],
        "responses": _responses(endpoint, answers),
        "x-security": endpoint.security.value,
        "x-weight": endpoint.weight if isinstance(endpoint.weight, int) else weight_text(endpoint),
        "x-error-codes": codes_of(endpoint),
    }
    if endpoint.ws is not None:
        operation["x-websocket-method"] = endpoint.ws
    if endpoint.orders:
        operation["x-orders"] = endpoint.orders
    return operation


def _operation_id(endpoint: Endpoint) -> str:
    """Such as get_api_v3_ticker_24hr."""
    return f"{endpoint.method.lower()}{endpoint.path.replace('/', '_').replace('-', '_').replace('.', '_')}"


def _responses(endpoint: Endpoint, answers: dict[str, Any]) -> dict[str, Any]:
    headers = _headers(endpoint)
    schema = answers.get(name_of(endpoint), {})
    responses: dict[str, Any] = {
        "200": {"description": "Done", "headers": headers, "content": {JSON_TYPE: {"schema": schema}}}
    }
    for status, codes in by_status(codes_of(endpoint)).items():
        lines = "\n".join(f"- {number}: {ERROR_CODES[number].meaning}" for number in codes)
        shown = {**headers, "Retry-After": {"$ref": "#/components/headers/RetryAfter"}}
        responses[str(status)] = {
            "description": f"{HTTP_NAMES[status]}\n{lines}",
            "headers": shown if status in (418, 429, 503) else headers,
            "content": {JSON_TYPE: {"schema": _error_schema(codes)}},
        }
    return responses


def _headers(endpoint: Endpoint) -> dict[str, Any]:
    names = ["UsedSapiWeight"] if endpoint.path.startswith("/sapi/") else ["UsedWeight"]
    if endpoint.orders:
        names += ["OrderCount10s", "OrderCount1d"]
    if endpoint.security is Security.NONE:
        names.append("StaleSince")
    return {HEADERS[name][0]: {"$ref": f"#/components/headers/{name}"} for name in names}


def _error_schema(codes: list[int]) -> dict[str, Any]:
    """`data` is there where a request was half done."""
    properties: dict[str, Any] = {
        "code": {"type": "integer", "enum": codes},
        "msg": {"type": "string", "minLength": 1},
    }
    if -2021 in codes or -2022 in codes:
        properties["data"] = {"type": "object"}
    return {"type": "object", "required": ["code", "msg"], "properties": properties, "additionalProperties": False}
