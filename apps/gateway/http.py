"""One REST request: read, route, authenticate, validate, answer. Always JSON, always a documented code."""

import asyncio
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
import structlog

from apps.common.clock import now_us
from apps.common.crashpoints import reach
from apps.gateway import errors, params, signature, timeunit
from apps.gateway.asgi import Receive, Scope, Send, headers_of
from apps.gateway.errors import ApiError
from apps.gateway.httpprotocol import HTTP_PORT, HttpPort
from apps.gateway.limits.admission import check
from apps.gateway.metrics import count_request
from apps.gateway.policy import REQUEST_BODY_TIMEOUT_S, REQUEST_BYTES_MAX
from apps.gateway.registry import Call, Endpoint, Security

if TYPE_CHECKING:
    from apps.gateway.gateway import Gateway
    from apps.gateway.keys import Credential

log = structlog.get_logger("nebannpet.gateway.http")

TOO_SLOW: Final = 408
FORM: Final = b"application/x-www-form-urlencoded"
STALE_SINCE: Final = b"x-market-data-stale-since"
JSON_HEADERS: Final = [
    (b"content-type", b"application/json;charset=UTF-8"),
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
]
encode: Final = msgspec.json.Encoder().encode
Headers = list[tuple[bytes, bytes]]


def _lines(headers: Headers) -> bytes:
    return b"".join([b"%b: %b\r\n" % each for each in headers])


_HEADS: Final = {
    int(status): f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode("ascii") + _lines(JSON_HEADERS)
    for status in HTTPStatus
}


_NOTHING: Final[dict[str, Any]] = {}


class _Request(NamedTuple):
    """A request whose body is here. `headers`: those that came once."""

    endpoint: Endpoint
    scope: Scope
    headers: dict[bytes, bytes]
    body: bytes
    received_us: int


class ClientGone(Exception):
    """The client closed the connection before its request was complete."""


