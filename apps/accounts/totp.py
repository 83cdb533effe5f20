"""Codes of authenticator apps (RFC 6238: SHA-1, 30 s, 6 digits, which all apps know). Pure: no database, no clock.

A secret is 20 random bytes; a step is the number of a period of 30 s since 1970.
"""

import base64
import hmac
import re
import secrets
from typing import Final
from urllib.parse import quote

from django_otp.oath import hotp

from apps.accounts.policy import TOTP_STEP_S, TOTP_STEPS_OFF_MAX

SECRET_BYTES: Final = 20  # RFC 4226, 4: as long as the hash
_CODE: Final = re.compile(r"[0-9]{6}")


def new_secret() -> bytes:
    return secrets.token_bytes(SECRET_BYTES)


def as_base32(secret: bytes) -> str:
    """The spelling that people type into apps; 20 bytes need no padding."""
    return base64.b32encode(secret).decode("ascii")


def provisioning_uri(secret: bytes, *, account: str, issuer: str) -> str:
    """What the QR code says (the Key URI format that all apps read)."""
    label = f"{quote(issuer)}:{quote(account, safe='@')}"
    return (
        f"otpauth://totp/{label}?secret={as_base32(secret)}&issuer={quote(issuer)}"
        f"&algorithm=SHA1&digits=6&period={TOTP_STEP_S}"
    )


def is_code(text: str) -> bool:
    """Six ASCII digits and nothing else: int() would take other digits, signs and spaces, too."""
    return _CODE.fullmatch(text) is not None


def code_at(secret: bytes, step: int) -> str:
    return f"{hotp(secret, step):06d}"


def step_at(now_s: float) -> int:
    return int(now_s) // TOTP_STEP_S


def matching_step(secret: bytes, code: str, *, now_s: float, after: int) -> int | None:
    """The step whose code this is, of those around now that come after step `after`; None without one.

    Steps up to `after` are used up, with all before them. `code` is one by `is_code`.
    """
    current = step_at(now_s)
    found = None
    for step in range(current - TOTP_STEPS_OFF_MAX, current + TOTP_STEPS_OFF_MAX + 1):
        if hmac.compare_digest(code_at(secret, step), code) and step > after and found is None:
            found = step
    return found
