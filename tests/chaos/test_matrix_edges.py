"""Fault matrix, what surrounds the engine: gateway, network, redis-edge, clock, archive: rows F17-F21."""

import random

import psutil
import pytest

from apps.streams.codec import encode_command
from apps.streams.commands import SetMarketState
from apps.streams.kinds import HaltCause, MarketState
from tests.chaos.faults.edge import FlushEdge
from tests.chaos.faults.engine import ClockForward
from tests.chaos.faults.network import Mode, NetworkFault
from tests.chaos.faults.processes import CrashPoint, Kill, crash_points
from tests.chaos.history import Kind, Outcome
from tests.chaos.nemesis import Nemesis
from tests.chaos.rig import Rig
from tests.dialect import Dialect

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]

MARKET_HALTED = 4


def nemesis_of(rig: Rig) -> Nemesis:
    return Nemesis(rig, random.Random(rig.seed))


def test_f17_redis_edge_flushed_and_killed_costs_no_order(rig: Rig) -> None:
    nemesis = nemesis_of(rig)
    for _ in range(3):
        nemesis.strike(FlushEdge())
        nemesis.strike(Kill(victim="redis-edge"))
    assert rig.judge().broken == []


def test_f18_gateway_killed_mid_request_and_every_unknown_order_resolves_by_its_client_id(rig: Rig) -> None:
    nemesis = nemesis_of(rig)
    nemesis.strike(Kill(victim="gateway"))
    for point in crash_points().get("gateway", ()):
        fault = CrashPoint(process="gateway", point=point, passes=5)
        nemesis.strike(fault)
        assert fault.reached, point
    rig.rest()
    # Only what a repeat certainly places: an order with more conditions may be refused by now.
    unknown = [
        operation
        for operation in rig.crowd.histories.operations(Kind.PLACE, Outcome.UNKNOWN)
        if operation.params.get("timeInForce") == "GTC" and operation.params["type"] == "LIMIT"
    ]
    assert unknown, "no request was cut off: this run proves nothing"
    accounts = {history.account.account_id: history.account for history in rig.crowd.histories.accounts}
    for operation in unknown:
        with Dialect(rig.stack.base_url, accounts[operation.account_id]) as client:
            status, body = client.signed("POST", "/api/v3/order", **operation.params)
        # The repeat is answered with the first order where that was executed, else it is the first.
        assert status == 200, (operation, status, body)
        operation.repeat(status=status, body=body)
    assert rig.judge().broken == []


def test_f19_network_cut_dropped_delayed_and_half_closed(rig: Rig) -> None:
    nemesis = nemesis_of(rig)
    for victim, server in (
        ("active", "redis-core"), ("gateway", "redis-core"), ("settlement", "redis-core"), ("settlement", "postgres"),
        ("gateway", "postgres"), ("outbox", "redis-core"),
    ):  # fmt: skip
        for mode in (Mode.DROP, Mode.DROP_ANSWERS, Mode.DELAY, Mode.HALF_CLOSE, Mode.CUT):
            nemesis.strike(NetworkFault(hold_s=(1.0, 3.0), victim=victim, server=server, mode=mode))
    assert rig.judge().broken == []


def test_f20_clock_an_hour_ahead_halts_the_markets_and_staff_opens_them_again(own: Rig) -> None:
    nemesis = nemesis_of(own)
    ClockForward().inject(own, nemesis.draw)
    own.until(lambda: _states(own) == {MARKET_HALTED}, "halted markets")
    halted = own.place("while-halted", side="BUY", price="100.00", quantity="0.1")
    assert halted.outcome is Outcome.REFUSED, halted
    # From now on the clock is an hour behind the ids, which stand still: orders go on in their order.
    with own.postgres() as database:
        for market_id in [row[0] for row in database.execute("SELECT id FROM markets_market").fetchall()]:
            frames = encode_command(
                SetMarketState(
                    market_id=market_id, state=MarketState.OPEN, cause=HaltCause.STAFF, relay_seq=0, source=0
                )
            )
            database.execute(
                "INSERT INTO outbox_outboxrow (shard, key, source, kind, frames, state, reason)"
                " VALUES ('spot', %s, 1, 22, %s, 'waiting', 0)",
                [f"chaos:open:{market_id}", frames],
            )
    own.wait_until_trading(50)
    nemesis.strike(Kill(victim="matching"))
    assert own.judge().broken == []


def test_f21_archive_without_disk_holds_back_trimming_and_nothing_else(rig: Rig) -> None:
    """The archive stands where reliability.md has a journal: it may stop, and then the log is kept."""
    archive = psutil.Process(rig.stack.pid("archive"))
    archive.rlimit(psutil.RLIMIT_FSIZE, (1024, 1024))
    for _ in range(5):
        rig.ask_snapshot()
        rig.wait_until_trading(30)
    rig.stack.kill("archive")
    rig.wait_until_ready("archive")
    assert rig.judge().broken == []
    rig.stack.manage("verify_log")


def _states(rig: Rig) -> set[int]:
    with rig.postgres() as database:
        return {row[0] for row in database.execute("SELECT state FROM markets_market WHERE symbol = 'LTCUSDT'")}
