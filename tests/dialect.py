"""A small signed client of the trading API for tests: it shares no code with the exchange.

Every answer comes back as (status, body); a connection that breaks is `Unknown`: the request may have been executed.
"""

import hashlib
import hmac
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode

import httpx

from tests.stack import Stack

AGAIN_S = 40.0
PAUSE_S = 0.1


class Unknown(Exception):
    """No answer: it is not known whether the request was executed."""


@dataclass(frozen=True, slots=True)
class Account:
    """What `manage.py demo_account` printed."""

    email: str
    password: str
    api_key: str
    api_secret: str
    account_id: int
    totp_secret: str = ""


def demo_account(stack: Stack, name: str, **funds: str) -> Account:
    """A funded account of the running exchange: demo_account(stack, "alice", BTC="2", USDT="1000")."""
    arguments = [f"{asset}={amount}" for asset, amount in funds.items()]
    return Account(**stack.demo_account(name, *(["--fund", *arguments] if arguments else [])))


class Dialect:
    """One account's REST client. `timeout_s` covers the whole request."""

    def __init__(self, base_url: str, account: Account | None = None, *, timeout_s: float = 40.0) -> None:
        self.account = account
        headers = {"X-MBX-APIKEY": account.api_key} if account else {}
        self._http = httpx.Client(base_url=base_url, headers=headers, timeout=timeout_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def public(self, path: str, **params: Any) -> Any:
        """Body of a public GET that must succeed."""
        answer = self._http.get(path, params=params)
        assert answer.status_code == 200, (path, answer.status_code, answer.text)
        return answer.json()

    def signed(self, method: str, path: str, **params: Any) -> tuple[int, Any]:
        """(status, body) of a signed request with its parameters in the query."""
        answer = self.answer(method, path, **params)
        return answer.status_code, answer.json()

    def answer(self, method: str, path: str, **params: Any) -> httpx.Response:
        """The whole answer of a signed request, headers and all."""
        query = urlencode({**params, "recvWindow": 60000, "timestamp": int(time.time() * 1000)})
        assert self.account is not None
        signature = hmac.new(self.account.api_secret.encode(), query.encode(), hashlib.sha256).hexdigest()
        try:
            return self._http.request(method, f"{path}?{query}&signature={signature}")
        except httpx.HTTPError as error:
            raise Unknown(str(error)) from error

    def answered(self, method: str, path: str, **params: Any) -> tuple[int, Any]:
        """The first answer but 503, which says that nothing was done and asks to try again, as on a busy machine."""
        deadline = time.monotonic() + AGAIN_S
        while (found := self.signed(method, path, **params))[0] == 503 and time.monotonic() < deadline:
            time.sleep(PAUSE_S)
        return found

    def ok(self, method: str, path: str, **params: Any) -> Any:
        """Body of a signed request that must succeed."""
        status, body = self.answered(method, path, **params)
        assert status == 200, (method, path, params, status, body)
        return body

    def order(self, **params: Any) -> Any:
        return self.ok("POST", "/api/v3/order", **params)

    def balances(self) -> dict[str, tuple[str, str]]:
        """{asset: (free, locked)} of every asset the account holds."""
        body = self.ok("GET", "/api/v3/account")
        held = {row["asset"]: (row["free"], row["locked"]) for row in body["balances"]}
        return {asset: pair for asset, pair in held.items() if pair != ("0.00000000", "0.00000000")}
