"""A software authenticator (Web Authentication level 3, section 6), which shares no code with the exchange: it makes
passkeys and signs with them, rightly or with one thing wrong.

Each passkey is a P-256 key; its counter goes up by one with each use.
"""

import base64
import hashlib
import json
import secrets
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

RP_ID, ORIGIN = "localhost", "http://localhost:8000"
PRESENT, VERIFIED, ATTESTED = 0x01, 0x04, 0x40


def text_of(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def bytes_of(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@dataclass
class Passkey:
    """What a browser would send, as JSON text, for the options that the site gave."""

    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    credential_id: bytes = field(default_factory=lambda: secrets.token_bytes(16))
    user_handle: bytes = b""
    counter: int = 0

    def made(self, options: Mapping[str, Any], *, flags: int = PRESENT | VERIFIED, **wrong: Any) -> str:
        """navigator.credentials.create. `wrong`: origin, rp_id, type, challenge."""
        self.user_handle = bytes_of(options["user"]["id"])
        numbers = self.key.public_key().public_numbers()
        cose = {1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32), -3: numbers.y.to_bytes(32)}
        attested = bytes(16) + struct.pack(">H", len(self.credential_id)) + self.credential_id + cbor2.dumps(cose)
        known = self._known(wrong.get("rp_id", RP_ID), flags | ATTESTED) + attested
        return self._answer(
            {
                "clientDataJSON": text_of(_client_data("webauthn.create", options, wrong)),
                "attestationObject": text_of(cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": known})),
                "transports": ["internal"],
            }
        )

    def shown(self, options: Mapping[str, Any], *, flags: int = PRESENT | VERIFIED, step: int = 1, **wrong: Any) -> str:
        """navigator.credentials.get. `wrong`: origin, rp_id, type, challenge, handle, and signed, what is signed."""
        self.counter += step
        client_data = _client_data("webauthn.get", options, wrong)
        known = self._known(wrong.get("rp_id", RP_ID), flags)
        signed = wrong.get("signed", known + hashlib.sha256(client_data).digest())
        response = {
            "clientDataJSON": text_of(client_data),
            "authenticatorData": text_of(known),
            "signature": text_of(self.key.sign(signed, ec.ECDSA(hashes.SHA256()))),
        }
        if handle := wrong.get("handle", self.user_handle):
            response["userHandle"] = text_of(handle)
        return self._answer(response)

    def _known(self, rp_id: str, flags: int) -> bytes:
        return hashlib.sha256(rp_id.encode()).digest() + bytes([flags]) + struct.pack(">I", self.counter)

    def _answer(self, response: dict[str, Any]) -> str:
        name = text_of(self.credential_id)
        return json.dumps({"id": name, "rawId": name, "type": "public-key", "response": response})


def _client_data(kind: str, options: Mapping[str, Any], wrong: Mapping[str, Any]) -> bytes:
    data = {"type": kind, "challenge": options["challenge"], "origin": ORIGIN, "crossOrigin": False}
    return json.dumps(data | {name: wrong[name] for name in ("type", "challenge", "origin") if name in wrong}).encode()
