"""The loss of a whole site under load: the second one has every acknowledged order and trades on (E13).

Rehearsed on loopback with separate data directories, servers and processes (tests/flows/second_site.py); the judge is
that of the chaos rig. docs/two-sites.md has the same steps for two hosts.
"""

import contextlib
import itertools
import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
import redis

from apps.streams.bus.redis import RedisBus
from nebannpet.embedded import redis_core
from nebannpet.health import ask_health
from tests.chaos.follower import Follower
from tests.chaos.history import Histories, History, Kind, Operation, Outcome
from tests.chaos.judge.verdict import verdict
from tests.chaos.load.crowd import Crowd, Size
from tests.chaos.load.forms import SYMBOL
from tests.chaos.load.trader import outcome_of
from tests.dialect import Dialect, Unknown, demo_account
from tests.flows.second_site import SHARED, SecondSite, kill_site, paused, until
from tests.stack import Stack

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]

# What the short rehearsal needs; each further process is a second of start on two sites.
FEW = "settlement,archive,marketdata,outbox,gateway"


@pytest.fixture
def site(tmp_path: Path) -> SecondSite:
    return SecondSite(tmp_path)


@contextlib.contextmanager
def two_sites(site: SecondSite, **environment: str) -> Iterator[Stack]:
    """The first site, whose readers read from the second one's replica, and the second one behind it."""
    first = Stack(REDIS_CORE_READ_URL=site.core_url, **SHARED, **environment)
    with site.replica(redis_core(first.paths).url), first, site.standby(first.dsn):
        yield first


def crowd_on(first: Stack) -> Crowd:
    seed = secrets.randbits(32)
    print(f"seed {seed}")
    return Crowd(first, seed=seed, size=Size(accounts=2))


def until_acknowledged(crowd: Crowd, more: int) -> None:
    goal = crowd.acknowledged() + more

    def reached() -> bool:
        crowd.check()
        return crowd.acknowledged() >= goal

    until(reached, f"{more} more acknowledgements; clients were last told {crowd.last_refusals()}")


def place(stack: Stack, history: History, client_id: str, *, side: str) -> Operation:
    """One limit order, in the trader's history whatever comes of it."""
    params = {
        "symbol": SYMBOL, "side": side, "type": "LIMIT", "timeInForce": "GTC", "price": "100.00", "quantity": "0.5",
        "newClientOrderId": client_id, "newOrderRespType": "FULL",
    }  # fmt: skip
    operation = history.invoke(Kind.PLACE, client_id, params)
    with Dialect(stack.base_url, history.account, timeout_s=30) as client:
        try:
            status, body = client.signed("POST", "/api/v3/order", **params)
        except Unknown as error:
            operation.end(Outcome.UNKNOWN, body=str(error))
        else:
            operation.end(outcome_of(status), status=status, body=body)
    return operation


def trade(stack: Stack, histories: Histories, prefix: str) -> None:
    """Each account twice, so that each order but the first meets the one before; all must be acknowledged.

    As any client, it asks again where it is told that nothing happened (503): a busy machine is no fault.
    """
    deadline_s = time.monotonic() + 30
    for number, history in enumerate(histories.accounts * 2):
        for attempt in itertools.count():
            operation = place(stack, history, f"{prefix}-{number}-{attempt}", side=("BUY", "SELL")[number % 2])
            if operation.status != 503 or time.monotonic() > deadline_s:
                break
            time.sleep(0.1)
        assert operation.outcome is Outcome.OK, (operation.status, operation.body)


def judge(site: SecondSite, second: Stack, histories: Histories) -> None:
    """Everything that anybody was told on either site stands on the second one, once; replay and reconcile agree."""
    site.wait_until_settled()
    found = verdict(second, histories, Follower(site.core_url))
    print(found.counts)
    assert found.broken == []


def checked(site: SecondSite) -> str:
    status, output = site.promote("--check")
    assert status == 0, output
    return output


@contextlib.contextmanager
def altered_balance(first: Stack, account_id: int) -> Iterator[None]:
    """One unit too much for an account that rests, as a hand in the database would do it; put right afterwards."""
    statement = (
        "UPDATE ledger_balance SET available_units = available_units + %s, posted_units = posted_units + %s"
        " WHERE account_id = %s AND asset_id = (SELECT min(asset_id) FROM ledger_balance WHERE account_id = %s)"
    )
    for units in (1, -1):
        with psycopg.connect(first.dsn) as owner:
            owner.execute("SET session_replication_role = replica")
            assert owner.execute(statement, [units, units, account_id, account_id]).rowcount == 1
        if units == 1:
            yield


