"""The runbooks' last resorts, as docs/backup-and-restore.md has them: snapshots, log, then PostgreSQL are lost.

One exchange, one loss after the other; after each the books are equal again and trading goes on.
"""

import json
import secrets
import shutil
import signal
from pathlib import Path

import pytest

from tests.dialect import Account, Dialect, demo_account
from tests.flows.load import History
from tests.flows.test_restore_drill import manage, places, trades_on, trading
from tests.stack import Stack

pytestmark = [pytest.mark.stack, pytest.mark.long, pytest.mark.timeout(900)]

LIMIT = {"symbol": "LTCUSDT", "type": "LIMIT", "timeInForce": "GTC", "side": "BUY", "quantity": "0.1"}


def orders_known(stack: Stack, account: Account) -> set[str]:
    with Dialect(stack.base_url, account) as client:
        return {order["clientOrderId"] for order in client.ok("GET", "/api/v3/allOrders", symbol="LTCUSDT", limit=1000)}


def place(stack: Stack, account: Account, name: str) -> None:
    with Dialect(stack.base_url, account) as client:
        client.order(**LIMIT, price="50.00", newClientOrderId=name)


def halt_reason(stack: Stack) -> str:
    from nebannpet.health import ask_health

    status, details = ask_health(stack.paths.health_socket("matching"), timeout_s=20)
    assert status == 503
    return str(details["halt_reason"])


def until_halted(stack: Stack, reason: str) -> None:
    from tests.matching.waiting import until

    def halted() -> bool:
        try:
            return halt_reason(stack) == reason
        except (OSError, AssertionError, KeyError, ValueError):
            return False

    until(halted, timeout_s=60, what=f"matching halted: {reason}")


def test_snapshots_then_log_then_postgresql_are_lost() -> None:
    seed = secrets.randbits(32)
    print(f"seed {seed}")
    with places() as base, Stack() as stack:
        with trading(stack, seed=seed) as traders:
            pass
        account = traders[0].history.account
        stack.manage("backup", str(base / "set"))
        late = demo_account(stack, "late", USDT="1000")
        place(stack, late, "after-the-backup")

        snapshots_are_lost(stack)
        place(stack, account, "after-the-snapshots")
        log_is_lost(stack)
        place(stack, account, "after-the-log")
        postgresql_is_lost(stack, base)
        assert {"after-the-snapshots", "after-the-log"} <= orders_known(stack, account)
        trades_on(stack, History(account))


def snapshots_are_lost(stack: Stack) -> None:
    """runbook no-usable-snapshot: the log was trimmed, and no snapshot is left."""
    directory = stack.data_dir / "snapshots" / "spot"
    for _ in range(4):  # the third kept one allows the first trimming
        stack.manage("engine_status")
    stack.manage("process", "stop", "matching")
    trimmed = json.loads(stack.manage("verify_log", "--json"))
    print(trimmed)
    shutil.move(directory, directory.with_name("gone"))
    stack.manage("process", "start", "matching", "--wait", "5", check=False)
    until_halted(stack, "no-usable-snapshot")
    print(stack.manage("rebuild", "snapshot"))
    stack.manage("process", "restart", "matching")
    assert "equal" in stack.manage("reconcile")


def log_is_lost(stack: Stack) -> None:
    """runbook log-behind-postgres, step 3: redis-core's disk is gone, the archive is there."""
    refused = manage(stack, "rebuild", "log", "--what-is-missing-is-lost")
    assert refused.returncode == 3, "it must not run beside the exchange"
    stack.stop_processes()
    shutil.move(stack.data_dir / "redis-core", stack.data_dir / "redis-core.damaged")
    print(stack.manage("rebuild", "log", "--what-is-missing-is-lost"))
    stack.start()
    assert "equal" in stack.manage("reconcile")
    assert "whole" in stack.manage("verify_log")


def postgresql_is_lost(stack: Stack, base: Path) -> None:
    """backup-and-restore.md, 'PostgreSQL from an older backup'."""
    stack.stop_processes()
    shutil.move(stack.data_dir / "postgres", stack.data_dir / "postgres.broken")
    print(stack.manage("restore", str(base / "set"), "--database-only"))
    environment = dict(stack.environment)
    stack.environment |= {"PROCESSES": "archive", "DEMO_DATA": "0"}
    stack.start()
    print(stack.manage("settle", "--from", "archive"))
    stack.stop_processes(signal.SIGINT)
    stack.environment.clear()
    stack.environment.update(environment)
    stack.start()
    assert "equal" in stack.manage("reconcile")
