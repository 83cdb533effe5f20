"""API secrets at rest (requirement A5, threat-T6): boxes of apps/common/boxes.py, bound to the public key of their row.

No ORM here: the gateway calls `decrypt_secret` with a row it read through psycopg.
"""

from typing import Final

from apps.accounts.errors import SecretUnreadable
from apps.common.boxes import BoxClosed, UnknownBoxFormat, cipher, close_box, open_box
from nebannpet.masterkey import master_key

_KIND: Final = b"nebannpet api secrets, aes-256-gcm, v1"


def encrypt_secret(public_key: str, secret: bytes) -> bytes:
    """The box to store for `secret`; a new nonce each time."""
    return close_box(cipher(master_key(), _KIND), public_key.encode("ascii"), secret)


def decrypt_secret(public_key: str, blob: bytes | bytearray | memoryview) -> bytes:
    """The secret as ASCII bytes, ready as an HMAC key.

    Raises SecretUnreadable; the message never carries key material.
    """
    try:
        return open_box(cipher(master_key(), _KIND), public_key.encode("ascii"), blob)
    except UnknownBoxFormat as error:
        raise SecretUnreadable("The stored secret of this API key has an unknown format.") from error
    except BoxClosed as error:
        raise SecretUnreadable(
            "The stored secret of this API key does not open: CREDENTIALS_KEY is not the one it was made with, "
            "or the row was altered."
        ) from error
