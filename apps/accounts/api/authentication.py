"""Who asks over the platform API: an API key that signs each request (threat-T7), or the session of a browser (T14).

A signed request carries X-API-Key, X-API-Timestamp (milliseconds since 1970) and X-API-Signature: of the five lines
that `signed_text` makes, by the key's secret (HMAC-SHA-256, hexadecimal) or its private part (Ed25519, RSA; base64).
"""

import hashlib
import re
import time
from typing import Any, Final

import structlog
from django.conf import settings
from django.db import connection
from django.http import HttpRequest, HttpResponse
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework import authentication
from rest_framework.request import Request

from apps.accounts.credentials import LAST_USES_SQL
from apps.accounts.errors import SecretUnreadable
from apps.accounts.keynetworks import is_within, networks_of
from apps.accounts.keyproofs import HmacKey, Verifier, public_key
from apps.accounts.models import ApiKey, User
from apps.accounts.models.keys import in_use
from apps.accounts.policy import ADDRESS_LENGTH_MAX, API_KEY_HEADER, API_KEY_USE_TOLD_S
from apps.accounts.secrets import decrypt_secret
from apps.audit.actors import API_KEY_ATTRIBUTE
from apps.web.api.access import Caller
from apps.web.api.policy import CLOCK_OFF_MAX_MS
from apps.web.api.problems import Refused
from apps.web.api.replays import use_once
from apps.web.turns import take_turn
from apps.web.visitor import client_address

log = structlog.get_logger("nebannpet.platformapi")
KEY: Final = API_KEY_HEADER
TIMESTAMP: Final = "X-API-Timestamp"
SIGNATURE: Final = "X-API-Signature"
_MILLISECONDS: Final = re.compile(r"[1-9]\d{12}", re.ASCII)
_REFUSED: Final = "The API key, its signature or the address that it came from is not right."
_SAFE: Final = ("GET", "HEAD")


class KeyAuthentication(authentication.BaseAuthentication):
    """Of requests with X-API-Key; a session that they have, too, counts for nothing."""

    def authenticate(self, request: Request) -> tuple[User, Caller] | None:
        name = request.headers.get(KEY)
        if name is None:
            return None
        timestamp = _timestamp(request.headers.get(TIMESTAMP, ""))
        key = ApiKey.objects.select_related("account__owner").filter(in_use(), public_key=name).first()
        owner = None if key is None else key.account.owner
        text = signed_text(
            timestamp=timestamp,
            method=request.method or "",
            path=request._request.path,
            query=request.META.get("QUERY_STRING", ""),
            body=request._request.body,
        )
        if (
            key is None
            or owner is None
            or not owner.is_active
            or owner.locked_at is not None
            or not _verifier(key).matches(text, request.headers.get(SIGNATURE, ""))
            or not is_within(client_address(request._request), networks_of(key.allowed_networks))
        ):
            # One answer for all of them: it tells nobody which keys there are, or from where they work.
            raise Refused("KEY_REFUSED", _REFUSED)
        mark = hashlib.sha256(key.public_key.encode("ascii") + b"\n" + text).hexdigest()
        changes_something = request.method not in _SAFE
        use_once(mark, changes_something=changes_something)
        if (
            changes_something
            and take_turn(request._request, owner.pk)
            and not ApiKey.objects.filter(in_use(), pk=key.pk).exists()
        ):
            raise Refused("KEY_REFUSED", _REFUSED)
        _note_use(key, client_address(request._request))
        setattr(request._request, API_KEY_ATTRIBUTE, key.public_key)
        return owner, Caller(
            user_id=owner.pk,
            key_account_id=key.account_id,
            is_master=key.account.is_main,
            can_read=key.can_read,
            can_trade=key.can_trade,
        )


class SessionAuthentication(authentication.SessionAuthentication):
    """Of a browser that is logged in; what changes something needs the CSRF token in X-CSRFToken."""

    def authenticate(self, request: Request) -> tuple[Any, Any] | None:
        found = super().authenticate(request)
        if found is None or found[0].locked_at is not None:
            return None
        return found[0], Caller(user_id=found[0].pk)

    def enforce_csrf(self, request: Any) -> None:
        check = authentication.CSRFCheck(_no_answer)
        check.process_request(request)
        if check.process_view(request, _no_answer, (), {}) is not None:
            raise Refused("CSRF_FAILED", "Send the CSRF token of a page of this site in X-CSRFToken.")


class KeyScheme(OpenApiAuthenticationExtension):
    target_class = KeyAuthentication
    name = "signature"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return {
            "type": "apiKey",
            "in": "header",
            "name": KEY,
            "description": f"Together with {TIMESTAMP} and {SIGNATURE}.",
        }


class SessionScheme(OpenApiAuthenticationExtension):
    target_class = SessionAuthentication
    name = "session"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return {
            "type": "apiKey",
            "in": "cookie",
            "name": settings.SESSION_COOKIE_NAME,
            "description": "What changes something also carries the CSRF token in X-CSRFToken.",
        }


def user_of(request: Request) -> User:
    """Of a request that DeclaredAccess has let through, where that is not PUBLIC."""
    assert isinstance(request.user, User), "the view declares PUBLIC"
    return request.user


def _no_answer(_: HttpRequest) -> HttpResponse:
    """The middleware is asked for its opinion alone."""
    raise AssertionError("nothing comes behind the check")


def signed_text(*, timestamp: str, method: str, path: str, query: str, body: bytes) -> bytes:
    """Time, method, path, the query's pairs as sent in the order of their bytes, SHA-256 of the body in hexadecimal.

    Joined by line feeds. The path, which is decoded, is the only one that can hold any, and the others have none: so no
    two requests have one text.
    """
    pairs = "&".join(sorted(pair for pair in query.split("&") if pair))
    lines = (timestamp, method, path, pairs, hashlib.sha256(body).hexdigest())
    return "\n".join(lines).encode("utf-8", "surrogateescape")


def _timestamp(text: str) -> str:
    now_ms = time.time_ns() // 1_000_000
    if _MILLISECONDS.fullmatch(text) is None:
        raise Refused("TIMESTAMP_OFF", f"Send {TIMESTAMP}: milliseconds since 1970, such as {now_ms}.")
    if abs(now_ms - int(text)) > CLOCK_OFF_MAX_MS:
        raise Refused(
            "TIMESTAMP_OFF", f"{TIMESTAMP} is more than {CLOCK_OFF_MAX_MS} ms from the time here, {now_ms}."
        )  # fmt: skip
    return text


def _note_use(key: ApiKey, address: str) -> None:
    """For its owner, at most once in API_KEY_USE_TOLD_S; waits for nobody."""
    now_us = time.time_ns() // 1_000
    last = key.last_used_at
    if last is not None and now_us - int(last.timestamp()) * 1_000_000 < API_KEY_USE_TOLD_S * 1_000_000:
        return
    with connection.cursor() as cursor:
        cursor.execute(LAST_USES_SQL, [[key.pk], [now_us], [address[:ADDRESS_LENGTH_MAX]]])


def _verifier(key: ApiKey) -> Verifier:
    """Raises Refused where the secret that is kept cannot be read, which is ours to mend."""
    if key.kind == ApiKey.Kind.HMAC:
        try:
            return HmacKey(decrypt_secret(key.public_key, key.secret_box))
        except SecretUnreadable as error:
            log.error("an API key cannot be used", key_id=key.pk, error=error.message)
            raise Refused("KEY_REFUSED", _REFUSED) from error
    return public_key(bytes(key.verify_key))
