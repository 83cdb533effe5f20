"""Does each feature of a running exchange work right now? One method a column of tests/flows/isolation.py.

`prepare` opens sockets and places what is needed while all is well; `probe` tries every feature, those that do not
depend on each other at the same time, and says what came of it. No feature may take longer than the limits below:
a refusal that comes late is a `Surprise`, as is any answer that no cell of the table can be.
"""

import contextlib
import hashlib
import hmac
import itertools
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from types import TracebackType
from typing import Any, Final, LiteralString, Self

import httpx
import psycopg
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from tests.dialect import Account, Dialect, Unknown, demo_account
from tests.flows.isolation import Outcome
from tests.gateway.sockets import Socket
from tests.stack import BASE_DIR, Stack

SYMBOL: Final = "BTCUSDT"
ORDER: Final = "/api/v3/order"
# Who stays logged in on the site; and who logs in each time: a user has 20 sessions, and a new one ends the oldest.
PERSON: Final = "isolation@people.example.org"
NEWCOMER: Final = "isolation-again@people.example.org"
PASSWORD: Final = "isolation-tests-only"
# "At once": the exchange's own limits are 0.5 to 2 s, and the machine of the tests may be slow.
REFUSED_WITHIN_S: Final = 3.0
# A refusal may be late where the machine stands still in between, but not so many times in a row.
LATE_TIMES: Final = 3
# How long something new may take to arrive, and how long it is looked for where the table says that it does not come.
ARRIVES_WITHIN_S: Final = 30.0
ABSENT_FOR_S: Final = 1.0
# Past the limit above, so that a slow answer is seen as slow and not as a time-out of the test.
REQUEST_TIMEOUT_S: Final = 15.0
POLL_S: Final = 0.05
# What is found by waiting in vain.
ABSENT: Final = (Outcome.STALE, Outcome.QUIET, Outcome.QUEUED)


class Surprise(Exception):
    """What no cell of the table can be; the text says what happened."""


