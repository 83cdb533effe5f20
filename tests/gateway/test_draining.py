"""`serverShutdown`: a gateway that is stopped tells its clients first, and closes their sockets a while later."""

import asyncio
import os
import signal
import threading
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from websockets.exceptions import InvalidStatus

from apps.gateway.draining import Drain
from nebannpet.children import State
from nebannpet.openfiles import ENOUGH
from tests.gateway.exchange import Exchange, wait_until
from tests.gateway.process import GatewayProcess
from tests.gateway.sockets import Socket
from tests.openfiles import few_open_files

PATHS = ("/ws/btcusdt@depth@100ms", "/stream?streams=btcusdt@trade", "/ws-api/v3")


def is_shutdown(message: Any) -> bool:
    return isinstance(message, dict) and message.get("event", message).get("e") == "serverShutdown"


def check_told(sockets: list[Socket]) -> None:
    for socket in sockets:
        event = socket.until(is_shutdown)
        assert list(event.get("event", event)) == ["e", "E"]
        assert set(event) in ({"e", "E"}, {"event"})
    assert [("event" in socket.seen[-1]) for socket in sockets] == [False, False, True]


def test_the_supervisor_drains_a_real_gateway_first(
    exchange: Exchange, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The sockets of this test are open longer than the usual two seconds on a busy machine.
    monkeypatch.setenv("DRAIN_S", "60")
    with few_open_files() as hard, GatewayProcess(exchange, tmp_path).running() as gateway:
        assert psutil.Process(gateway.child.pid).rlimit(psutil.RLIMIT_NOFILE)[0] == min(hard, ENOUGH)
        address = f"ws://127.0.0.1:{gateway.port}"
        sockets = [Socket(address + path) for path in PATHS]
        status, told = gateway.health()
        assert (status, told["draining"], told["sockets"]) == (200, False, 3)
        stopping = threading.Thread(target=lambda: gateway.do(gateway.child.stop()))
        stopping.start()
        check_told(sockets)
        # Red at once, and who comes now is sent elsewhere; whoever is there is still served.
        status, told = gateway.health()
        assert (status, told["draining"], told["sockets"]) == (503, True, 3)
        with pytest.raises(InvalidStatus) as refused:
            Socket(address + "/ws")
        assert refused.value.response.status_code == 503
        assert httpx.get(f"http://127.0.0.1:{gateway.port}/api/v3/ping", timeout=40).json() == {}
        assert sockets[2].ask("ping")["status"] == 200
        assert sockets[0].control("LIST_SUBSCRIPTIONS")["result"] == ["btcusdt@depth@100ms"]
        for socket in sockets:
            socket.connection.close()
        # Nobody is left, so nothing is waited for.
        stopping.join(40)
        assert not stopping.is_alive()
        assert gateway.states[-3:] == [State.DRAINING, State.STOPPING, State.STOPPED]
        assert gateway.child.restarts == 0


def test_sigterm_alone_drains_too(exchange: Exchange, tmp_path: Path) -> None:
    """As `docker compose stop` sends it. The process ends by itself, in order, and is started again here."""
    with GatewayProcess(exchange, tmp_path).running() as gateway:
        sockets = [Socket(f"ws://127.0.0.1:{gateway.port}{path}") for path in PATHS]
        assert gateway.child.pid is not None
        os.kill(gateway.child.pid, signal.SIGTERM)
        check_told(sockets)
        assert [socket.closed_with() for socket in sockets] == [1012] * 3
        wait_until(lambda: "gateway exited with code 0" in gateway.shown.getvalue())


async def test_the_drain_is_over_when_the_last_client_has_gone() -> None:
    drain, told = Drain(3600), []
    with drain.socket(told.append):
        with drain.socket(lambda _: None):
            drain.begin()
            drain.begin()
            over = asyncio.create_task(drain.over())
            await asyncio.sleep(0)
        assert (len(told), drain.sockets, over.done()) == (1, 1, False)
    await asyncio.wait_for(over, 40)


async def test_nobody_is_waited_for_where_there_is_nobody() -> None:
    drain = Drain(3600)
    drain.begin()
    await asyncio.wait_for(drain.over(), 40)


async def test_clients_that_stay_are_not_waited_for_for_ever() -> None:
    drain = Drain(0.05)
    with drain.socket(lambda _: None):
        drain.begin()
        await asyncio.wait_for(drain.over(), 40)
        assert drain.sockets == 1


async def test_a_socket_that_was_on_its_way_when_the_drain_began_is_told_too() -> None:
    drain, told = Drain(3600), []
    drain.begin()
    with drain.socket(told.append):
        assert (len(told), drain.sockets) == (1, 1)
        over = asyncio.create_task(drain.over())
        await asyncio.sleep(0)
        assert not over.done()
    await asyncio.wait_for(over, 40)
