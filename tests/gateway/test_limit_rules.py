"""The rules of the limits: as a table, in the script of redis-edge, and over several processes at once."""

import random
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import pytest
import redis

from apps.gateway.limits.admission import counted_address
from apps.gateway.limits.counting import FILLED_KEPT, KEYS_MAX, Charge, Counts, Credit, Usage, Verdict
from apps.gateway.limits.script import ADMIT
from apps.gateway.limits.tiers import PRODUCTION, tier_of, tiers
from tests.gateway.limiting import early_in_the_minute

MINUTE, DAY = 60_000, 86_400_000
# A day, and so every window, begins here.
START = 20_000 * DAY


def charge(
    weight: int = 1, *, address: str = "a", wallet: bool = False, account: int = 0, orders: int = 0, **limits: int
) -> Charge:
    return Charge(
        address, weight, int(wallet), limits.get("weight_max", 10), limits.get("requests_max", 1000), account, orders,
        limits.get("ten_max", 3), limits.get("day_max", 5),
    )  # fmt: skip


def play(counts: Counts, *steps: tuple[int, Charge]) -> list[tuple[Verdict, int]]:
    """(verdict, until when, from START) of each request."""
    found = [counts.admit(each, START + at_ms) for at_ms, each in steps]
    return [(Verdict(usage.verdict), usage.until_ms and usage.until_ms - START) for usage in found]


FITS = (Verdict.ADMITTED, 0)


def test_weight_of_an_address_in_a_minute() -> None:
    counts = Counts()
    assert play(
        counts, (0, charge(6)), (1, charge(5)), (59_999, charge(4)), (59_999, charge(1)),
        (59_999, charge(10, address="b")), (59_999, charge(10, wallet=True)), (MINUTE, charge(10)),
    ) == [
        FITS, (Verdict.WEIGHT, MINUTE), FITS, (Verdict.WEIGHT, MINUTE), FITS, FITS, FITS,
    ]  # fmt: skip


def test_requests_count_also_when_refused() -> None:
    counts = Counts()
    many = charge(0, requests_max=2)
    assert play(counts, (0, charge(11, requests_max=2)), (1, many), (2, many), (5 * MINUTE, many)) == [
        (Verdict.WEIGHT, MINUTE), FITS, (Verdict.REQUESTS, 5 * MINUTE), FITS,
    ]  # fmt: skip


def test_orders_of_an_account() -> None:
    counts = Counts()
    one, two = (charge(0, account=7, orders=number) for number in (1, 2))
    assert play(
        counts, (0, two), (1, two), (2, one), (3, one), (3, charge(0, account=8, orders=3)), (10_000, two),
        (20_000, one), (DAY, one),
    ) == [
        FITS, (Verdict.ORDERS_10_S, 10_000), FITS, (Verdict.ORDERS_10_S, 10_000), FITS, FITS,
        (Verdict.ORDERS_DAY, DAY), FITS,
    ]  # fmt: skip
    shown = counts.admit(charge(0, account=7), START + DAY)
    assert (shown.orders_10_s, shown.orders_day) == (1, 1)


def test_bans_grow_and_are_forgotten() -> None:
    counts = Counts(violations_max=3)
    over, light = charge(11), charge(1)

    def ban(at_ms: int) -> int:
        first, second, third = play(counts, (at_ms, over), (at_ms, over), (at_ms, over))
        assert first[0] == second[0] == Verdict.WEIGHT
        assert third[0] == Verdict.BANNED
        until = third[1]
        assert play(counts, (until - 1, light), (until, light)) == [(Verdict.BANNED, until), FITS]
        return until - at_ms

    assert [ban(0), ban(10 * MINUTE), ban(60 * MINUTE)] == [2 * MINUTE, 8 * MINUTE, 32 * MINUTE]
    assert ban(DAY) == 128 * MINUTE
    assert [ban(day * DAY) for day in (2, 3, 5)][-1] == 3 * DAY
    assert ban(12 * DAY) == 2 * MINUTE


