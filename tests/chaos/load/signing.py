"""Signed requests of a client, over REST and over the WebSocket API; written from the dialect, not from the gateway."""

import hashlib
import hmac
import time
from typing import Any
from urllib.parse import urlencode

from tests.dialect import Account

RECV_WINDOW_MS = 60_000


def signed_query(account: Account, params: dict[str, Any]) -> str:
    query = urlencode({**params, "recvWindow": RECV_WINDOW_MS, "timestamp": int(time.time() * 1000)})
    signature = hmac.new(account.api_secret.encode(), query.encode(), hashlib.sha256).hexdigest()
    return f"{query}&signature={signature}"


def signed_params(account: Account, params: dict[str, Any]) -> dict[str, Any]:
    """For the WebSocket API: parameters sorted by name are what is signed."""
    full = {**params, "apiKey": account.api_key, "recvWindow": RECV_WINDOW_MS, "timestamp": int(time.time() * 1000)}
    message = "&".join(f"{name}={full[name]}" for name in sorted(full))
    return full | {"signature": hmac.new(account.api_secret.encode(), message.encode(), hashlib.sha256).hexdigest()}
