"""A whole exchange inside the test process, on real Redis and PostgreSQL and real sockets.

Threads run the engine, settlement, the outbox relay, market data and the gateway (under uvicorn, as in production), so
tests can look at the engine's state and stop single parts.
"""

import asyncio
import contextlib
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import pytest
import uvicorn
from django.conf import settings
from django.core.management import call_command
from django.db import close_old_connections, connection

from apps.accounts.services.demo import DemoAccount, make_demo_account
from apps.common import hashchain
from apps.common.amounts import parse_decimal
from apps.gateway.app import GatewayApp
from apps.gateway.gateway import Gateway
from apps.gateway.management.commands.run_gateway import gateway_config, server_config
from apps.ledger.services import credit
from apps.markets.marketdata.edge import Edge
from apps.markets.marketdata.process import MarketData
from apps.markets.models import Asset, Market
from apps.markets.services import change_market_settings
from apps.matching.applying import apply_entries
from apps.matching.engine import RULES_VERSION, Engine
from apps.matching.skips import Skips
from apps.orders.settlement.process import SettlementProcess
from apps.outbox.models import OutboxRow, OutboxState
from apps.outbox.process import RelayProcess
from apps.streams.bus.base import START, CommandEntry
from apps.streams.bus.redis import RedisBus
from apps.streams.codec import encode_command, iter_runs
from apps.streams.commands import CancelAll
from apps.streams.kinds import Reason
from tests.ports import free_port

SHARD = "spot"
# The engine's thread may be held up for a while; whoever wants it to have no lease pauses it.
LEASE_MS = 60_000
TRADER_FUNDS = {"BTC": "10", "ETH": "100", "USDT": "1000000"}
TRADERS_AT_ONCE = 12


def wait_until(condition: Callable[[], Any], *, timeout_s: float = 40.0, what: str = "") -> Any:
    """The first true value of `condition`; AssertionError after `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"not within {timeout_s} s: {what or condition}"
        time.sleep(0.01)


class EngineThread(threading.Thread):
    """A minimal worker: no snapshots, no recovery; the matching process has its own tests."""

    def __init__(self, url: str) -> None:
        super().__init__(name="engine", daemon=True)
        self._bus = RedisBus(url, SHARD)
        self.engine = Engine()
        self.lock = threading.Lock()
        self.stop_asked = threading.Event()
        self.pause_asked = threading.Event()
        self.paused = threading.Event()
        self.failure: BaseException | None = None
        self.skip_reason: Reason | None = None

    def run(self) -> None:
        try:
            self._run()
        except BaseException as error:
            self.failure = error
            raise

    def _run(self) -> None:
        bus, after, chain, frames = self._bus, START, hashchain.GENESIS, 0
        assert bus.raise_epoch(1)
        while not self.stop_asked.is_set():
            if self.pause_asked.is_set():
                self.paused.set()
                time.sleep(0.01)
                continue
            self.paused.clear()
            assert bus.take_lease("test", ttl_ms=LEASE_MS)
            entries = bus.read_commands(after, count=200, block_ms=100)
            if not entries:
                continue
            with self.lock:
                first = self.engine.seq + 1
                body = apply_entries(self.engine, entries, self._skips(entries))
                last = self.engine.seq
            after = entries[-1].id
            frames += sum(len(entry.frames) // 128 for entry in entries)
            if last < first:
                bus.set_frames_done(frames, epoch=1)
                continue
            prev, chain = chain, hashchain.extend(chain, first, last, body)
            bus.append_events(
                epoch=1, first_seq=first, last_seq=last, prev_chain=prev, chain=chain, last_cmd=after, body=body,
                rules_version=RULES_VERSION,
                frames_done=frames,
            )  # fmt: skip
        bus.release_lease("test")
        bus.close()

    def _skips(self, entries: list[CommandEntry]) -> Skips:
        """Every command of these, while a test wants them skipped."""
        if self.skip_reason is None:
            return Skips()
        return Skips(
            {
                (*entry.id, index): self.skip_reason
                for entry in entries
                for index, _ in enumerate(iter_runs(entry.frames))
            }
        )


class GatewayThread(threading.Thread):
    """`changes`: fields of its configuration that differ from the settings'."""

    def __init__(self, port: int, **changes: Any) -> None:
        super().__init__(name="gateway", daemon=True)
        self.port = port
        self._changes = changes
        self.ready = threading.Event()
        self.gateway: Gateway | None = None
        self.loop: asyncio.AbstractEventLoop | None = None
        self.server: uvicorn.Server | None = None
        self.failure: BaseException | None = None

    def run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:
            self.failure = error
            raise
        finally:
            self.ready.set()

    async def _serve(self) -> None:
        self.loop = asyncio.get_running_loop()
        # The settings' port decides which origins are ours.
        settings.PORT = self.port
        self.gateway = Gateway(replace(gateway_config(), **self._changes))
        self.server = uvicorn.Server(server_config(GatewayApp(self.gateway), host="127.0.0.1", port=self.port))
        async with self.gateway:
            await self.gateway.ready()
            self.ready.set()
            with contextlib.suppress(asyncio.CancelledError):
                await self.server._serve()

    def call(self, function: Callable[[], Any]) -> Any:
        """Run `function` in the gateway's loop."""

        async def run() -> Any:
            return function()

        assert self.loop is not None
        return asyncio.run_coroutine_threadsafe(run(), self.loop).result(timeout=40)

    def give_up_after(self, seconds: float, patch: pytest.MonkeyPatch) -> None:
        """What is sent from now on is answered within so long. The batcher's one timer may still be set for what was
        sent under a longer limit, and is set anew."""
        assert self.gateway is not None
        patch.setattr("apps.gateway.batcher.REPLY_TIMEOUT_S", seconds)
        self.call(self.gateway.batcher._give_up)


