"""Requests as bytes, made and signed beforehand, for the closed loop (closed_client.py).

They look like those of real clients: the headers of python-requests, the parameters and the client order ids of ccxt.
"""

import base64
import hmac
import json
import time
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import urlencode

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.dialect import Account
from tests.stack import Stack

SYMBOL: Final = "BTCUSDT"
QUANTITY: Final = "0.001"
RECV_WINDOW_MS: Final = 60_000
HEADERS: Final = (
    b"Host: localhost\r\nUser-Agent: python-requests/2.34.2\r\nAccept-Encoding: gzip, deflate\r\nAccept: */*\r\n"
    b"Connection: keep-alive\r\n"
)
FORM: Final = b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\nX-MBX-APIKEY: %b\r\n\r\n%b"
HANDSHAKE: Final = (
    b"GET %b HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
REGISTER: Final = """
from apps.accounts.keyterms import KeyTerms
from apps.accounts.services.keyissue import issue_public_key
for account_id in {accounts}:
    terms = KeyTerms(label="bench", can_read=True, can_trade=True)
    key = issue_public_key(account_id=account_id, pem={pem!r}, terms=terms)
    print("key", key.public_key)
"""


def get(path: str) -> bytes:
    return b"GET %b HTTP/1.1\r\n%b\r\n" % (path.encode(), HEADERS)


def _terms(side: str, price: str, client_id: str) -> dict[str, Any]:
    return {
        "symbol": SYMBOL, "side": side, "type": "LIMIT", "timeInForce": "GTC", "quantity": QUANTITY, "price": price,
        "newClientOrderId": client_id, "newOrderRespType": "FULL", "recvWindow": RECV_WINDOW_MS,
        "timestamp": time.time_ns() // 1_000_000,
    }  # fmt: skip


def orders(accounts: Sequence[Account], count: int, price: str, tag: str) -> list[bytes]:
    """Signed orders at one price, so that every other one trades; even accounts sell, odd ones buy."""
    found = []
    for number in range(count):
        account = accounts[number % len(accounts)]
        side = "BUY" if number % 2 else "SELL"
        form = urlencode(_terms(side, price, f"x-TKT5PX2F{tag}{number:010}"))
        signature = hmac.digest(account.api_secret.encode(), form.encode(), "sha256").hex()
        body = f"{form}&signature={signature}".encode()
        found.append(
            b"POST /api/v3/order HTTP/1.1\r\n" + HEADERS + FORM % (len(body), account.api_key.encode(), body)
        )  # fmt: skip
    return found


def frame(text: str) -> bytes:
    """One text message of a client. Its mask is zero, which leaves the payload as it is."""
    payload = text.encode()
    length = bytes((0x80 | len(payload),)) if len(payload) < 126 else b"\xfe" + len(payload).to_bytes(2, "big")
    return b"\x81" + length + bytes(4) + payload


class Sessions:
    """WebSocket API sessions of several accounts by one Ed25519 key each."""

    def __init__(self, stack: Stack, accounts: Sequence[Account]) -> None:
        self._private = Ed25519PrivateKey.generate()
        pem = self._private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        text = REGISTER.format(accounts=[account.account_id for account in accounts], pem=pem)
        lines = stack.manage("shell", "-v", "0", "-c", text).splitlines()
        self._keys = [line.removeprefix("key ") for line in lines if line.startswith("key ")]

    def lanes(self, connections: int, window: int, count: int, price: str, tag: str) -> list[dict[str, Any]]:
        """Unsigned orders after a log-on, `count` in all; even accounts sell, odd ones buy."""
        each = count // len(self._keys)
        return [
            lane(
                connections // len(self._keys),
                [
                    frame(json.dumps({
                        "id": number, "method": "order.place",
                        "params": _terms("BUY" if place % 2 else "SELL", price, f"x-TKT5PX2F{tag}{place}{number:010}"),
                    }, separators=(",", ":")))
                    for number in range(each)
                ],
                opening=[HANDSHAKE % b"/ws-api/v3", self._log_on(key)], window=window,
            )
            for place, key in enumerate(self._keys)
        ]  # fmt: skip

    def _log_on(self, key: str) -> bytes:
        params = {"apiKey": key, "recvWindow": RECV_WINDOW_MS, "timestamp": time.time_ns() // 1_000_000}
        text = "&".join(f"{name}={value}" for name, value in sorted(params.items()))
        signature = base64.b64encode(self._private.sign(text.encode())).decode()
        return frame(json.dumps({"id": 0, "method": "session.logon", "params": {**params, "signature": signature}}))


def lane(
    connections: int, messages: list[bytes], *, opening: Sequence[bytes] = (), window: int = 1
) -> dict[str, Any]:  # fmt: skip
    """One lane of the closed loop's plan."""
    return {
        "connections": connections,
        "opening": [base64.b64encode(each).decode() for each in opening],
        "messages": [base64.b64encode(each).decode() for each in messages],
        "window": window,
    }
