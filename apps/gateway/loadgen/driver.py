"""One run: connect, send everything when it is due, cancel what rests, wait for the last answers, count."""

import asyncio
import gc
import json
import secrets
import selectors
import time
from collections.abc import Iterator
from typing import Final

import httpx
import msgspec

from apps.gateway.loadgen.market import Market, http_client, read_market
from apps.gateway.loadgen.outcome import Outcome
from apps.gateway.loadgen.plan import Plan
from apps.gateway.loadgen.rest import RECV_WINDOW_MS, RestPool
from apps.gateway.loadgen.signing import Signer
from apps.gateway.loadgen.traffic import ORDERS, Request, cancel_of, traffic
from apps.gateway.loadgen.transport import MS_NS, UNANSWERED, UNSENT, Done, Transport
from apps.gateway.loadgen.wsapi import WsPools

OK: Final = 200
UNAVAILABLE: Final = 503
# After a run the exchange may be behind for a while; then its orders are asked for again.
AGAIN_S: Final = 30.0
PAUSE_S: Final = 0.5
# Requests that are due at once are sent so many at a time, so that answers are read in between.
BURST: Final = 16
OPEN: Final = frozenset({"NEW", "PARTIALLY_FILLED"})


class _Order(msgspec.Struct):
    status: str = ""


class _Refusal(msgspec.Struct):
    code: int = 0
    msg: str = ""


_order: Final = msgspec.json.Decoder(_Order).decode
_refusal: Final = msgspec.json.Decoder(_Refusal).decode


def run(plan: Plan) -> Outcome:
    """Send a checked plan. PlanError when the exchange cannot be reached or refuses to be loaded so.

    The loop waits with select(), whose time-out is exact to microseconds; epoll's would be rounded up to milliseconds.
    """
    plan.check()
    signers = [Signer(pair) for pair in plan.keys]
    with http_client(plan) as client:
        market = read_market(client, plan)
        load = Load(plan, signers, market)
        with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selectors.SelectSelector())) as runner:
            runner.run(load.run())
        load.outcome.left_open = tidy(client, plan, signers, load.prefix)
    return load.outcome


