"""One exchange under load, with everything a fault and the judge need.

with Rig(seed=7) as rig:
    rig.stack.kill("matching")
    rig.wait_until_trading()
    assert rig.judge() == []
"""

import contextlib
import http.client
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import psycopg
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from apps.streams.codec import encode_command
from apps.streams.commands import Credit, Tick
from nebannpet.control import Refused, ask
from nebannpet.embedded import redis_core
from nebannpet.health import ask_health
from tests.chaos.follower import Follower
from tests.chaos.history import Kind, Operation, Outcome
from tests.chaos.judge.log import Log
from tests.chaos.judge.log import read as read_log
from tests.chaos.judge.verdict import Verdict, verdict
from tests.chaos.load.crowd import Crowd, Size
from tests.chaos.load.forms import SYMBOL
from tests.chaos.load.trader import outcome_of
from tests.chaos.load.wire import ANSWER_TIMEOUT_S
from tests.dialect import Dialect, Unknown
from tests.stack import Stack, StackError

PATIENCE_S = 60.0
WORKERS = ("matching", "standby")
TICKS_MS = 1_000
SCALE = 10**8
_DEPOSIT = """
INSERT INTO outbox_outboxrow (shard, key, source, kind, frames, state, reason)
VALUES ('spot', %s, 1, 10, %s, 'waiting', 0) ON CONFLICT (key) DO NOTHING
"""


class Closable(Protocol):
    def close(self) -> None: ...


