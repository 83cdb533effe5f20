"""What the dialect signs, and request time (clients.md section 3). Pure: the clock is a parameter."""

import re
from functools import lru_cache
from typing import Final

from apps.gateway import errors
from apps.gateway.policy import CLOCK_AHEAD_MAX_MS, MICROSECONDS_FROM, RECV_WINDOW_DEFAULT_MS, RECV_WINDOW_MAX_MS

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
