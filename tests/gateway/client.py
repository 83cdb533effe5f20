"""A REST client that can also do everything wrong: it sends exactly the bytes it is told and signs what it is told.

Every answer it gets is held against the recorded field tables, refusals too.
"""

import hashlib
import hmac
import ssl
import time
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode

import httpx

from apps.accounts.services.demo import DemoAccount
from apps.gateway import timeunit
from tests.clients.fields.kinds import any_of, problems
from tests.clients.fields.tables import ERROR, LIMIT_ERROR, REPLACE_ERROR, REST
from tests.gateway.line import Line

FORM = {"content-type": "application/x-www-form-urlencoded"}
LIMIT = {"symbol": "BTCUSDT", "type": "LIMIT", "timeInForce": "GTC"}

AGAIN_S = 40.0
PAUSE_S = 0.1
# The gateway speaks plain HTTP here; without this each client reads the machine's certificates.
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


# Paths of one endpoint or another; the documents that the gateway serves have no table.
PATHS = frozenset(name.split(" ")[1] for name in REST)
REFUSAL = any_of(ERROR, REPLACE_ERROR, LIMIT_ERROR)


def hold_against_tables(answer: httpx.Response) -> None:
    """Raise where an answer of an endpoint does not fit its table."""
    request = answer.request
    unit = request.headers.get(timeunit.HEADER.decode(), "")
    if request.url.path not in PATHS or request.method == "HEAD" or timeunit.UNITS.get(unit, False):
        return
    answer.read()
    hold_against_table(request.method, request.url.path, answer.status_code, answer.json())


def hold_against_table(method: str, path: str, status: int, body: Any) -> None:
    """Raise where the JSON answer of this endpoint does not fit its table."""
    name = f"{method} {path}"
    faults = problems(REST[name] if status == 200 else REFUSAL, body)
    assert not faults, (name, status, faults)


class Client:
    """`tidy` cancels the account's open orders at the end, so that the next test finds empty books."""

    def __init__(self, base_url: str, account: DemoAccount | None = None, *, tidy: bool = True) -> None:
        self.account = account
        self.tidy = tidy
        self.http = httpx.Client(
            base_url=base_url, timeout=60, verify=NO_TLS, event_hooks={"response": [hold_against_tables]}
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.account is not None and self.tidy:
            for order in self.ok("GET", "/api/v3/openOrders"):
                self.answered("DELETE", "/api/v3/order", symbol=order["symbol"], orderId=order["orderId"])
        self.http.close()

    @property
    def me(self) -> DemoAccount:
        assert self.account is not None
        return self.account

    def sign(self, message: str) -> str:
        return hmac.new(self.me.api_secret.encode(), message.encode(), hashlib.sha256).hexdigest()

    def query(self, **params: Any) -> str:
        """A signed query string."""
        text = urlencode({"timestamp": int(time.time() * 1000), "recvWindow": 20000, **params})
        return f"{text}&signature={self.sign(text)}"

    def raw(self, method: str, target: str, body: bytes | None = None, **headers: str) -> httpx.Response:
        """`target` as it is; the key's header is added where there is an account."""
        return self.http.request(method, target, content=body, headers={**self.key_header, **headers})

    def line(self) -> Line:
        """A connection for many small requests."""
        return Line(str(self.http.base_url))

    @property
    def key_header(self) -> dict[str, str]:
        """Empty without an account."""
        return {"x-mbx-apikey": self.me.api_key} if self.account else {}

    def signed(self, method: str, path: str, **params: Any) -> httpx.Response:
        return self.raw(method, f"{path}?{self.query(**params)}")

    def answered(self, method: str, path: str, **params: Any) -> httpx.Response:
        """The first answer but 503, which says that nothing was done and asks to try again, as on a busy machine."""
        deadline = time.monotonic() + AGAIN_S
        while (answer := self.signed(method, path, **params)).status_code == 503 and time.monotonic() < deadline:
            time.sleep(PAUSE_S)
        return answer

    def ok(self, method: str, path: str, **params: Any) -> Any:
        """What a client does that means it."""
        answer = self.answered(method, path, **params)
        assert answer.status_code == 200, (method, path, params, answer.status_code, answer.text)
        return answer.json()

    def get(self, path: str, **params: Any) -> httpx.Response:
        return self.http.get(path, params=params)

    def refused(self, method: str, path: str, **params: Any) -> tuple[int, int, str]:
        """(HTTP status, code, text) of a refusal."""
        answer = self.answered(method, path, **params)
        body = answer.json()
        assert set(body) == {"code", "msg"}, body
        return answer.status_code, body["code"], body["msg"]

    # -- shorthand ----------------------------------------------------------------------------------------------------
    def limit(self, side: str, price: str, quantity: str, **more: Any) -> Any:
        return self.ok("POST", "/api/v3/order", **{**LIMIT, "side": side, "price": price, "quantity": quantity, **more})

    def market(self, side: str, **more: Any) -> Any:
        return self.ok("POST", "/api/v3/order", **{"symbol": "BTCUSDT", "type": "MARKET", "side": side, **more})

    def balances(self) -> dict[str, tuple[str, str]]:
        rows = self.ok("GET", "/api/v3/account", omitZeroBalances="true")["balances"]
        return {row["asset"]: (row["free"], row["locked"]) for row in rows}
