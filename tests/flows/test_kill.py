"""kill -9 of each process under load, three times each: what was acknowledged exists exactly once (T13, S5)."""

import random
import secrets
import threading

import pytest

from tests.dialect import demo_account
from tests.flows.judge import faults
from tests.flows.load import Trader
from tests.stack import Stack

pytestmark = [pytest.mark.stack, pytest.mark.timeout(400)]

VICTIMS = ("matching", "gateway", "settlement", "marketdata", "redis-core", "postgres")
KILLS_EACH = 3
TRADERS = 4
ORDERS_BETWEEN_KILLS = 20
PATIENCE_S = 60.0


def acknowledged(traders: list[Trader]) -> int:
    return sum(len(trader.history.acknowledged) for trader in traders)


def wait_for_orders(traders: list[Trader], count: int, pause: threading.Event) -> None:
    """Until `count` more orders were acknowledged: the exchange trades again."""
    goal = acknowledged(traders) + count
    for _ in range(int(PATIENCE_S / 0.05)):
        if acknowledged(traders) >= goal:
            return
        for trader in traders:
            if trader.failure is not None:
                raise trader.failure
        pause.wait(0.05)
    raise AssertionError(f"no orders acknowledged for {PATIENCE_S:.0f} s: {[t.history.refused[-1:] for t in traders]}")


def test_kill_every_process_three_times_under_load() -> None:
    seed = secrets.randbits(32)
    print(f"seed {seed}")
    draw = random.Random(seed)
    order = [victim for victim in VICTIMS for _ in range(KILLS_EACH)]
    draw.shuffle(order)
    stopped, never = threading.Event(), threading.Event()
    with Stack() as stack:
        accounts = [demo_account(stack, f"trader{n}", LTC="100000", USDT="10000000") for n in range(TRADERS)]
        traders = [
            Trader(stack, account, seed=seed + number, stopped=stopped) for number, account in enumerate(accounts)
        ]
        for trader in traders:
            trader.start()
        wait_for_orders(traders, ORDERS_BETWEEN_KILLS, never)
        for victim in order:
            stack.kill(victim)
            stack.wait_ready(victim)
            wait_for_orders(traders, draw.randint(1, ORDERS_BETWEEN_KILLS), never)
        stopped.set()
        for trader in traders:
            trader.join(timeout=30)
            assert trader.failure is None
            assert not trader.is_alive()
        for name in (*VICTIMS, "outbox", "site"):
            stack.wait_ready(name)
        answer = stack.manage("reconcile")
        assert "equal" in answer, answer
        histories = [trader.history for trader in traders]
        assert faults(stack.dsn, histories) == []
        print(
            {
                "acknowledged": sum(len(h.acknowledged) for h in histories),
                "canceled": sum(len(h.canceled) for h in histories),
                "unknown": sum(len(h.unknown) for h in histories),
                "refused": sum(len(h.refused) for h in histories),
            }
        )
