"""Secrets at rest: AES-256-GCM boxes that open only with their key and only in their own row.

Layout of a box: 1 byte format (1) | 12 bytes nonce | ciphertext | 16 bytes tag. What a box is bound to (the associated
data) names its row, so that a box moved to another row does not open. Each kind of secret has a key of its own: HKDF of
the master key with the kind's name.
"""

import os
from functools import lru_cache
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_FORMAT: Final = b"\x01"
_NONCE_BYTES: Final = 12
_TAG_BYTES: Final = 16

# Bytes that a box adds to its secret.
BOX_OVERHEAD: Final = len(_FORMAT) + _NONCE_BYTES + _TAG_BYTES


class UnknownBoxFormat(ValueError):
    """Too short, or written by another release."""


class BoxClosed(ValueError):
    """Another key, another row, or altered."""


@lru_cache(maxsize=8)
def cipher(master: bytes, info: bytes) -> AESGCM:
    """The cipher of one kind of secret: `master` is 32 random bytes, `info` names the kind."""
    return AESGCM(HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=info).derive(master))


def close_box(key: AESGCM, bound_to: bytes, secret: bytes) -> bytes:
    """A box with a new nonce each time."""
    nonce = os.urandom(_NONCE_BYTES)
    return _FORMAT + nonce + key.encrypt(nonce, secret, bound_to)


def open_box(key: AESGCM, bound_to: bytes, blob: bytes | bytearray | memoryview) -> bytes:
    """The secret. Raises UnknownBoxFormat or BoxClosed; neither carries key material."""
    box = bytes(blob)
    if len(box) < BOX_OVERHEAD or box[:1] != _FORMAT:
        raise UnknownBoxFormat
    try:
        return key.decrypt(box[1 : 1 + _NONCE_BYTES], box[1 + _NONCE_BYTES :], bound_to)
    except InvalidTag as error:
        raise BoxClosed from error