@contextlib.contextmanager
def altered_events(site: SecondSite, alter: Callable[[bytes], bytes]) -> Iterator[None]:
    """Other bytes in the replica's newest event entry, under the chain of the true ones; put right afterwards."""
    with redis.Redis.from_url(site.core_url) as client:
        client.config_set("replica-read-only", "no")
        key = "{spot}:events"
        ((entry_id, fields),) = client.xrevrange(key, count=1)
        seq = int(entry_id.split(b"-")[0])
        for body in (alter(fields[b"d"]), fields[b"d"]):
            client.xdel(key, entry_id)
            client.execute_command("XSETID", key, f"{seq - 1}-0")
            client.xadd(key, {**fields, b"d": body}, id=entry_id)  # type: ignore[arg-type]
            if body is not fields[b"d"]:
                yield
        client.config_set("replica-read-only", "yes")


def test_the_first_site_is_lost_under_load(site: SecondSite) -> None:
    """The promotion refuses while the first site lives, then compares, serves, and everything acknowledged is there."""
    with contextlib.ExitStack() as stack:
        first = stack.enter_context(two_sites(site, PROCESSES=f"matching,{FEW}"))
        crowd = crowd_on(first)
        crowd.start()
        until_acknowledged(crowd, 30)
        status, output = site.promote()
        assert status == 1, output
        assert "The primary site is alive: commands arrive through the replica, its redis-core answers" in output
        until_acknowledged(crowd, 10)
        kill_site(first)
        lost_s = time.monotonic()
        crowd.stop()

        status, output = site.promote()
        assert status == 0, output
        promoted_s = time.monotonic()
        assert "ledger: equal at event" in output
        assert "promoted: PostgreSQL\npromoted: redis-core\n" in output
        assert "WARNING: this site now has the only copy" in output
        assert "replicaof" not in site.core_config().read_text()
        until(lambda: site.worker().get("phase") == "active", "the standby worker took over")
        active_s = time.monotonic()
        with site.serving(PROCESSES=FEW) as second:
            trade(second, crowd.histories, "after")
            times = {"promoted": promoted_s, "active": active_s, "traded": time.monotonic()}
            print({f"{what} after, s": round(at_s - lost_s, 1) for what, at_s in times.items()})
            judge(site, second, crowd.histories)


@pytest.mark.long
def test_a_site_that_differs_is_told_before_anything_is_lost(site: SecondSite) -> None:
    """What a promotion would refuse, and by which check. Nothing moves meanwhile but the ticks.

    `make test` has each of these checks on one site: tests/orders/promotion/test_checks.py.
    """
    with two_sites(site, PROCESSES=f"matching,{FEW}") as first:
        crowd = crowd_on(first)
        bystander = demo_account(first, "bystander", LTC="1")
        trade(first, crowd.histories, "before")
        assert "equal: this site could serve" in checked(site)
        with altered_balance(first, bystander.account_id):
            status, output = site.promote("--check")
            assert (status, "check 'ledger' failed" in output) == (1, True), output
            assert f"account {bystander.account_id}, asset" in output
        with altered_events(site, lambda body: body[:-1] + bytes([body[-1] ^ 1])):
            status, output = site.promote("--check")
            assert (status, "check 'replay' failed" in output) == (1, True), output


def head_of(core_url: str) -> tuple[int, str]:
    with redis.Redis.from_url(core_url) as client:
        seq, chain = client.hmget("{spot}:head", "seq", "chain")
    return int(seq or 0), (chain or b"").decode()


def watermark(dsn: str) -> int:
    with psycopg.connect(dsn) as connection:
        row = connection.execute("SELECT seq FROM matching_watermark WHERE reader = 'settlement'").fetchone()
    assert row is not None
    return int(row[0])