class Load:
    def __init__(self, plan: Plan, signers: list[Signer], market: Market) -> None:
        self.outcome = Outcome()
        # Of this run alone, so that it can tell its orders from others of the account.
        self.prefix = f"load-{secrets.token_hex(4)}-"
        self._plan = plan
        self._market = market
        self._transport: Transport = RestPool(plan, signers) if plan.over == "rest" else WsPools(plan, signers)
        self._under_way = 0
        self._idle = asyncio.Event()
        self._start_ns = 0

    async def run(self) -> None:
        await self._transport.open()
        # A collection in the middle of a run would be measured as the exchange's pause.
        gc.collect()
        gc.freeze()
        cpu_ns = time.process_time_ns()
        self._start_ns = self._plan.start_ns or time.monotonic_ns()
        try:
            await self._send_all(traffic(self._plan, self._market, self.prefix))
            await self._drain()
        except asyncio.CancelledError:
            # Ctrl-C: what was sent is counted and tidied up all the same.
            self.outcome.interrupted = True
        await self._transport.close()
        gc.unfreeze()
        self.outcome.reconnects = self._transport.reconnects
        self.outcome.took_ms = (time.monotonic_ns() - self._start_ns) // MS_NS
        self.outcome.cpu_ms = (time.process_time_ns() - cpu_ns) // MS_NS

    async def _send_all(self, requests: Iterator[tuple[int, Request]]) -> None:
        burst = 0
        for after_ns, request in requests:
            due_ns = self._start_ns + after_ns
            ahead_ns = due_ns - time.monotonic_ns()
            if ahead_ns > 0 or burst == BURST:
                burst = 0
                await asyncio.sleep(max(ahead_ns, 0) / 1e9)
            burst += 1
            self._send(request, due_ns)

    async def _drain(self) -> None:
        """Every request ends by itself, at its time limit at the latest; cancels that are still to come count too."""
        self._idle.clear()
        if self._under_way:
            await self._idle.wait()

    def _send(self, request: Request, due_ns: int) -> None:
        self._under_way += 1
        self.outcome.tally(request.kind).due += 1
        self.outcome.late.add((time.monotonic_ns() - due_ns) // 1000)
        self._transport.send(request, self._done(request, due_ns), due_ns)

    def _done(self, request: Request, due_ns: int) -> Done:
        def done(status: int, body: bytes) -> None:
            self._count(request, due_ns, status, body)
            self._end_one()

        return done

    def _count(self, request: Request, due_ns: int, status: int, body: bytes) -> None:
        tally = self.outcome.tally(request.kind)
        now_ns = time.monotonic_ns()
        took_us = (now_ns - due_ns) // 1000
        if status in (UNSENT, UNANSWERED):
            # Left out, those that took longest would make the percentiles better. One whose connection broke never
            # came back either, however soon that was known.
            tally.latency.add(max(took_us, self._plan.timeout_ms * 1000))
            tally.unsent += status == UNSENT
            tally.unanswered += status == UNANSWERED
            return
        tally.latency.add(took_us)
        tally.took_ms = (now_ns - self._start_ns) // MS_NS
        if status != OK:
            tally.error(error_text(status, body))
            return
        try:
            order = _order(body) if request.kind == ORDERS else None
        except msgspec.MsgspecError:
            tally.error(error_text(status, body))
            return
        tally.succeeded += 1
        if order is not None:
            self._on_order(request, order.status)

    def _end_one(self) -> None:
        self._under_way -= 1
        if not self._under_way:
            self._idle.set()

    def _on_order(self, request: Request, status: str) -> None:
        self.outcome.statuses[status] = self.outcome.statuses.get(status, 0) + 1
        if request.rests and status in OPEN and self._plan.cancel_after_ms:
            loop = asyncio.get_running_loop()
            # Under way from now on, so that the end waits for it.
            self._under_way += 1
            loop.call_later(self._plan.cancel_after_ms / 1000, self._cancel, request)

    def _cancel(self, order: Request) -> None:
        self._send(cancel_of(order), time.monotonic_ns())
        self._end_one()


def error_text(status: int, body: bytes) -> str:
    """Status, code and text; of an answer that is not the exchange's, its beginning."""
    try:
        refusal = _refusal(body)
    except msgspec.MsgspecError:
        return f"{status} {body[:60].decode('ascii', 'replace')}"
    return f"{status} {refusal.code} {refusal.msg[:80]}"


def tidy(client: httpx.Client, plan: Plan, signers: list[Signer], prefix: str) -> int:
    """Cancel what a run left behind, by its client order ids; how many orders are open still."""
    left = 0
    for signer in signers if plan.orders_per_s else ():
        try:
            found = _signed(client, signer, "GET", "/api/v3/openOrders", symbol=plan.symbol)
            if found.status_code != OK:
                left += 1
                continue
            for order in found.json():
                if order["clientOrderId"].startswith(prefix):
                    gone = _signed(
                        client, signer, "DELETE", "/api/v3/order", symbol=plan.symbol, orderId=str(order["orderId"])
                    )
                    left += gone.status_code != OK
        except (httpx.HTTPError, json.JSONDecodeError):
            left += 1
    return left


def _signed(client: httpx.Client, signer: Signer, method: str, path: str, **params: str) -> httpx.Response:
    """The answer. One that says that nothing was done (503), as while settlement catches up, is asked again."""
    text = "&".join(f"{name}={value}" for name, value in params.items())
    deadline_s = time.monotonic() + AGAIN_S
    while True:
        query = signer.query(f"{text}&recvWindow={RECV_WINDOW_MS}&timestamp={time.time_ns() // MS_NS}")
        answer = client.request(method, f"{path}?{query}", headers={"X-MBX-APIKEY": signer.key})
        if answer.status_code != UNAVAILABLE or time.monotonic() > deadline_s:
            return answer
        time.sleep(PAUSE_S)
