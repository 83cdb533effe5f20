"""One REST request: read, route, authenticate, validate, answer. Always JSON, always a documented code."""

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

import msgspec
import structlog

from apps.common.clock import now_us
from apps.common.crashpoints import reach
from apps.gateway import errors, params, signature
from apps.gateway.asgi import Receive, Scope, Send, header
from apps.gateway.errors import ApiError
from apps.gateway.metrics import REQUESTS, SECONDS
from apps.gateway.policy import REQUEST_BODY_TIMEOUT_S, REQUEST_BYTES_MAX
from apps.gateway.registry import Call, Endpoint, Security

if TYPE_CHECKING:
    from apps.gateway.gateway import Gateway
    from apps.gateway.keys import Credential

log = structlog.get_logger("nebannpet.gateway.http")

FORM: Final = b"application/x-www-form-urlencoded"
JSON_HEADERS: Final = [
    (b"content-type", b"application/json;charset=UTF-8"),
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
]
encode: Final = msgspec.json.Encoder().encode


class ClientGone(Exception):
    """The client closed the connection before its request was complete."""


async def serve(gateway: "Gateway", scope: Scope, receive: Receive, send: Send) -> None:
    """Answer one request below a gateway prefix."""
    started_us = now_us()
    trading = False
    call: Call | None = None
    endpoint: Endpoint | None = None
    headers: list[tuple[bytes, bytes]] = []
    try:
        endpoint = _route(gateway, scope)
        trading = endpoint.security is Security.TRADE
        if not gateway.follower.started.is_set():
            raise errors.not_executed()
        query = scope["query_string"]
        if len(query) > REQUEST_BYTES_MAX:
            raise errors.request_too_large(REQUEST_BYTES_MAX)
        body = await _read_body(receive)
        call = await _admit(gateway, endpoint, scope, query, body, started_us)
        status, payload = 200, encode(await endpoint.handler(gateway, call))
    except ApiError as error:
        status, payload = error.status, encode(error.body())
        if error.retry_after_s is not None:
            headers.append((b"retry-after", str(error.retry_after_s).encode()))
    except ClientGone:
        return
    except Exception:  # the top of a request: the client gets a documented answer, the log the reason
        log.exception("a request failed", path=scope["path"])
        # A trading request may have appended its command before it failed, so nothing is promised.
        failure = errors.unknown_outcome() if trading else errors.unknown_error()
        status, payload = failure.status, encode({"code": failure.number, "msg": failure.message})
    headers += _used(gateway, scope, endpoint, call, started_us // 1000)
    name = f"{endpoint.method} {endpoint.path}" if endpoint is not None else "none"
    REQUESTS.labels(name, str(status)).inc()
    SECONDS.labels(name).observe((now_us() - started_us) / 1e6)
    if trading:
        reach("gateway.reply.before")
    await _answer(send, status, payload, headers, head=scope["method"] == "HEAD")
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


async def _admit(
    gateway: "Gateway", endpoint: Endpoint, scope: Scope, query: bytes, body: bytes, received_us: int
) -> Call:
    """Parse, authenticate, validate; in this order a caller without rights learns nothing about parameters."""
    if body:
        kind = header(scope, b"content-type")
        if endpoint.method == "GET" or (kind is not None and kind.split(b";")[0].strip().lower() != FORM):
            raise errors.body_not_a_form()
    sent = {**params.parse_pairs(body), **params.parse_pairs(query)}
    credential: Credential | None = None
    if endpoint.security is not Security.NONE:
        credential = await _authenticate(gateway, endpoint, scope, query, body, sent, received_us)
    return Call(
        endpoint=endpoint,
        values=params.read(endpoint.params, sent),
        credential=credential,
        received_ms=received_us // 1000,
    )


async def _authenticate(
    gateway: "Gateway", endpoint: Endpoint, scope: Scope, query: bytes, body: bytes, sent: dict[str, str],
    received_us: int,
) -> "Credential":  # fmt: skip
    raw_key = header(scope, b"x-mbx-apikey")
    if not raw_key:
        raise errors.key_malformed()
    credential = await gateway.credentials.find(raw_key.decode("latin-1"))
    if credential.revoked:
        raise errors.key_refused()
    sent_signature = sent.get("signature")
    if not sent_signature:
        raise errors.missing("signature")
    assert credential.secret is not None, "API keys have a secret"
    signature.verify(credential.secret, signature.signed_bytes(query, body), sent_signature)
    signature.check_time(sent.get("timestamp"), sent.get("recvWindow"), now_us=received_us)
    gateway.credentials.check(credential, endpoint)
    return credential


def address_of(scope: Scope) -> str:
    client = scope.get("client")
    return client[0] if client else ""


def _used(
    gateway: "Gateway", scope: Scope, endpoint: Endpoint | None, call: Call | None, now_ms: int
) -> Iterable[tuple[bytes, bytes]]:
    """What this address has used in this minute, this request included; a refused one counts 1."""
    weight = endpoint.weight_of(call.values) if endpoint is not None and call is not None else 1
    if scope["path"].startswith("/sapi/"):
        used = gateway.weights.add(address_of(scope), weight, now_ms, wallet=True)
        return [(b"x-sapi-used-ip-weight-1m", str(used).encode())]
    used_text = str(gateway.weights.add(address_of(scope), weight, now_ms)).encode()
    counts = call.headers if call is not None else []
    return [(b"x-mbx-used-weight", used_text), (b"x-mbx-used-weight-1m", used_text), *counts]


async def _answer(
    send: Send, status: int, payload: bytes, headers: list[tuple[bytes, bytes]], *, head: bool = False
) -> None:
    length = (b"content-length", str(len(payload)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [*JSON_HEADERS, length, *headers]})
    await send({"type": "http.response.body", "body": b"" if head else payload})
