"""Signatures of an API key, as a client makes them: HMAC-SHA-256 in hex, or Ed25519 in base64."""

import hmac
from base64 import b64encode
from typing import Final
from urllib.parse import quote

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from apps.gateway.loadgen.plan import ApiKeyPair, PlanError

PEM: Final = "-----BEGIN"


class Signer:
    """`may_log_on`: the key's kind is taken by session.logon."""

    def __init__(self, pair: ApiKeyPair) -> None:
        self.key = pair.key
        self._private: Ed25519PrivateKey | None = None
        self._secret = pair.secret.encode()
        if pair.secret.lstrip().startswith(PEM):
            try:
                private = load_pem_private_key(self._secret, password=None)
            except (ValueError, TypeError) as error:
                raise PlanError(f"The private key of API key {pair.key[:8]}... cannot be read: {error}.") from error
            if not isinstance(private, Ed25519PrivateKey):
                raise PlanError(f"The private key of API key {pair.key[:8]}... is not an Ed25519 key.")
            self._private = private

    @property
    def may_log_on(self) -> bool:
        return self._private is not None

    def sign(self, message: bytes) -> str:
        if self._private is not None:
            return b64encode(self._private.sign(message)).decode()
        return hmac.digest(self._secret, message, "sha256").hex()

    def query(self, text: str) -> str:
        """A query string with its signature."""
        return f"{text}&signature={quote(self.sign(text.encode()), safe='')}"

    def params(self, sent: dict[str, str]) -> dict[str, str]:
        """Parameters of a WebSocket API request with key and signature; values are plain ASCII."""
        signed = {**sent, "apiKey": self.key}
        text = "&".join(f"{name}={signed[name]}" for name in sorted(signed))
        return {**signed, "signature": self.sign(text.encode())}
