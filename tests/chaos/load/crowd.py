"""All clients of a run, in one thread with one event loop beside the test."""

import asyncio
import random
import threading
from dataclasses import dataclass

from tests.chaos.history import Histories, History, Kind, Outcome
from tests.chaos.load.readers import depth_reader, read_snapshots, user_data_reader
from tests.chaos.load.trader import Trader
from tests.chaos.load.wire import RestWire, SocketWire
from tests.dialect import demo_account
from tests.stack import Stack

FUNDS = {"LTC": "100000", "USDT": "10000000"}
JOIN_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class Size:
    """How many clients on how many accounts, and requests a second of each client."""

    accounts: int = 3
    rest_clients: int = 4
    socket_clients: int = 2
    rate: float = 6.0


class Crowd:
    """`start` and `stop` may alternate; histories go on growing. New client ids begin with `prefix`."""

    def __init__(self, stack: Stack, *, seed: int, size: Size = Size()) -> None:
        self._stack = stack
        self._size = size
        self._random = random.Random(seed)
        self._round = 0
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None
        self.failure: BaseException | None = None
        self.not_started = 0
        self.prefix = ""
        self.histories = Histories()
        for number in range(size.accounts):
            account = demo_account(stack, f"chaos{number}", **FUNDS)
            self.histories.accounts.append(History(account, dict(FUNDS)))

    def start(self) -> None:
        assert self._thread is None, "the load runs already"
        self._round += 1
        running = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(running,), name="load", daemon=True)
        self._thread.start()
        running.wait()

    def resume(self) -> None:
        """Start, unless the load runs."""
        if self._thread is None:
            self.start()

    def stop(self) -> None:
        """No new requests; returns when every request under way has ended. Raises what broke the load itself."""
        if self._thread is None:
            return
        assert self._loop is not None
        assert self._stopping is not None
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(JOIN_TIMEOUT_S)
        assert not self._thread.is_alive(), "the load does not end"
        self._thread = None
        self.check()

    def check(self) -> None:
        if self.failure is not None:
            raise self.failure

    def acknowledged(self) -> int:
        return len(self.histories.acknowledged_s)

    def last_refusals(self) -> list[object]:
        """What clients are told just now, for the message of a failed wait."""
        ended = list(self.histories.operations(Kind.PLACE, Outcome.REFUSED, Outcome.UNKNOWN))
        return [(op.status, op.body) for op in sorted(ended, key=lambda op: op.ended_s)[-3:]]

    def _run(self, running: threading.Event) -> None:
        try:
            asyncio.run(self._main(running))
        except BaseException as failure:  # noqa: BLE001  shown by the test, which joins this thread
            self.failure = failure
            running.set()

    async def _main(self, running: threading.Event) -> None:
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        reading = asyncio.Event()
        running.set()
        first = self.histories.accounts[0]
        async with asyncio.TaskGroup() as readers:
            readers.create_task(depth_reader(self._stack.ws_url, self.histories).run(reading))
            readers.create_task(user_data_reader(self._stack.ws_url, first).run(reading))
            readers.create_task(read_snapshots(self._stack.base_url, self.histories, reading))
            async with asyncio.TaskGroup() as traders:
                for trader in self._traders():
                    traders.create_task(self._trade(trader, self._stopping))
            # What the last orders caused is still on its way to the readers.
            await asyncio.sleep(0.5)
            reading.set()

    async def _trade(self, trader: Trader, stopping: asyncio.Event) -> None:
        await trader.run(stopping)
        self.not_started += trader.not_started

    def _traders(self) -> list[Trader]:
        found = []
        for number in range(self._size.rest_clients + self._size.socket_clients):
            history = self.histories.accounts[number % self._size.accounts]
            if number < self._size.rest_clients:
                wire: RestWire | SocketWire = RestWire(self._stack.base_url, history.account)
            else:
                wire = SocketWire(self._stack.ws_url, history.account)
            found.append(
                Trader(
                    f"r{self._round}c{number}", wire, history, self.histories, rate=self._size.rate,
                    seed=self._random.getrandbits(32), client_id_prefix=lambda: self.prefix,
                )
            )  # fmt: skip
        return found