def test_two_slow_refusals_are_no_ban() -> None:
    counts = Counts(violations_max=3)
    over = charge(11)
    assert [verdict for verdict, _ in play(counts, *((at * MINUTE, over) for at in range(20)))] == [Verdict.WEIGHT] * 20


def test_orders_refused_do_not_ban() -> None:
    counts = Counts(violations_max=2)
    assert {verdict for verdict, _ in play(counts, *((at, charge(0, account=7, orders=4)) for at in range(20)))} == {
        Verdict.ORDERS_10_S
    }


def test_an_order_that_trades_gives_back_what_it_counted() -> None:
    """The dialect's second example: five orders, the first trades, two more, its rest, the second trades, one more."""
    counts = Counts()

    def used(orders: int) -> tuple[int, int]:
        usage = counts.admit(charge(account=7, orders=orders, ten_max=100, day_max=100, weight_max=1000), START)
        return usage.orders_10_s, usage.orders_day

    assert [used(1) for _ in range(5)] == [(n, n) for n in range(1, 6)]
    counts.credit(Credit(7, 11, 5), START)
    assert used(0) == (0, 0)
    assert used(2) == (2, 2)
    counts.credit(Credit(7, 11, 5), START)
    assert used(0) == (2, 2)
    counts.credit(Credit(7, 12, 5), START)
    # There is no credit below nothing.
    assert used(1) == (1, 1)
    counts.credit(Credit(7, 13, 1), START)
    assert used(0) == (0, 0)
    assert counts.admit(charge(account=8, orders=3, weight_max=1000), START).orders_day == 3


def test_filled_orders_are_forgotten_when_there_are_too_many(edge: redis.Redis) -> None:
    run, counts = script(edge), Counts()
    for order_id in range(FILLED_KEPT + 50):
        now_ms, _ = run([], 100, (Credit(7, order_id, 1),))
        counts.credit(Credit(7, order_id, 1), now_ms)
    assert edge.zcard("limits:filled:7") == len(counts._account(7, now_ms).filled) == FILLED_KEPT
    assert 0 < edge.pttl("limits:filled:7") <= DAY


def test_memory_is_bounded() -> None:
    counts = Counts()
    for number in range(KEYS_MAX + 10):
        counts.admit(charge(address=str(number), account=number + 1), START)
    assert len(counts._addresses) == len(counts._accounts) == KEYS_MAX


def test_addresses() -> None:
    """A customer's IPv6 addresses share their first 64 bits."""
    assert counted_address("192.0.2.7") == "192.0.2.7"
    assert counted_address("2001:db8:1:2:3::4") == counted_address("2001:db8:1:2::9") == "2001:db8:1:2::/64"
    assert counted_address("2001:db8:1:3::9") == "2001:db8:1:3::/64"
    assert counted_address("::ffff:192.0.2.7") == "192.0.2.7"
    assert counted_address("") == ""


def test_tiers() -> None:
    assert tiers(1)["standard"] == PRODUCTION
    assert tiers(1)["demo"].weight_per_minute == tiers(100)["standard"].weight_per_minute == 600_000
    assert tiers(100)["demo"] == tiers(100)["standard"]
    assert tier_of(tiers(1), "demo").orders_per_10_s == 10_000
    assert tier_of(tiers(1), "unheard of") == PRODUCTION


# -- in redis-edge ----------------------------------------------------------------------------------------------------
def script(edge: redis.Redis) -> Callable[..., tuple[int, list[Usage]]]:
    admit = edge.register_script(ADMIT)

    def run(charges: list[Charge], violations_max: int, filled: list[Credit] | None = None) -> tuple[int, list[Usage]]:
        answer: Any = admit(
            args=[msgspec.msgpack.encode(charges), violations_max, msgspec.msgpack.encode(filled or [])]
        )
        return msgspec.msgpack.decode(answer, type=tuple[int, list[Usage]])

    return run


