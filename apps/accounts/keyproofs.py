"""What an API key's owner can prove: by HMAC, Ed25519 or RSA (requirement A5). No ORM: the gateway uses it, too."""

import hmac
import re
from base64 import b64decode
from binascii import Error as Base64Error
from typing import Final, Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

HEX_DIGEST: Final = re.compile(r"[0-9a-fA-F]{64}", re.ASCII)


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
