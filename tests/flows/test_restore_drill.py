"""The restore drill: a backup under load, restored elsewhere, trades on with every order it had acknowledged (E12).

The exchange that was backed up keeps trading; the restored one is a new data directory and new servers. In `make long`
both commands are also killed in the middle, as an impatient operator would.
"""

import contextlib
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from nebannpet.backup.manifest import NAME
from tests.dialect import Dialect, demo_account
from tests.flows.judge import faults
from tests.flows.load import History, Trader
from tests.stack import BASE_DIR, MANAGE, TRADING, Stack

pytestmark = [pytest.mark.stack, pytest.mark.timeout(400)]

TRADERS = 3
ORDERS_BEFORE = 60
PATIENCE_S = 60.0


def until(condition: Callable[[], bool], what: str, traders: list[Trader]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        for trader in traders:
            if trader.failure is not None:
                raise trader.failure
        assert time.monotonic() < deadline, f"{what}: not within {PATIENCE_S:.0f} s"
        time.sleep(0.02)


def manage(stack: Stack, *arguments: str, crash_at: str = "") -> subprocess.CompletedProcess[str]:
    """Killed as by kill -9 at the named point, if one is named."""
    environment = dict(stack.environment)
    with tempfile.TemporaryDirectory() as directory:
        if crash_at:
            plan = Path(directory) / "plan"
            plan.write_text(f"{crash_at}:1\n")
            environment["CRASH_AT"] = str(plan)
        return subprocess.run(
            [sys.executable, MANAGE, *arguments], cwd=BASE_DIR, env=environment, capture_output=True, text=True
        )


@contextlib.contextmanager
def places() -> Iterator[Path]:
    """For sets and the new data directory; short, because sockets' paths have a limit."""
    base = Path(tempfile.mkdtemp(prefix="nebannpet-drill-"))
    try:
        yield base
    finally:
        shutil.rmtree(base, ignore_errors=True)


@contextlib.contextmanager
def trading(stack: Stack, *, seed: int) -> Iterator[list[Trader]]:
    accounts = [demo_account(stack, f"drill{n}", LTC="100000", USDT="10000000") for n in range(TRADERS)]
    stopped = threading.Event()
    traders = [Trader(stack, account, seed=seed + n, stopped=stopped) for n, account in enumerate(accounts)]
    for trader in traders:
        trader.start()
    try:
        until(lambda: sum(len(t.history.acknowledged) for t in traders) >= ORDERS_BEFORE, "orders", traders)
        yield traders
    finally:
        stopped.set()
        for trader in traders:
            trader.join(timeout=60)
    for trader in traders:
        assert not trader.is_alive()
        assert trader.failure is None


def as_known_at(trader: Trader) -> History:
    """What a trader had been told by now. Taken while it trades: the copy of a dictionary is one step."""
    history = trader.history
    canceled = set(history.canceled)
    return History(history.account, dict(history.acknowledged), canceled, set(history.unknown))


@pytest.mark.parametrize("killed", [False, pytest.param(True, marks=pytest.mark.long)])
def test_restore_drill(killed: bool) -> None:
    """`killed`: both commands are also killed on the way, in `make long`; `make test` breaks them off in their own
    process (tests/nebannpet/test_restore.py, test_backup.py).
    """
    seed = secrets.randbits(32)
    print(f"seed {seed}")
    with places() as base, Stack(PROCESSES=f"{TRADING},archive") as old:
        with trading(old, seed=seed) as traders:
            if killed:
                interrupted_backup(old, base)
            before = [as_known_at(trader) for trader in traders]
            acknowledged_before = sum(len(history.acknowledged) for history in before)
            made = manage(old, "backup", str(base / "set"))
            assert made.returncode == 0, made.stderr
            print(made.stdout)
            after_backup = sum(len(trader.history.acknowledged) for trader in traders) + 20
            until(lambda: sum(len(t.history.acknowledged) for t in traders) >= after_backup, "trading on", traders)
        assert after_backup - 20 > acknowledged_before, "nobody traded during the backup: this run proves nothing"
        everything = [trader.history for trader in traders]
        restored_elsewhere(old, base, before, everything, killed=killed)


def interrupted_backup(old: Stack, base: Path) -> None:
    """It is told from a whole one, and its cursors do not stop the next one."""
    died = manage(old, "backup", str(base / "died"), crash_at="backup.manifest.before")
    assert died.returncode == -signal.SIGKILL
    assert (base / "died" / "postgres" / "database.dump").exists()
    refused = manage(old, "restore", "--check", str(base / "died"))
    assert refused.returncode != 0
    assert "interrupted" in refused.stderr


def interrupted_restore(new: Stack, base: Path) -> None:
    """Killed after the database, after the log: the same command again goes on, and nothing starts before it did."""
    for point in ("restore.database.after", "restore.log.after"):
        assert manage(new, "restore", str(base / "set"), crash_at=point).returncode == -signal.SIGKILL
    half = subprocess.run(
        [sys.executable, "-m", "nebannpet.supervisor"],
        cwd=BASE_DIR, env=new.environment, capture_output=True, text=True,
    )  # fmt: skip
    assert (half.returncode, "broke off" in half.stderr) == (5, True), half.stderr


def restored_elsewhere(
    old: Stack, base: Path, before: list[History], everything: list[History], *, killed: bool
) -> None:
    new = Stack(data_dir=base / "new", PROCESSES=f"{TRADING},archive")
    try:
        if killed:
            interrupted_restore(new, base)
        print(new.manage("restore", str(base / "set")))

        with new:
            answer = new.manage("reconcile")
            assert "equal" in answer, answer
            assert judged(new, before, everything) == []
            trades_on(new, everything[0])
            assert "equal" in new.manage("reconcile")
    finally:
        new.stop()
    assert "equal" in old.manage("reconcile")
    assert faults(old.dsn, everything) == []
    assert not (base / "new" / NAME).exists()


def judged(new: Stack, before: list[History], everything: list[History]) -> list[str]:
    """Every order acknowledged before the backup began exists once; later ones may be there, and nobody else's.

    An order that rested then may have been cancelled or filled further by the time of the backup's point.
    """
    histories = []
    for early, late in zip(before, everything, strict=True):
        later = (late.acknowledged.keys() | late.unknown) - early.acknowledged.keys()
        histories.append(History(early.account, early.acknowledged, early.canceled, set(later)))
    return faults(new.dsn, histories)


def trades_on(new: Stack, history: History) -> None:
    """A trader of before, with the key it had: the balance is there, an order is taken and settled."""
    with Dialect(new.base_url, history.account) as client:
        assert client.balances()
        made = client.order(
            symbol="LTCUSDT", side="BUY", type="LIMIT", timeInForce="GTC", price="50.00", quantity="0.1",
            newClientOrderId="after-the-restore",
        )  # fmt: skip
        with psycopg.connect(new.dsn) as connection:
            newest = connection.execute("SELECT max(id) FROM orders_order WHERE client_order_id LIKE 'h%'").fetchone()
        assert newest is not None
        assert made["orderId"] > newest[0], "an order id was given twice"
