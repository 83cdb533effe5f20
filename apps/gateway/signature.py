"""Signatures and request time (clients.md section 3). Pure: the clock is a parameter."""

import hmac
import re
from base64 import b64decode
from binascii import Error as Base64Error
from functools import lru_cache
from typing import Final, Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from apps.gateway import errors
from apps.gateway.policy import CLOCK_AHEAD_MAX_MS, MICROSECONDS_FROM, RECV_WINDOW_DEFAULT_MS, RECV_WINDOW_MAX_MS

HEX_DIGEST: Final = re.compile(r"[0-9a-fA-F]{64}", re.ASCII)
TIMESTAMP: Final = re.compile(r"[1-9]\d{0,15}", re.ASCII)
RECV_WINDOW: Final = re.compile(r"(0|[1-9]\d{0,9})(?:\.(\d{1,3}))?", re.ASCII)


def without_signature(raw: bytes) -> bytes:
    """`raw` (a query string or form body) without its `signature=...` pair; every other byte as received."""
    if b"signature=" not in raw:
        return raw
    signed, separator, value = raw.rpartition(b"&signature=")
    if separator and b"&" not in value and b"signature=" not in signed:
        # As the last pair, where every client known to us puts it.
        return signed
    return b"&".join(pair for pair in raw.split(b"&") if not pair.startswith(b"signature="))


def signed_bytes(query: bytes, body: bytes) -> bytes:
    """What the client signed: raw query and raw body with nothing between them, never re-encoded."""
    return without_signature(query) + without_signature(body)


class Verifier(Protocol):
    """What a key's owner can prove."""

    def matches(self, message: bytes, signature: str) -> bool:
        """Whether the owner of the key signed `message`."""


class HmacKey:
    """HMAC-SHA-256 in hex of either case."""

    __slots__ = ("_keyed",)

    def __init__(self, secret: bytes) -> None:
        self._keyed = hmac.new(secret, digestmod="sha256")

    def matches(self, message: bytes, signature: str) -> bool:
        if HEX_DIGEST.fullmatch(signature) is None:
            return False
        # A copy of the keyed state takes half as long as hmac.digest, which sets the algorithm up each time.
        mine = self._keyed.copy()
        mine.update(message)
        return hmac.compare_digest(mine.hexdigest(), signature.lower())


class Ed25519Key:
    """Ed25519 in base64."""

    __slots__ = ("_key",)

    def __init__(self, key: Ed25519PublicKey) -> None:
        self._key = key

    def matches(self, message: bytes, signature: str) -> bool:
        raw = _base64(signature)
        if raw is None:
            return False
        try:
            self._key.verify(raw, message)
        except InvalidSignature:
            return False
        return True


class RsaKey:
    """RSASSA-PKCS1-v1_5 with SHA-256 in base64."""

    __slots__ = ("_key",)

    def __init__(self, key: RSAPublicKey) -> None:
        self._key = key

    def matches(self, message: bytes, signature: str) -> bool:
        raw = _base64(signature)
        if raw is None:
            return False
        try:
            self._key.verify(raw, message, PKCS1v15(), SHA256())
        except InvalidSignature:
            return False
        return True


def public_key(der: bytes) -> Verifier:
    """The verifier of a stored public key."""
    key = load_der_public_key(der)
    if isinstance(key, Ed25519PublicKey):
        return Ed25519Key(key)
    assert isinstance(key, RSAPublicKey), "no other kind is ever stored"
    return RsaKey(key)


def _base64(text: str) -> bytes | None:
    """Strict, except that a plus sign which a client did not encode has become a space on the way."""
    try:
        return b64decode(text.replace(" ", "+"), validate=True)
    except (Base64Error, ValueError):
        return None


def check_time(timestamp: str | None, recv_window: str | None, *, now_us: int) -> None:
    """Raise unless timestamp < now + 1000 ms and now - timestamp <= recvWindow. ms or µs, told apart by size."""
    if timestamp is None or timestamp == "":
        raise errors.missing("timestamp")
    if TIMESTAMP.fullmatch(timestamp) is None:
        raise errors.illegal_characters("timestamp", r"^[0-9]{1,16}$")
    sent = int(timestamp)
    sent_us = sent if sent >= MICROSECONDS_FROM else sent * 1000
    window_us = RECV_WINDOW_DEFAULT_MS * 1000 if recv_window is None else recv_window_us(recv_window)
    if sent_us >= now_us + CLOCK_AHEAD_MAX_MS * 1000:
        raise errors.too_early()
    if now_us - sent_us > window_us:
        raise errors.too_late()


@lru_cache(maxsize=256)
def recv_window_us(text: str) -> int:
    """Microseconds of a recvWindow in milliseconds with up to three decimals; at most 60000."""
    if text == "":
        raise errors.empty("recvWindow")
    match = RECV_WINDOW.fullmatch(text)
    if match is None:
        raise errors.illegal_characters("recvWindow", r"^([0-9]{1,10})(\.[0-9]{1,3})?$")
    window_us = int(match.group(1)) * 1000 + int((match.group(2) or "").ljust(3, "0"))
    if window_us > RECV_WINDOW_MAX_MS * 1000:
        raise errors.recv_window_too_large()
    return window_us
