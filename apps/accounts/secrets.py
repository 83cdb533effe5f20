"""API secrets at rest: AES-256-GCM under a key that is not in the database (requirement A5, threat-T6).

Layout of a stored box: 1 byte format (1) | 12 bytes nonce | ciphertext | 16 bytes tag.
The associated data is the public key, so a box moved to another row does not open.
The AES key is HKDF-SHA256 of the setting CREDENTIALS_KEY (32 random bytes as hexadecimal digits). Production requires
it; in development, when it is empty, a random one is made once in `DATA_DIR/credentials.key`.

No ORM here: the gateway calls `decrypt_secret` with a row it read through psycopg.
"""

import os
import tempfile
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from apps.accounts.errors import SecretUnreadable

_FORMAT: Final = b"\x01"
_NONCE_BYTES: Final = 12
_TAG_BYTES: Final = 16
_MASTER_HEX_DIGITS: Final = 64
_HKDF_INFO: Final = b"nebannpet api secrets, aes-256-gcm, v1"

# Bytes that a box adds to its secret.
BOX_OVERHEAD: Final = len(_FORMAT) + _NONCE_BYTES + _TAG_BYTES


def encrypt_secret(public_key: str, secret: bytes) -> bytes:
    """The box to store for `secret`; a new nonce each time."""
    nonce = os.urandom(_NONCE_BYTES)
    return _FORMAT + nonce + _cipher().encrypt(nonce, secret, public_key.encode("ascii"))


def decrypt_secret(public_key: str, blob: bytes | bytearray | memoryview) -> bytes:
    """The secret as ASCII bytes, ready as an HMAC key.

    Raises SecretUnreadable; the message never carries key material.
    """
    box = bytes(blob)
    if len(box) < BOX_OVERHEAD or box[:1] != _FORMAT:
        raise SecretUnreadable("The stored secret of this API key has an unknown format.")
    nonce = box[1 : 1 + _NONCE_BYTES]
    try:
        return _cipher().decrypt(nonce, box[1 + _NONCE_BYTES :], public_key.encode("ascii"))
    except InvalidTag as error:
        raise SecretUnreadable(
            "The stored secret of this API key does not open: CREDENTIALS_KEY is not the one it was made with, "
            "or the row was altered."
        ) from error


def _cipher() -> AESGCM:
    return _cipher_for(settings.CREDENTIALS_KEY or _development_key(settings.DATA_DIR / "credentials.key"))


@lru_cache(maxsize=4)
def _cipher_for(master_hex: str) -> AESGCM:
    if len(master_hex) != _MASTER_HEX_DIGITS or not set(master_hex) <= set("0123456789abcdef"):
        raise ImproperlyConfigured(f"CREDENTIALS_KEY must be {_MASTER_HEX_DIGITS} lower-case hexadecimal digits.")
    derive = HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=_HKDF_INFO).derive
    return AESGCM(derive(bytes.fromhex(master_hex)))


@lru_cache(maxsize=4)
def _development_key(path: Path) -> str:
    """The key in `path`, made there if it is missing. Two processes that start together end up with one key."""
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=path.name) as file:  # readable by its owner only
            file.write(os.urandom(_MASTER_HEX_DIGITS // 2).hex().encode("ascii"))
            file.flush()
            os.fsync(file.fileno())
            # link() is atomic and never replaces: the second process keeps the first one's key.
            with suppress(FileExistsError):
                os.link(file.name, path)
    return path.read_text("ascii").strip()