@contextlib.contextmanager
def held(thread: GatewayThread, owner: Any, name: str) -> Iterator[threading.Event]:
    """Calls of this coroutine method in the gateway's loop wait until the block ends; the event says that one does."""
    method, waits = getattr(owner, name), threading.Event()
    go = thread.call(asyncio.Event)

    async def wait_first(*arguments: Any, **named: Any) -> Any:
        waits.set()
        await go.wait()
        return await method(*arguments, **named)

    setattr(owner, name, wait_first)
    try:
        yield waits
    finally:
        thread.call(lambda: (setattr(owner, name, method), go.set()))


class Exchange:
    """Everything running, with the demonstration's assets and markets."""

    def __init__(self, core_url: str, edge_url: str, snapshots: Path) -> None:
        self.core_url, self.edge_url = core_url, edge_url
        self.port = free_port()
        self._stop = threading.Event()
        self.engine = EngineThread(core_url)
        self.settlement = SettlementProcess(shard=SHARD, open_bus=self._bus, stop=self._stop)
        self.relay = RelayProcess(shard=SHARD, open_bus=self._bus, stop=self._stop)
        self.market_data = MarketData(
            bus=self._bus(), edge=Edge(edge_url, SHARD), snapshot_dir=snapshots, dsn=settings.DATABASE_DSN
        )
        self.market_data.stop = self._stop
        self._threads = [
            threading.Thread(target=run, name=name, daemon=True)
            for name, run in (
                ("settlement", self.settlement.run), ("relay", self.relay.run), ("market data", self.market_data.run),
            )
        ]  # fmt: skip
        self.gateway_thread = GatewayThread(self.port)
        self._traders: list[DemoAccount] = []

    def _bus(self) -> RedisBus:
        return RedisBus(self.core_url, SHARD)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def ws_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    @property
    def gateway(self) -> Gateway:
        assert self.gateway_thread.gateway is not None
        return self.gateway_thread.gateway

    def __enter__(self) -> Self:
        self.engine.start()
        for thread in self._threads:
            thread.start()
        call_command("demo_data", verbosity=0)
        self.wait_settled()
        # Tests trade at whatever price they need; one that is about circuit breakers sets its own.
        for market in Market.objects.exclude(breaker_rules=[]):
            change_market_settings(
                symbol=market.symbol, changes={"breaker_rules": []}, reason="tests", requested_by="tests"
            )
        self.wait_settled()
        self.gateway_thread.start()
        assert self.gateway_thread.ready.wait(60), "the gateway did not start"
        wait_until(lambda: self.gateway_thread.server is not None and self.gateway_thread.server.started)
        with httpx.Client(base_url=self.base_url, timeout=40) as client:
            for symbol in ("BTCUSDT", "ETHUSDT", "ETHBTC", "BNBUSDT", "LTCUSDT"):
                path = f"/api/v3/depth?symbol={symbol}"
                wait_until(lambda path=path: client.get(path).status_code == 200, what=path)
            wait_until(lambda: client.get("/sapi/v1/system/status").json()["status"] == 0)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.gateway_thread.server is not None:
            self.gateway_thread.server.should_exit = True
            self.gateway_thread.join(40)
        self._stop.set()
        self.engine.stop_asked.set()
        for thread in (*self._threads, self.engine):
            thread.join(40)
            assert not thread.is_alive(), f"{thread.name} did not stop"
        close_old_connections()
        connection.close()

    def cancel_everything(self) -> None:
        """Open orders of every account, also of those that nothing else tidies up."""
        with self.engine.lock:
            accounts = {row.account_id for row in self.engine.engine.open_orders()}
        if accounts:
            commands = (CancelAll(market_id=0, account_id=account_id) for account_id in sorted(accounts))
            with contextlib.closing(self._bus()) as bus:
                bus.append_commands(b"".join(encode_command(command) for command in commands))
        wait_until(self._has_no_orders, what="no open orders")

    def _has_no_orders(self) -> bool:
        with self.engine.lock:
            return not list(self.engine.engine.open_orders())

    # -- what tests ask -----------------------------------------------------------------------------------------------
    def state_hash(self) -> str:
        with self.engine.lock:
            return self.engine.engine.state_hash()

    def seq(self) -> int:
        with self.engine.lock:
            return self.engine.engine.seq

    @contextlib.contextmanager
    def engine_paused(self, *, keep_lease: bool = False) -> Iterator[None]:
        """The engine answers nothing until the block ends, and has no lease meanwhile unless it may keep it."""
        self.engine.pause_asked.set()
        assert self.engine.paused.wait(30)
        try:
            if keep_lease:
                self._bus().take_lease("test", ttl_ms=LEASE_MS)
            else:
                self._bus().release_lease("test")
            yield
        finally:
            self.engine.pause_asked.clear()
            # Else the next pause would take this one's sign for its own, while the engine does one more round.
            wait_until(lambda: not self.engine.paused.is_set(), what="the engine goes on")

    @contextlib.contextmanager
    def further_gateway(self, **changes: Any) -> Iterator[GatewayThread]:
        """One more gateway of this exchange, as behind a load balancer; `changes` are fields of its GatewayConfig."""
        port_before = settings.PORT
        thread = GatewayThread(free_port(), **changes)
        thread.start()
        try:
            assert thread.ready.wait(60), "the gateway did not start"
            assert thread.failure is None
            wait_until(lambda: thread.server is not None and thread.server.started)
            yield thread
        finally:
            settings.PORT = port_before
            if thread.server is not None:
                thread.server.should_exit = True
            thread.join(40)

    @contextlib.contextmanager
    def commands_skipped(self, reason: Reason) -> Iterator[None]:
        """Every command is skipped until the block ends, as poison or as too old at a takeover."""
        self.engine.skip_reason = reason
        try:
            yield
        finally:
            self.engine.skip_reason = None

    def wait_settled(self) -> None:
        """All outbox rows are done and PostgreSQL has everything that is durable now."""
        wait_until(
            lambda: (
                not OutboxRow.objects.filter(state=OutboxState.WAITING).exists() and self._bus().settled() >= self.seq()
            ),
            timeout_s=40,
            what="settlement",
        )

    def account(self, name: str = "", **funds: str) -> DemoAccount:
        """A new funded account: exchange.account(BTC="2", USDT="1000")."""
        made = self._make_account(name, funds)
        if funds:
            self.wait_settled()
        return made

    def trader(self) -> DemoAccount:
        """A new account with what most tests need. Made several at a time, as their money is waited for once."""
        if not self._traders:
            self._traders = [self._make_account("", TRADER_FUNDS) for _ in range(TRADERS_AT_ONCE)]
            self.wait_settled()
        return self._traders.pop(0)

    def give_back(self, trader: DemoAccount) -> None:
        """For another test, last of all: of a test after which the account is as it was made."""
        self._traders.append(trader)

    def last_price_units(self, symbol: str) -> int:
        """Of the last trade, in 10^-8 of the quote asset; 0 before the first one."""
        market = Market.objects.get(symbol=symbol)
        with self.engine.lock:
            ticks = {row.market_id: row.last_price_ticks for row in self.engine.engine.markets()}
        return ticks[market.pk] * market.tick_size

    def _make_account(self, name: str, funds: dict[str, str]) -> DemoAccount:
        made = make_demo_account(name=name or f"t{secrets.token_hex(6)}", is_staff=False)
        for code, amount in funds.items():
            credit(
                account_id=made.account_id,
                asset_id=Asset.objects.get(code=code).pk,
                amount_units=parse_decimal(amount),
                key=f"test:{made.account_id}:{code}:{secrets.token_hex(4)}",
            )
        return made