@pytest.mark.parametrize("seed", range(4))
def test_the_script_decides_as_the_rules_do(edge: redis.Redis, seed: int) -> None:
    """Random requests, in batches; the rules are told the server's time. Each ban is over when its key is altered."""
    draw, run, counts = random.Random(seed), script(edge), Counts(violations_max=5)
    seen: set[int] = set()
    for _ in range(150):
        charges = [
            charge(
                draw.choice((0, 1, 1, 20, 300)), address=draw.choice("abc"), wallet=draw.random() < 0.2,
                account=draw.choice((0, 7, 8, 2**53)), orders=draw.choice((0, 0, 1, 3)), weight_max=2000,
                requests_max=draw.choice((60, *[10_000] * 9)), ten_max=draw.choice((6, 100)), day_max=30,
            )
            for _ in range(draw.randrange(1, 8))
        ]  # fmt: skip
        filled = tuple(
            Credit(draw.choice((7, 8, 2**53)), draw.randrange(1, 400), draw.choice((1, 1, 1, 5)))
            for _ in range(draw.choice((*[0] * 10, 1, 2)))
        )
        now_ms, usages = run(charges, 5, filled)
        for each in filled:
            counts.credit(each, now_ms)
        assert usages == [counts.admit(each, now_ms) for each in charges], f"seed {seed}"
        seen |= {usage.verdict for usage in usages}
        if draw.random() < 0.1:
            for name in "abc":
                edge.hset(f"limits:ip:{name}", mapping={"u": now_ms - 1})
                counts._address(name, now_ms).banned_until_ms = now_ms - 1
    assert seen == set(Verdict)


def test_windows_of_the_script_end(edge: redis.Redis) -> None:
    """What stands there from a window that is over counts nothing; keys go by themselves."""
    run = script(edge)
    edge.hset("limits:ip:a", mapping={"m": 1, "w": 10, "s": 10, "f": 1, "r": 1000, "p": 1, "v": 99, "u": 1, "n": 3})
    edge.hset("limits:orders:7", mapping={"t": 1, "a": 3, "d": 1, "b": 5})
    _, [usage] = run([charge(10, account=7, orders=3)], 100)
    assert usage == Usage(Verdict.ADMITTED, 0, 10, 1, 3, 3)
    assert edge.hget("limits:ip:a", "n") == b"0"
    assert 0 < edge.pttl("limits:ip:a") <= 600_000
    assert 0 < edge.pttl("limits:orders:7") <= DAY


def test_a_ban_outlives_its_windows(edge: redis.Redis) -> None:
    run = script(edge)
    now_ms, [usage] = run([charge(11)], 1)
    assert (usage.verdict, usage.until_ms) == (Verdict.BANNED, now_ms + 2 * MINUTE)
    assert edge.pttl("limits:ip:a") > 3 * DAY


COUNTER = """
import sys, msgspec, redis
from apps.gateway.limits.counting import Charge, Usage
from apps.gateway.limits.script import ADMIT
admit = redis.Redis.from_url(sys.argv[1]).register_script(ADMIT)
batch = msgspec.msgpack.encode([Charge("a", 1, 0, 600, 10**6, 7, 1, 10**6, 500)])
print("ready", flush=True)
sys.stdin.read(1)
passed = 0
for _ in range(300):
    now, [usage] = msgspec.msgpack.decode(admit(args=[batch, 10**6, b"\\x90"]), type=tuple[int, list[Usage]])
    passed += usage.verdict == 0
print(passed)
"""


def test_several_processes_share_one_limit(edge: redis.Redis, redis_edge_url: str) -> None:
    """Three processes ask 900 times side by side: exactly the 500 orders that fit pass, whoever comes first."""
    clients = [
        subprocess.Popen(
            [sys.executable, "-c", COUNTER, redis_edge_url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    for each in clients:
        assert each.stdout is not None
        assert each.stdout.readline() == "ready\n"
    # Not before: a busy machine takes a while to start them.
    early_in_the_minute()
    with ThreadPoolExecutor(3) as pool:
        passed = [int(said[0]) for said in pool.map(lambda each: each.communicate("x"), clients)]
    assert sum(passed) == 500, passed
    assert edge.hget("limits:ip:a", "w") == b"600"
