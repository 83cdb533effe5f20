"""An authenticator app for tests (RFC 6238), which shares no code with the exchange.

`fresh_code(secret)` gives each code of a secret once, as the exchange takes it once: up to two at once, since the code
of the next period works, too; then it waits.
"""

import base64
import hashlib
import hmac
import struct
import time

PERIOD_S = 30
_given: dict[str, int] = {}


def code_of(secret: str, period: int) -> str:
    """`secret` in base32; `period` is the number of 30 s since 1970."""
    digest = hmac.digest(base64.b32decode(secret), struct.pack(">Q", period), hashlib.sha1)
    start = digest[-1] & 15
    number = int.from_bytes(digest[start : start + 4]) & 0x7FFFFFFF
    return f"{number % 1_000_000:06d}"


def fresh_code(secret: str) -> str:
    """One that was not given before. Not the oldest that works: it may not work any more where it is typed."""
    period = max(int(time.time()) // PERIOD_S, _given.get(secret, 0) + 1)
    while period > int(time.time()) // PERIOD_S + 1:
        time.sleep(0.2)
    _given[secret] = period
    return code_of(secret, period)