class Probes:
    """Two traders, one session on the site and one depositor, for as many rounds of prepare and probe as needed."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._prices = (Decimal("40000") + Decimal(n) / 100 for n in itertools.count())
        self._deposits = itertools.count(1)
        self._round_traded = False
        self._resting: list[int] = []
        self._newest_price = ""
        self.queued: list[str] = []
        self.queued_mails: list[str] = []
        self._open_clients = contextlib.ExitStack()

    def __enter__(self) -> Self:
        self.alice = demo_account(self._stack, "isolation-alice", BTC="50", USDT="5000000")
        self.bob = demo_account(self._stack, "isolation-bob", USDT="5000000")
        enter = self._open_clients.enter_context
        self._clients = [enter(self._client(account)) for account in (self.alice, self.bob)]
        self._public = enter(httpx.Client(base_url=self._stack.base_url, timeout=REQUEST_TIMEOUT_S))
        self._session = enter(httpx.Client(base_url=self._stack.base_url, timeout=REQUEST_TIMEOUT_S))
        self._depositor = subprocess.Popen(
            [sys.executable, "-m", "tests.flows.depositor"],
            cwd=BASE_DIR, env=self._stack.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self._depositor_lock = threading.Lock()
        for person in (PERSON, NEWCOMER):
            assert self._asked(f"person {person} {PASSWORD}")[:1] == ["queued"]
        self._log_in(self._session, PERSON)
        made = self._platform("POST", "/accounts", '{"label": "isolation"}')
        assert made.status_code == 201, made.text
        self._sub_account_id = int(made.json()["id"])
        self._sockets: list[Socket] = []
        self._pool = ThreadPoolExecutor(16, "probe")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown()
        self._close_sockets()
        self._open_clients.close()
        assert self._depositor.stdin is not None
        self._depositor.stdin.close()
        self._depositor.wait(timeout=60)

    def _client(self, account: Account) -> Dialect:
        return Dialect(self._stack.base_url, account, timeout_s=REQUEST_TIMEOUT_S)

    def _close_sockets(self) -> None:
        while self._sockets:
            self._sockets.pop().connection.close()

    # -- while all is well --------------------------------------------------------------------------------------------
    def prepare(self) -> None:
        """Empty our books, rest two orders, open the streams. Raises whatever does not work."""
        self._close_sockets()
        self._clients[0].signed("DELETE", "/api/v3/openOrders", symbol=SYMBOL)
        self._newest_price = self._next_price()
        self._resting = [self._rest(self._newest_price) for _ in range(2)]
        self._stream = self._open(f"/ws/{SYMBOL.lower()}@trade")
        self._user = self._open("/ws-api/v3")
        answer = self._subscribe(self._user, self.alice)
        assert answer["status"] == 200, answer
        self._trades_before = self._trades_today()

    def _next_price(self) -> str:
        return f"{next(self._prices):.2f}"

    def _rest(self, price: str) -> int:
        placed = self._clients[0].ok("POST", ORDER, **_limit("BUY", price), timeInForce="GTC")
        return int(placed["orderId"])

    def _open(self, path: str) -> Socket:
        socket = Socket(self._stack.ws_url + path)
        self._sockets.append(socket)
        return socket

    def _subscribe(self, socket: Socket, account: Account) -> Any:
        params: dict[str, Any] = {"apiKey": account.api_key, "timestamp": int(time.time() * 1000)}
        text = "&".join(f"{name}={params[name]}" for name in sorted(params))
        signature = hmac.new(account.api_secret.encode(), text.encode(), hashlib.sha256).hexdigest()
        return socket.ask_once("userDataStream.subscribe.signature", **params, signature=signature)

    def _trades_today(self) -> int:
        answer = self._public.get("/api/v3/klines", params={"symbol": SYMBOL, "interval": "1d", "limit": 2})
        answer.raise_for_status()
        return sum(bar[8] for bar in answer.json())

    def wait_until_trading_stopped(self) -> None:
        """Until the exchange itself says so."""
        deadline = time.monotonic() + ARRIVES_WITHIN_S
        while self._public.get("/sapi/v1/system/status").json()["status"] == 0:
            assert time.monotonic() < deadline, "the exchange never says that trading has stopped"
            time.sleep(POLL_S)

    # -- the probes ---------------------------------------------------------------------------------------------------
    def probe(self, expected: Mapping[str, Outcome], patience_s: float = ARRIVES_WITHIN_S) -> dict[str, Outcome | str]:
        """{feature: Outcome, or the text of a Surprise}. A trade comes first: the others look for it.

        `expected` only says how long to wait for something new; it never changes what is found.
        """
        self._expected_to_work = {feature for feature, outcome in expected.items() if outcome is Outcome.WORKS}
        self._patience_s = {
            feature: ABSENT_FOR_S if outcome in ABSENT else patience_s for feature, outcome in expected.items()
        }
        found = {"trade": self._said("trade")}
        self._round_traded = found["trade"] is Outcome.WORKS
        others = (
            "cancel", "read", "depth", "klines", "stream", "user", "join", "login", "account", "markets",
            "static", "platform", "change", "deposit", "mail",
        )  # fmt: skip
        return found | dict(zip(others, self._pool.map(self._said, others), strict=True))

    def _said(self, feature: str) -> Outcome | str:
        for _ in range(LATE_TIMES):
            outcome, took_s = self._tried(feature)
            if outcome not in (Outcome.REFUSED, Outcome.GONE) or took_s <= REFUSED_WITHIN_S:
                return outcome
        return f"{outcome} only after {took_s:.1f} s"

    def _tried(self, feature: str) -> tuple[Outcome | str, float]:
        """What is found, and how many seconds that took."""
        started = time.monotonic()
        try:
            outcome: Outcome = getattr(self, f"_try_{feature}")()
        except (Unknown, httpx.HTTPError) as error:
            outcome = Outcome.GONE
            if not _is_refused_connection(error):
                return f"no answer: {error!r}", 0.0
        except Surprise as surprise:
            return str(surprise), 0.0
        return outcome, time.monotonic() - started

    def _try_trade(self) -> Outcome:
        price = self._next_price()
        first = _api_outcome(self._order("trade", 0, "BUY", price))
        if first is not Outcome.WORKS:
            return first
        self._newest_price = price
        sold = self._order("trade", 0, "SELL", "60000")
        bought = self._order("trade", 1, "BUY", "60000")
        if (_api_outcome(sold), _api_outcome(bought)) != (Outcome.WORKS, Outcome.WORKS):
            raise Surprise(f"one order was taken, another not: {sold.text} {bought.text}")
        if bought.json()["status"] != "FILLED":
            raise Surprise(f"no trade: {bought.text}")
        return Outcome.WORKS

    def _order(self, feature: str, client: int, side: str, price: str) -> httpx.Response:
        return self._answer(feature, client, "POST", **_limit(side, price), timeInForce="GTC")

    def _try_cancel(self) -> Outcome:
        return _api_outcome(self._answer("cancel", 0, "DELETE", symbol=SYMBOL, orderId=self._resting[0]))

    def _answer(self, feature: str, client: int, method: str, **params: str | int) -> httpx.Response:
        """What is expected to work is asked for again where it is refused, as a busy machine may for a moment."""
        deadline = time.monotonic() + self._patience_s[feature]
        while True:
            answer = self._clients[client].answer(method, ORDER, **params)
            if feature not in self._expected_to_work or answer.status_code != 503 or time.monotonic() > deadline:
                return answer
            time.sleep(POLL_S)

    def _try_read(self) -> Outcome:
        def ask() -> Outcome:
            with self._client(self.alice) as client:
                answer = client.answer("GET", "/api/v3/openOrders", symbol=SYMBOL)
            outcome = _api_outcome(answer)
            if outcome is Outcome.WORKS and self._newest_price not in _prices(answer.json()):
                raise Surprise(f"the answer lacks the order at {self._newest_price}: {answer.text}")
            return outcome

        return self._unless_settlement_is_slow("read", ask)

    def _try_depth(self) -> Outcome:
        def ask() -> Outcome:
            answer = self._public.get("/api/v3/depth", params={"symbol": SYMBOL, "limit": 20})
            outcome = _api_outcome(answer)
            if outcome is not Outcome.WORKS:
                return outcome
            shown = {Decimal(price) for price, _ in answer.json()["bids"]}
            return Outcome.WORKS if Decimal(self._newest_price) in shown else Outcome.STALE

        return self._in_time("depth", ask)

    def _try_klines(self) -> Outcome:
        def ask() -> Outcome:
            answer = self._public.get("/api/v3/klines", params={"symbol": SYMBOL, "interval": "1d", "limit": 2})
            outcome = _api_outcome(answer)
            if outcome is not Outcome.WORKS:
                return outcome
            moved = sum(bar[8] for bar in answer.json()) > self._trades_before
            return Outcome.WORKS if moved or not self._round_traded else Outcome.STALE

        return self._in_time("klines", ask)

    def _in_time(self, feature: str, ask: Callable[[], Outcome]) -> Outcome:
        """The first answer that is not stale, or STALE when none comes."""
        deadline = time.monotonic() + self._patience_s[feature]
        while (outcome := ask()) is Outcome.STALE and time.monotonic() < deadline:
            time.sleep(POLL_S)
        return outcome

    def _try_stream(self) -> Outcome:
        return self._listen("stream", self._stream, lambda message: message.get("e") == "trade")

    def _try_user(self) -> Outcome:
        def is_fill(message: Any) -> bool:
            return bool(message.get("event", {}).get("x") == "TRADE")

        return self._listen("user", self._user, is_fill)

    def _listen(self, feature: str, socket: Socket, wanted: Callable[[Any], bool]) -> Outcome:
        """Something new, silence on an open connection, or its end."""
        try:
            socket.until(wanted, self._patience_s[feature])
            return Outcome.WORKS
        except TimeoutError:
            if socket.connection.ping().wait(REFUSED_WITHIN_S):
                return Outcome.QUIET
            raise Surprise("the connection is open and dead") from None
        except ConnectionClosed:
            return Outcome.GONE

    def _try_join(self) -> Outcome:
        """Of an account that nobody follows yet, so that its open orders have to be loaded."""

        def ask() -> Outcome:
            try:
                with Socket(self._stack.ws_url + "/ws-api/v3") as socket:
                    answer = self._subscribe(socket, self.bob)
            except ConnectionRefusedError:
                return Outcome.GONE
            if answer["status"] == 200:
                return Outcome.WORKS
            if (answer["status"], answer["error"]["code"]) == (503, -1001):
                return Outcome.REFUSED
            raise Surprise(str(answer))

        return self._unless_settlement_is_slow("join", ask)

    def _unless_settlement_is_slow(self, feature: str, ask: Callable[[], Outcome]) -> Outcome:
        """What needs the settled state is refused after 0.5 to 1.5 s, which settlement may take on a busy machine:
        asked again while it is expected to work."""
        deadline = time.monotonic() + self._patience_s[feature]
        outcome = ask()
        while outcome is Outcome.REFUSED and feature in self._expected_to_work and time.monotonic() < deadline:
            outcome = ask()
        return outcome

    def _try_login(self) -> Outcome:
        with httpx.Client(base_url=self._stack.base_url, timeout=REQUEST_TIMEOUT_S) as browser:
            return self._log_in(browser, NEWCOMER)

    def _log_in(self, browser: httpx.Client, person: str) -> Outcome:
        page = browser.get("/account/log-in")
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)
        if token is None:
            return _page_outcome(page)
        fields = {"username": person, "password": PASSWORD, "csrfmiddlewaretoken": token.group(1)}
        answer = browser.post("/account/log-in", data=fields)
        if answer.status_code == 302 and answer.headers["location"] == "/account/":
            return Outcome.WORKS
        return _page_outcome(answer)

    def _try_account(self) -> Outcome:
        answer = self._session.get("/account/")
        if answer.status_code == 200 and PERSON not in answer.text:
            raise Surprise("the account page is not the account's")
        return _page_outcome(answer)

    def _try_markets(self) -> Outcome:
        return _page_outcome(self._public.get("/markets"))

    def _try_static(self) -> Outcome:
        return _page_outcome(self._public.get("/static/site/site.css"))

    def _try_platform(self) -> Outcome:
        answer = self._platform("GET", "/accounts")
        if answer.status_code == 200 and answer.json()["items"][0]["id"] != self.alice.account_id:
            raise Surprise(f"not the accounts of who asks: {answer.text}")
        return _platform_outcome(answer)

    def _try_change(self) -> Outcome:
        """Of a sub-account that is frozen already, which is answered as at the first time."""
        answer = self._platform("POST", f"/accounts/{self._sub_account_id}/freeze", "{}")
        if answer.status_code == 200 and not answer.json()["is_frozen"]:
            raise Surprise(f"it was not frozen: {answer.text}")
        return _platform_outcome(answer)

    def _platform(self, method: str, path: str, body: str = "") -> httpx.Response:
        """Signed by alice's key as docs/platform-api.md says."""
        path, at = f"/api/platform/v1{path}", str(time.time_ns() // 1_000_000)
        text = "\n".join((at, method, path, "", hashlib.sha256(body.encode()).hexdigest()))
        signature = hmac.new(self.alice.api_secret.encode(), text.encode(), hashlib.sha256).hexdigest()
        headers = {
            "Content-Type": "application/json", "X-API-Key": self.alice.api_key, "X-API-Timestamp": at,
            "X-API-Signature": signature,
        }  # fmt: skip
        return self._public.request(method, path, content=body, headers=headers)

    def _try_deposit(self) -> Outcome:
        key = f"isolation:{self.bob.account_id}:{next(self._deposits)}"
        return self._queue("deposit", f"credit {self.bob.account_id} USDT 100 {key}", self.is_credited, self.queued)

    def _try_mail(self) -> Outcome:
        return self._queue("mail", "mail isolation@example.org", self.is_sent, self.queued_mails)

    def _queue(self, feature: str, request: str, is_done: Callable[[str], bool], queued: list[str]) -> Outcome:
        """Ask the depositor; then wait for what it queued, or note that it waits."""
        answer = self._asked(request)
        if answer[:1] == ["refused"]:
            return Outcome.REFUSED
        if len(answer) != 2 or answer[0] != "queued":
            raise Surprise(f"the depositor says {answer}")
        deadline = time.monotonic() + self._patience_s[feature]
        while time.monotonic() < deadline:
            if is_done(answer[1]):
                return Outcome.WORKS
            time.sleep(POLL_S)
        queued.append(answer[1])
        return Outcome.QUEUED

    def _asked(self, request: str) -> list[str]:
        """Its answer in words. Two features ask it at the same time."""
        assert self._depositor.stdin is not None
        assert self._depositor.stdout is not None
        with self._depositor_lock:
            self._depositor.stdin.write(request + "\n")
            self._depositor.stdin.flush()
            return self._depositor.stdout.readline().split()

    def is_credited(self, key: str) -> bool:
        return self._state("SELECT state FROM outbox_outboxrow WHERE key = %s", key) == "done"

    def is_sent(self, message_id: str) -> bool:
        return self._state("SELECT state FROM notifications_outgoingemail WHERE message_id = %s", message_id) == "sent"

    def _state(self, query: LiteralString, key: str) -> str:
        with psycopg.connect(self._stack.dsn) as connection:
            row = connection.execute(query, [key]).fetchone()
        assert row is not None, f"{key} was acknowledged and is gone"
        return str(row[0])


def _limit(side: str, price: str) -> dict[str, str]:
    return {"symbol": SYMBOL, "type": "LIMIT", "side": side, "price": price, "quantity": "0.001"}


def _prices(orders: Any) -> set[str]:
    return {f"{Decimal(order['price']):.2f}" for order in orders}


def _api_outcome(answer: httpx.Response) -> Outcome:
    if answer.status_code == 200:
        return Outcome.WORKS
    if answer.status_code == 503 and answer.json()["code"] == -1001 and int(answer.headers["retry-after"]) >= 1:
        return Outcome.REFUSED
    raise Surprise(f"{answer.request.url.path}: {answer.status_code} {answer.text[:200]}")


def _page_outcome(answer: httpx.Response) -> Outcome:
    if answer.status_code == 200:
        return Outcome.WORKS
    if answer.status_code in (502, 503) and "not available" in answer.text and int(answer.headers["retry-after"]) >= 1:
        return Outcome.REFUSED
    raise Surprise(f"{answer.request.url.path}: {answer.status_code} {answer.text[:200]}")


def _platform_outcome(answer: httpx.Response) -> Outcome:
    if answer.status_code == 200:
        return Outcome.WORKS
    if answer.status_code in (502, 503) and int(answer.headers.get("retry-after", "0")) >= 1:
        return Outcome.REFUSED
    raise Surprise(f"{answer.request.url.path}: {answer.status_code} {answer.text[:200]}")


def _is_refused_connection(error: Exception) -> bool:
    cause = error.__cause__ if isinstance(error, Unknown) else error
    return isinstance(cause, httpx.ConnectError | httpx.RemoteProtocolError | httpx.ReadError | InvalidHandshake)