async def serve(gateway: "Gateway", scope: Scope, receive: Receive, send: Send) -> None:
    """Answer one request below a gateway prefix."""
    started_us = now_us()
    trading = False
    endpoint: Endpoint | None = None
    headers: Headers = []
    in_microseconds = False
    port: HttpPort | None = scope.get("extensions", _NOTHING).get(HTTP_PORT)
    try:
        call: Call | None = None
        credential: Credential | None = None
        refused: ApiError | None = None
        try:
            endpoint = _route(gateway, scope)
            sent_headers = headers_of(scope)
            in_microseconds = _asks_for_microseconds(scope, sent_headers)
            body = port.body() if port is not None else None
            if body is None:
                body = await _read_body(receive)
            request = _Request(endpoint, scope, sent_headers, body, started_us)
            sent, credential = await _read(gateway, request)
            values = endpoint.reader.read(sent)
            call = Call(endpoint=endpoint, values=values, credential=credential, received_ms=started_us // 1000)
        except ApiError as error:
            refused = error
        await _admit(gateway, scope, call, credential, started_us // 1000, headers)
        if call is None:
            assert refused is not None, "there is a call or a refusal"
            raise refused
        if credential is not None:
            credential.check_still(call.endpoint, address_of(scope))
        trading = call.endpoint.security is Security.TRADE
        answer = await call.endpoint.handler(gateway, call)
        status, payload = 200, encode(timeunit.in_microseconds(answer) if in_microseconds else answer)
        if call.endpoint.security is Security.NONE:
            stale_since_ms = gateway.public.age.stale_since_ms()
            if stale_since_ms is not None:
                headers.append((STALE_SINCE, str(stale_since_ms).encode()))
    except ApiError as error:
        shown = error.body()
        status, payload = error.status, encode(timeunit.in_microseconds(shown) if in_microseconds else shown)
        if error.retry_after_s is not None:
            headers.append((b"retry-after", str(error.retry_after_s).encode()))
        if status == HTTPStatus.METHOD_NOT_ALLOWED:
            headers.append((b"allow", _methods_of(gateway, scope["path"])))
        if status == TOO_SLOW and port is not None:
            port.end_after_answer()
    except ClientGone:
        return
    except Exception:  # the top of a request: the client gets a documented answer, the log the reason
        log.exception("a request failed", path=scope["path"])
        # A trading request may have appended its command before it failed, so nothing is promised.
        failure = errors.unknown_outcome() if trading else errors.unknown_error()
        status, payload = failure.status, encode({"code": failure.number, "msg": failure.message})
    name = f"{endpoint.method} {endpoint.path}" if endpoint is not None else "none"
    count_request(name, status, (now_us() - started_us) / 1e6)
    if trading:
        reach("gateway.reply.before")
    headers.append((b"content-length", str(len(payload)).encode()))
    if scope["method"] == "HEAD":
        payload = b""
    if port is None or not port.answer(_HEADS[status] + _lines(headers), payload):
        await send({"type": "http.response.start", "status": status, "headers": [*JSON_HEADERS, *headers]})
        await send({"type": "http.response.body", "body": payload})
    if trading:
        reach("gateway.reply.after")


def _route(gateway: "Gateway", scope: Scope) -> Endpoint:
    methods = gateway.registry.paths.get(scope["path"])
    if methods is None:
        raise errors.unknown_path()
    method = "GET" if scope["method"] == "HEAD" else scope["method"]
    endpoint = methods.get(method)
    if endpoint is None:
        raise errors.wrong_method()
    return endpoint


def _methods_of(gateway: "Gateway", path: str) -> bytes:
    methods = set(gateway.registry.paths[path])
    if "GET" in methods:
        methods.add("HEAD")
    return ", ".join(sorted(methods)).encode()


def _asks_for_microseconds(scope: Scope, headers: dict[bytes, bytes]) -> bool:
    unit = headers.get(timeunit.HEADER) if scope["path"].startswith("/api/") else None
    return unit is not None and timeunit.is_microseconds(unit.decode("latin-1"))


async def _read_body(receive: Receive) -> bytes:
    """The whole body; refused when it is too large or comes too slowly."""
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(REQUEST_BODY_TIMEOUT_S):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ClientGone
                part = message.get("body", b"")
                size += len(part)
                if size > REQUEST_BYTES_MAX:
                    raise errors.request_too_large(REQUEST_BYTES_MAX)
                parts.append(part)
                if not message.get("more_body", False):
                    return b"".join(parts)
    except TimeoutError as error:
        raise errors.request_too_slow() from error


async def _read(gateway: "Gateway", request: _Request) -> "tuple[dict[str, str], Credential | None]":
    """The parameters and who sent them. A caller without rights learns nothing about parameters: validate later."""
    if not gateway.follower.started.is_set():
        raise errors.not_executed()
    query, body = request.scope["query_string"], request.body
    if len(query) > REQUEST_BYTES_MAX or len(body) > REQUEST_BYTES_MAX:
        raise errors.request_too_large(REQUEST_BYTES_MAX)
    if body:
        kind = request.headers.get(b"content-type")
        if request.endpoint.method == "GET" or (kind is not None and kind.split(b";")[0].strip().lower() != FORM):
            raise errors.body_not_a_form()
    sent = params.parse_pairs(query)
    if body:
        sent = {**params.parse_pairs(body), **sent}
    credential: Credential | None = None
    if request.endpoint.security is not Security.NONE:
        credential = await _authenticate(gateway, request, sent)
    return sent, credential


async def _authenticate(gateway: "Gateway", request: _Request, sent: dict[str, str]) -> "Credential":
    raw_key = request.headers.get(b"x-mbx-apikey")
    if not raw_key:
        raise errors.key_malformed()
    key = raw_key.decode("latin-1")
    address = address_of(request.scope)
    gateway.limits.check_before_signature(address, knows_key=gateway.credentials.knows(key))
    credential = await gateway.credentials.find(key, address)
    sent_signature = sent.get("signature")
    if request.endpoint.security is Security.USER_STREAM and "signature" not in sent:
        gateway.credentials.last_uses.note(credential.id, request.received_us, address)
        gateway.credentials.check(credential, request.endpoint)
        return credential
    if not sent_signature:
        raise errors.missing("signature")
    assert credential.verifier is not None, "API keys can verify"
    signed = signature.signed_bytes(request.scope["query_string"], request.body)
    if not credential.verifier.matches(signed, sent_signature):
        raise errors.bad_signature()
    signature.check_time(sent.get("timestamp"), sent.get("recvWindow"), now_us=request.received_us)
    gateway.credentials.last_uses.note(credential.id, request.received_us, address)
    gateway.credentials.check(credential, request.endpoint)
    return credential


def address_of(scope: Scope) -> str:
    client = scope.get("client")
    return client[0] if client else ""


async def _admit(
    gateway: "Gateway", scope: Scope, call: Call | None, credential: "Credential | None", received_ms: int,
    headers: Headers,
) -> None:  # fmt: skip
    """Count the request and add the dialect's headers; 429 or 418 beyond a limit. One without a call counts 1.

    `credential`: whose limits hold, also for a request that is refused.
    """
    is_wallet = scope["path"].startswith("/sapi/")
    if call is None:
        orders, weight = None, 1
    else:
        orders, weight = call.endpoint.orders, call.endpoint.weight_of(call.values)
    usage = await gateway.limits.admit(
        address_of(scope), weight, is_wallet=is_wallet, credential=credential, orders=orders
    )
    used = str(usage.weight).encode()
    if is_wallet:
        headers.append((b"x-sapi-used-ip-weight-1m", used))
    else:
        headers += ((b"x-mbx-used-weight", used), (b"x-mbx-used-weight-1m", used))
    if orders:
        headers += (
            (b"x-mbx-order-count-10s", str(usage.orders_10_s).encode()),
            (b"x-mbx-order-count-1d", str(usage.orders_day).encode()),
        )
    check(usage, gateway.limits.tier(credential), call, is_wallet=is_wallet, at_ms=received_ms)