@pytest.mark.long
def test_a_paused_site_is_replaced_by_itself_and_acknowledges_nothing_when_it_comes_back(site: SecondSite) -> None:
    """Its clients go on asking all the time. Their unanswered orders may be executed nowhere, or once, and not here."""
    with contextlib.ExitStack() as stack:
        first = stack.enter_context(two_sites(site))
        crowd = crowd_on(first)
        crowd.start()
        until_acknowledged(crowd, 30)
        watch = stack.enter_context(site.watching(after_s=5))
        until_acknowledged(crowd, 10)
        with paused(first):
            assert watch.wait(timeout=120) == 0, site.log("watch")
            until(lambda: site.worker().get("phase") == "active", "the standby worker took over")
            second = stack.enter_context(site.serving())
            trade(second, crowd.histories, "meanwhile")
        resumed_s = time.monotonic()
        settled = watermark(first.dsn)
        until(lambda: ask_health(first.paths.health_socket("gateway"))[1]["events"] is False, "the gateway noticed")
        for number, history in enumerate(crowd.histories.accounts * 4):
            operation = place(first, history, f"late-{number}", side="BUY")
            assert operation.outcome is not Outcome.OK
            assert operation.status in (0, 503, 504), (operation.status, operation.body)
        crowd.stop()
        late = [op for op in crowd.histories.operations(Kind.PLACE, Outcome.OK) if op.invoked_s > resumed_s]
        assert late == []
        assert watermark(first.dsn) == settled, "the old site settled something after the promotion"
        trade(second, crowd.histories, "afterwards")
        judge(site, second, crowd.histories)
        # An orderly stop would wait for processes that hang in a commit, which is what fences them.
        kill_site(first)


@pytest.mark.long
def test_without_reading_from_the_replica_a_lost_tail_is_found_and_refused(site: SecondSite) -> None:
    """What REDIS_CORE_READ_URL is for: an answer that only one site has. The second one knows, and does not serve.

    Then two redis-core with two histories (fault-F11): the numbers are given out again, only the chain tells.
    """
    first = Stack(**SHARED)
    with site.replica(redis_core(first.paths).url), first, site.standby(first.dsn):
        crowd = crowd_on(first)
        trade(first, crowd.histories, "before")
        until(lambda: checked(site), "the sites agree")
        assert site.line is not None
        site.line.cut()
        trade(first, crowd.histories, "lost")
        until(lambda: watermark(first.dsn) == head_of(redis_core(first.paths).url)[0], "PostgreSQL settled it")
        kill_site(first)
        status, output = site.promote()
        assert (status, "check 'log' failed: log-behind-postgres" in output) == (1, True), output
        assert site.worker()["phase"] == "following"

        settled_seq = watermark(site.postgres.dsn())
        with redis.Redis.from_url(site.core_url) as client:
            client.execute_command("REPLICAOF", "NO", "ONE")
            epoch = int(client.incr("{spot}:epoch"))
        seq, chain = head_of(site.core_url)
        events = RedisBus(site.core_url, "spot")
        events.append_events(
            epoch=epoch, first_seq=seq + 1, last_seq=settled_seq, prev_chain=chain, chain="ab" * 32,
            last_cmd=events.head().cmd, body=b"other", rules_version=1,
        )  # fmt: skip
        events.close()
        status, output = site.promote("--primary-is-lost")
        assert (status, "check 'log' failed: postgres-chain-differs" in output) == (1, True), output
        with psycopg.connect(site.postgres.dsn()) as standby:
            assert standby.execute("SELECT pg_is_in_recovery()").fetchone() == (True,)


@pytest.mark.long
def test_fail_back(site: SecondSite, tmp_path: Path) -> None:
    """The second site serves and gets a second site of its own, which then replaces it while its servers still run."""
    back = SecondSite(tmp_path / "back")
    with contextlib.ExitStack() as stack:
        first = stack.enter_context(two_sites(site))
        crowd = crowd_on(first)
        trade(first, crowd.histories, "first")
        kill_site(first)
        assert site.promote()[0] == 0
        stack.enter_context(back.replica(site.core_url))
        with site.serving(REDIS_CORE_READ_URL=back.core_url) as second:
            stack.enter_context(back.standby(site.postgres.dsn()))
            trade(second, crowd.histories, "second")
            assert "equal: this site could serve" in checked(back)
        status, output = back.promote()
        assert (status, "its redis-core answers" in output) == (1, True), output
        status, output = back.promote("--primary-is-lost")
        assert status == 0, output
        until(lambda: back.worker().get("phase") == "active", "the standby worker took over")
        with back.serving() as third:
            trade(third, crowd.histories, "third")
            judge(back, third, crowd.histories)
        status, output = back.promote()
        assert (status, "primaries already; nothing was changed" in output) == (0, True), output
