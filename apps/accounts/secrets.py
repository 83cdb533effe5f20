"""Secrets of API keys and authenticator apps at rest (requirements A2, A5; threat-T6): boxes of apps/common/boxes.py,
bound to the public key or the user of their row.

No ORM here: the gateway calls `decrypt_secret` with a row it read through psycopg.
"""

from typing import Final

from apps.accounts.errors import SecretUnreadable
from apps.common.boxes import BoxClosed, UnknownBoxFormat, cipher, close_box, open_box
from nebannpet.masterkey import master_key

_KIND: Final = b"nebannpet api secrets, aes-256-gcm, v1"
_TOTP_KIND: Final = b"nebannpet totp secrets, aes-256-gcm, v1"


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


def seal_totp(user_id: int, secret: bytes) -> bytes:
    """The box to store for the secret of this user's authenticator app."""
    return close_box(cipher(master_key(), _TOTP_KIND), str(user_id).encode("ascii"), secret)


def open_totp(user_id: int, blob: bytes | bytearray | memoryview) -> bytes:
    """The secret. Raises SecretUnreadable; the message never carries key material."""
    try:
        return open_box(cipher(master_key(), _TOTP_KIND), str(user_id).encode("ascii"), blob)
    except (UnknownBoxFormat, BoxClosed) as error:
        raise SecretUnreadable(
            "The secret of this authenticator app does not open: CREDENTIALS_KEY is not the one it was made with, "
            "or the row was altered."
        ) from error
