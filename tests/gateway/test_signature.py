"""Signatures over raw bytes, and the rules of request time. No servers."""

import hashlib
import hmac

import pytest

from apps.accounts.keyproofs import HmacKey
from apps.gateway import signature
from apps.gateway.errors import ApiError

NOW_US = 1_700_000_000_000_000
NOW_MS = NOW_US // 1000
# The example of Binance's own documentation.
SECRET = b"NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"
KEY = HmacKey(SECRET)
QUERY = (
    b"symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1&recvWindow=5000&timestamp=1499827319559"
)
SIGNATURE = "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71"


def test_known_vector() -> None:
    assert KEY.matches(QUERY, SIGNATURE)
    assert KEY.matches(QUERY, SIGNATURE.upper())


def test_documented_vector_of_query_and_body() -> None:
    query, body = b"symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC", (
        b"quantity=1&price=0.1&recvWindow=5000&timestamp=1499827319559"
        b"&signature=0fd168b8ddb4876a0358a8d14d0c9f3da0e9b20c5d52b2a00fcf7d1c602f9a77"
    )  # fmt: skip
    signed = signature.signed_bytes(query, body)
    assert KEY.matches(signed, "0fd168b8ddb4876a0358a8d14d0c9f3da0e9b20c5d52b2a00fcf7d1c602f9a77")


@pytest.mark.parametrize("index", range(0, len(QUERY), 7))
def test_a_changed_byte_is_noticed(index: int) -> None:
    changed = QUERY[:index] + bytes([QUERY[index] ^ 1]) + QUERY[index + 1 :]
    assert not KEY.matches(changed, SIGNATURE)


@pytest.mark.parametrize("text", ["", "0", SIGNATURE[:-1], SIGNATURE + "0", "g" * 64, "\u0661" * 64, SIGNATURE + "\n"])
def test_no_hex_digest_is_no_signature(text: str) -> None:
    assert not KEY.matches(QUERY, text)


@pytest.mark.parametrize(
    ("raw", "rest"),
    [
        (b"a=1&signature=x", b"a=1"),
        (b"signature=x&a=1", b"a=1"),
        (b"a=1&signature=x&b=%20+", b"a=1&b=%20+"),
        (b"signature=x", b""),
        (b"", b""),
        (b"mysignature=x", b"mysignature=x"),
        (b"signature=x&a=1&signature=y", b"a=1"),
        (b"a=1&mysignature=x&signature=y", b"a=1&mysignature=x"),
    ],
)
def test_the_pair_is_cut_out_and_nothing_else_changes(raw: bytes, rest: bytes) -> None:
    assert signature.without_signature(raw) == rest


def test_raw_bytes_are_signed_not_meanings() -> None:
    """%31 and 1 mean the same value but are different texts."""
    digest = hmac.new(SECRET, b"a=%31", hashlib.sha256).hexdigest()
    assert KEY.matches(b"a=%31", digest)
    assert not KEY.matches(b"a=1", digest)


@pytest.mark.parametrize("timestamp", [NOW_MS, NOW_MS - 5000, NOW_MS + 999, NOW_US, NOW_US - 5_000_000])
def test_time_accepted(timestamp: int) -> None:
    signature.check_time(str(timestamp), None, now_us=NOW_US)


@pytest.mark.parametrize(
    ("timestamp", "window", "text"),
    [
        (NOW_MS - 5001, None, "Timestamp for this request is outside of the recvWindow."),
        (NOW_MS - 2, "1.999", "Timestamp for this request is outside of the recvWindow."),
        (NOW_MS + 1000, None, "Timestamp for this request was 1000ms ahead of the server's time."),
        (NOW_US + 1_000_000, None, "Timestamp for this request was 1000ms ahead of the server's time."),
        (NOW_MS // 1000, None, "Timestamp for this request is outside of the recvWindow."),
    ],
)
def test_time_refused(timestamp: int, window: str | None, text: str) -> None:
    with pytest.raises(ApiError, match=r"Timestamp") as refused:
        signature.check_time(str(timestamp), window, now_us=NOW_US)
    assert (refused.value.status, refused.value.number, refused.value.message) == (400, -1021, text)


@pytest.mark.parametrize("window", ["60000", "60000.000", "2.5", "0.001"])
def test_recv_window_with_up_to_three_decimals(window: str) -> None:
    signature.check_time(str(NOW_MS), window, now_us=NOW_US)


@pytest.mark.parametrize(
    ("timestamp", "window", "code"),
    [
        (None, None, -1102),
        ("", None, -1102),
        ("1e12", None, -1100),
        (str(NOW_MS), "60000.001", -1131),
        (str(NOW_MS), "", -1105),
    ],
)
def test_malformed_time(timestamp: str | None, window: str | None, code: int) -> None:
    with pytest.raises(ApiError) as refused:
        signature.check_time(timestamp, window, now_us=NOW_US)
    assert refused.value.number == code
