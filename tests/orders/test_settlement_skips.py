"""What the matching worker skipped is in the audit log once, written by the role of settlement (issue 7, item 7)."""

import json

import psycopg
import pytest
from django.conf import settings

from apps.audit.models import Record
from apps.orders.errors import OtherSettlement
from apps.orders.settlement.entries import take
from apps.orders.settlement.transaction import load_markets, read_position, settle
from apps.streams.events import InternalReject
from apps.streams.kinds import CommandKind, Reason
from nebannpet import roles
from tests.orders.recorded import ALICE, SHARD, Recorded
from tests.orders.tape import MARKET


def skip(
    recorded: Recorded, reason: Reason, op: CommandKind = CommandKind.PLACE_ORDER, **values: int
) -> InternalReject:
    values = {"relay_seq": 0, "source": 0, **values}
    written: InternalReject = recorded.tape.write(InternalReject, op=op, reason=reason, **values)
    return written


def entries() -> list[tuple[str, str, dict[str, object]]]:
    found = Record.objects.filter(action__startswith="engine.").order_by("id")
    assert {(each.actor_kind, each.actor_id) for each in found} <= {("process", "matching")}
    assert {each.role for each in found} <= {"nebannpet_settlement"}
    return [(each.action, each.object, json.loads(each.after)) for each in found]


@pytest.fixture(autouse=True)
def granted(recorded: Recorded) -> None:
    with psycopg.connect(settings.DATABASE_DSN, autocommit=True) as owner:
        roles.apply(owner)


def settle_as_process(recorded: Recorded) -> None:
    """Under the role that the process works under."""
    recorded.connection.execute("SET ROLE nebannpet_settlement")
    recorded.settle()
    recorded.connection.execute("RESET ROLE")


def test_each_command_at_which_the_engine_failed_is_an_entry(recorded: Recorded) -> None:
    number = recorded.money_row("poison")
    order = skip(recorded, Reason.INTERNAL, market_id=MARKET, account_id=ALICE)
    debit = skip(recorded, Reason.INTERNAL, CommandKind.DEBIT, account_id=2**64 - 1, relay_seq=number, source=1)
    position = read_position(recorded.connection, SHARD)
    settle_as_process(recorded)
    told = [
        ("engine.command-skipped", f"command:spot/{each.cmd_ms}-0-{each.seq}", {"event": str(each.seq), **after})
        for each, after in (
            (order, {"kind": "PLACE_ORDER", "market": "1", "account": str(ALICE)}),
            (debit, {"kind": "DEBIT", "account": str(2**64 - 1), "relay_seq": str(number)}),
        )
    ]
    assert entries() == told
    # The same events once more, as after a crash before anybody knew of the commit.
    batch, _ = take(recorded.tape.cut(), position, events_max=100)
    with pytest.raises(OtherSettlement):
        settle(recorded.connection, SHARD, batch, load_markets(recorded.connection, SHARD))
    assert entries() == told


def test_orders_that_came_too_late_are_one_entry_a_batch(recorded: Recorded) -> None:
    first, _, last = (skip(recorded, Reason.ENGINE_RESTARTED, market_id=MARKET) for _ in range(3))
    settle_as_process(recorded)
    told = {"count": 3, "first": f"{first.cmd_ms}-0-{first.seq}", "last": f"{last.cmd_ms}-0-{last.seq}"}
    assert entries() == [("engine.orders-too-late", "shard:spot", told)]
    recorded.fund(ALICE, usdt=1)
    settle_as_process(recorded)
    assert len(entries()) == 1
