"""When a gateway says that it is ready, and that a stop meanwhile does not wait for it."""

import asyncio
import os
import signal
from typing import Any, Final

import httpx
import pytest
import uvicorn
from structlog.testing import capture_logs

from apps.gateway import readiness
from apps.gateway.draining import Drain
from apps.gateway.management.commands import run_gateway
from apps.gateway.readiness import Readiness
from tests.gateway.client import Client
from tests.gateway.exchange import Exchange
from tests.ports import free_port

PATIENCE_S: Final = 40


async def test_own_work_is_waited_for_without_end_and_others_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "PEERS_WAIT_S", 0.0)
    own, there = asyncio.Event(), {"books": False, "engine": True}
    ready = Readiness([own], {name: lambda name=name: there[name] for name in there})  # type: ignore[misc]
    running = asyncio.create_task(ready.run())
    await asyncio.sleep(0.05)
    assert not ready.reached.is_set()
    own.set()
    with capture_logs() as lines:
        await asyncio.wait_for(running, PATIENCE_S)
    assert ready.reached.is_set()
    assert [line["missing"] for line in lines] == [["books"]]


async def test_what_others_bring_makes_it_ready_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "PEERS_WAIT_S", 3600.0)
    there = {"books": False, "engine": False}
    ready = Readiness([], {name: lambda name=name: there[name] for name in there})  # type: ignore[misc]
    running = asyncio.create_task(ready.run())
    for name in there:
        await asyncio.sleep(0.05)
        assert not running.done()
        there[name] = True
    await asyncio.wait_for(running, PATIENCE_S)
    # It says what is missing later on too, and stays ready.
    there["engine"] = False
    assert (ready.missing(), ready.reached.is_set()) == (["engine"], True)


def test_once_ready_it_answers_orders_and_books(exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "PEERS_WAIT_S", 3600.0)
    with exchange.further_gateway() as thread:
        base_url = f"http://127.0.0.1:{thread.port}"
        # Each the first of its kind, and none may be asked twice.
        for symbol in ("BTCUSDT", "ETHUSDT", "ETHBTC", "BNBUSDT", "LTCUSDT"):
            assert httpx.get(f"{base_url}/api/v3/depth?symbol={symbol}", timeout=PATIENCE_S).status_code == 200
        with Client(base_url, exchange.trader()) as client:
            assert client.limit("BUY", "40000", "0.1")["status"] == "NEW"


def test_without_public_data_it_trades_and_says_what_is_missing(
    exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readiness, "PEERS_WAIT_S", 0.2)
    with exchange.further_gateway(edge_url=f"redis://127.0.0.1:{free_port()}/0") as thread:
        assert thread.gateway is not None
        ok, told = thread.gateway.health()
        assert (ok, told["missing"]) == (True, ["books"])
        with Client(f"http://127.0.0.1:{thread.port}", exchange.trader()) as client:
            assert client.limit("BUY", "40000", "0.1")["status"] == "NEW"
            assert client.get("/api/v3/depth", symbol="BTCUSDT").status_code == 503


class NeverReady:
    """A gateway whose start does not end."""

    def __init__(self) -> None:
        self.drain = Drain(3600)

    async def ready(self) -> None:
        await asyncio.Event().wait()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_stop_does_not_wait_until_it_is_ready(monkeypatch: pytest.MonkeyPatch, number: signal.Signals) -> None:
    monkeypatch.setattr(run_gateway, "READY_S", 3600)
    gateway: Any = NeverReady()
    loop = asyncio.get_running_loop()
    stopping = run_gateway.handle_signals(gateway, uvicorn.Server(uvicorn.Config(lambda: None)))
    try:
        waiting = asyncio.create_task(run_gateway.ready_or_stopping(gateway, stopping))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        os.kill(os.getpid(), number)
        await asyncio.wait_for(waiting, PATIENCE_S)
        assert stopping.is_set()
    finally:
        for each in (signal.SIGTERM, signal.SIGINT, run_gateway.DRAIN_SIGNAL):
            loop.remove_signal_handler(each)


def test_too_few_open_files_are_said_at_start() -> None:
    with capture_logs() as lines:
        run_gateway.say_when_files_are_few(run_gateway.FILES_NEEDED)
        assert lines == []
        run_gateway.say_when_files_are_few(1024)
    [line] = lines
    assert (line["limit"], line["needed"]) == (1024, run_gateway.FILES_NEEDED)
    assert "raise the hard limit" in line["event"]