class Rig:
    """`environment` goes to the exchange. A standby worker runs beside the active one unless `standby` is False."""

    def __init__(
        self,
        *,
        seed: int,
        size: Size | None = None,
        standby: bool = True,
        data_dir: Path | None = None,
        **environment: str,
    ) -> None:
        self.seed = seed
        chosen = {"STANDBY": "1"} if standby else {}
        self.stack = Stack(data_dir=data_dir, **chosen, **environment)
        # The plan of named crash points (apps/common/crashpoints.py); empty until a fault writes lines into it.
        self.crash_plan = self.stack.data_dir / "crash-plan"
        self.stack.environment.setdefault("CRASH_AT", str(self.crash_plan))
        # Back-off after crashes is for real crash loops; a thousand kills in half an hour would only wait for it.
        self.stack.environment.setdefault("RESTART_PAUSE_MAX_S", "1")
        self._deposits = 0
        self._size = size or Size()
        # Proxies in the place of servers' sockets, made by faults/network.py and closed with the rig.
        self.proxies: dict[str, Closable] = {}
        self._crowd: Crowd | None = None
        self._follower: Follower | None = None

    # -- life ---------------------------------------------------------------------------------------------------------
    def __enter__(self) -> Self:
        self.stack.__enter__()
        try:
            self._follower = Follower(redis_core(self.stack.paths).url)
            self._follower.read()
            self._follower.start()
            self._crowd = Crowd(self.stack, seed=self.seed, size=self._size)
            self._crowd.start()
            self.wait_until_trading()
        except BaseException as error:
            self.__exit__(type(error), error, error.__traceback__)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._crowd is not None and kind is None:
                self._crowd.stop()
        finally:
            for proxy in self.proxies.values():
                proxy.close()
            if self._follower is not None:
                self._follower.stop()
            self.stack.__exit__(kind, error, trace)

    @property
    def crowd(self) -> Crowd:
        assert self._crowd is not None
        return self._crowd

    @property
    def follower(self) -> Follower:
        assert self._follower is not None
        return self._follower

    # -- processes ----------------------------------------------------------------------------------------------------
    def running(self) -> list[str]:
        """Names of all processes of this exchange, servers included."""
        return list(self.stack.processes())

    def pid(self, name: str) -> int:
        """The pid of process `name`, once it runs: a fault before may have ended it, and it comes back by itself."""
        found: list[int] = []

        def runs() -> bool:
            with contextlib.suppress(StackError):
                found.append(self.stack.pid(name))
            return bool(found)

        self.until(runs, f"process {name}")
        return found[0]

    def health(self, name: str) -> dict[str, Any]:
        """What the process says of itself; empty while it does not answer."""
        with contextlib.suppress(OSError, ValueError, http.client.HTTPException):
            return dict(ask_health(self.stack.paths.health_socket(name), timeout_s=1)[1])
        return {}

    def active(self) -> str | None:
        """Which worker trades just now."""
        return next((name for name in self.workers() if self._trades(name)), None)

    def _trades(self, name: str) -> bool:
        return self.health(name).get("phase") == "active"

    def processes_start_nowait(self, name: str) -> None:
        """Start one that is expected not to become healthy."""
        with contextlib.suppress(Refused):
            ask(self.stack.paths.control_socket, {"do": "start", "name": name, "wait_s": 0}, timeout_s=PATIENCE_S)

    def processes(self, action: str, name: str) -> None:
        """An operator's `manage.py process stop|start|restart NAME`, without the start of a Python."""
        request = {"do": action, "name": name, "wait_s": PATIENCE_S}
        ask(self.stack.paths.control_socket, request, timeout_s=3 * PATIENCE_S)

    def workers(self) -> list[str]:
        return [name for name in WORKERS if name in self.stack.processes()]

    def wait_for_active(self, *, other_than: str | None = None, timeout_s: float = PATIENCE_S) -> str:
        found: list[str] = []

        def is_there() -> bool:
            names = [name for name in self.workers() if name != other_than and self._trades(name)]
            found[:] = names[:1]
            return bool(found)

        self.until(is_there, "an active worker", timeout_s=timeout_s)
        return found[0]

    # -- PostgreSQL ---------------------------------------------------------------------------------------------------
    def postgres(self, *, autocommit: bool = True) -> psycopg.Connection[Any]:
        """A connection as the owner, as soon as the server takes one: a fault may just have killed it."""
        found: list[psycopg.Connection[Any]] = []

        def connect() -> bool:
            with contextlib.suppress(psycopg.OperationalError):
                found.append(psycopg.connect(self.stack.dsn, autocommit=autocommit, connect_timeout=2))
            return bool(found)

        self.until(connect, "PostgreSQL")
        return found[0]

    # -- orders -------------------------------------------------------------------------------------------------------
    def place(self, client_id: str, *, side: str, price: str, quantity: str) -> Operation:
        """One limit order of the first account beside the load, in its history; returns when it ended."""
        history = self.crowd.histories.accounts[0]
        params = {
            "symbol": SYMBOL, "side": side, "type": "LIMIT", "timeInForce": "GTC", "price": price,
            "quantity": quantity, "newClientOrderId": client_id, "newOrderRespType": "FULL",
        }  # fmt: skip
        operation = history.invoke(Kind.PLACE, client_id, params)
        with Dialect(self.stack.base_url, history.account, timeout_s=ANSWER_TIMEOUT_S) as client:
            try:
                status, body = client.signed("POST", "/api/v3/order", **params)
            except Unknown as error:
                operation.end(Outcome.UNKNOWN, body=str(error))
            else:
                operation.end(outcome_of(status), status=status, body=body)
        return operation

    def deposit(self) -> None:
        """One unit of money for the first account, by a row in the outbox as any deposit has."""
        self._deposits += 1
        history = self.crowd.histories.accounts[0]
        account_id, key = history.account.account_id, f"chaos:{history.account.account_id}:{self._deposits}"
        done: list[bool] = []

        def insert() -> bool:
            """The same key again where the answer to a commit was lost."""
            with contextlib.suppress(psycopg.OperationalError), self.postgres() as database:
                row = database.execute("SELECT id FROM markets_asset WHERE code = 'USDT'").fetchone()
                assert row is not None
                money = {"asset_id": row[0], "amount_units": SCALE, "counter": 1, "key": key}
                credit = Credit(relay_seq=0, source=0, account_id=account_id, **money)
                database.execute(_DEPOSIT, [key, encode_command(credit)])
                done.append(True)
            return bool(done)

        self.until(insert, "deposit")
        history.funds["USDT"] = str(int(history.funds["USDT"]) + 1)

    def ask_snapshot(self) -> None:
        """A TICK that asks the active worker for a snapshot now: they are a minute apart, and trimming follows them."""
        tick = encode_command(Tick(flags=1))
        core = redis.Redis.from_url(redis_core(self.stack.paths).url, retry=Retry(NoBackoff(), 0), socket_timeout=5)
        # One that is lost, or done without an answer, does no harm: it asks and changes nothing.
        with contextlib.suppress(redis.RedisError), core, core.pipeline() as both:
            both.xadd("{spot}:commands", {"d": tick})
            both.incrby("{spot}:frames_in", 1)
            both.execute()

    def snapshots(self) -> list[Path]:
        """Files, newest first."""
        return sorted((self.stack.data_dir / "snapshots" / "spot").glob("*.snapshot"), reverse=True)

    def log(self) -> Log:
        """The log up to now as records."""
        self.follower.read()
        return read_log(self.follower.log)[0]

    # -- waiting ------------------------------------------------------------------------------------------------------
    def until(self, condition: Any, what: str, *, timeout_s: float = PATIENCE_S, poll_s: float = 0.05) -> None:
        """Until `condition()`; AssertionError with the state of everything after `timeout_s`."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            if self._crowd is not None:
                self._crowd.check()
            if time.monotonic() > deadline:
                health = {name: self.health(name) for name in self.running() if not name.startswith(("redis", "post"))}
                told = self._crowd.last_refusals() if self._crowd is not None else []
                raise AssertionError(f"no {what} within {timeout_s:.0f} s: {health}; clients were last told {told}")
            time.sleep(poll_s)

    def wait_until_trading(self, orders: int = 10, *, timeout_s: float = PATIENCE_S) -> None:
        """`orders` more acknowledgements."""
        goal = self.crowd.acknowledged() + orders
        self.until(lambda: self.crowd.acknowledged() >= goal, "acknowledgements", timeout_s=timeout_s)

    def wait_until_ready(self, *names: str, timeout_s: float = PATIENCE_S) -> None:
        """All processes (or those named) are healthy; the supervisor itself looks only once after a start."""
        for name in names or self.running():
            self.stack.wait_ready(name, timeout_s=timeout_s)
            if not name.startswith(("redis", "postgres")):
                self.until(
                    lambda name=name: self.health(name).get("status") == "ok", f"healthy {name}", timeout_s=timeout_s
                )

    def wait_until_settled(self, *, timeout_s: float = PATIENCE_S) -> None:
        """PostgreSQL has every event and every outbox row is answered."""
        core = redis.Redis.from_url(redis_core(self.stack.paths).url, socket_timeout=10)
        try:
            self.until(lambda: self._is_settled(core), "settled log", timeout_s=timeout_s, poll_s=0.2)
        finally:
            core.close()

    def _last_command_ms(self) -> int:
        commands = self.follower.log.commands
        return int(commands[-1][0].partition(b"-")[0]) if commands else 0

    def _is_settled(self, core: Any) -> bool:
        head = int(core.hget("{spot}:head", "seq") or 0)
        try:
            with psycopg.connect(self.stack.dsn, connect_timeout=2) as connection:
                row = connection.execute(
                    "SELECT seq, (SELECT count(*) FROM outbox_outboxrow WHERE state = 'waiting')"
                    " FROM matching_watermark WHERE shard = 'spot' AND reader = 'settlement'"
                ).fetchone()
        except psycopg.OperationalError:
            return False
        return row is not None and row == (head, 0)

    # -- judging ------------------------------------------------------------------------------------------------------
    def rest(self) -> None:
        """Stop the load and let everything that is under way arrive."""
        self.crowd.stop()
        self.wait_until_ready()
        # Orders still end by time after the load: a while of ticks behind the last of them.
        over_ms = self.crowd.histories.timers_end_ms() + TICKS_MS
        self.until(lambda: self._last_command_ms() > over_ms, "ticks after the last timer")
        self.wait_until_settled()

    def judge(self, *, full: bool = True) -> Verdict:
        """Stop the load, wait until everything is settled, and judge. The load stays stopped."""
        self.rest()
        return self.verdict(full=full)

    def verdict(self, *, full: bool = True) -> Verdict:
        """The judgement alone, of an exchange that a test has brought to rest itself."""
        return verdict(self.stack, self.crowd.histories, self.follower, full=full)
