"""The chaos rig's engine fails at the orders it is told to fail at, and is the engine itself everywhere else."""

import pytest

from apps.gateway.params import CLIENT_ID
from apps.matching.engine import Engine
from apps.matching.faults import CRASH, POISON, faulty
from apps.streams.codec import decode_events, encode_command, stamp
from apps.streams.commands import CancelOrder, Credit, PlaceOrder
from apps.streams.kinds import EventKind, OrderKind, Reason, Side, TimeInForce
from tests.matching.engine.play import Table
from tests.matching.engine.random_commands import Commands

Faulty = faulty(Engine)


def orders(*client_ids: str) -> bytes:
    """One stream entry with an order for each, at its own price."""
    frames = bytearray(
        b"".join(
            encode_command(
                PlaceOrder(
                    market_id=1,
                    account_id=1001,
                    side=Side.BUY,
                    order_kind=OrderKind.LIMIT,
                    price_ticks=100 + number,
                    time_in_force=TimeInForce.GTC,
                    quantity_lots=1,
                    settings_version=1,
                    client_id=client_id,
                )
            )
            for number, client_id in enumerate(client_ids)
        )
    )
    stamp(frames, 1_900_000_000_000, 7)
    return bytes(frames)


def opened() -> Engine:
    table = Table()
    table.account("alice")
    engine = Faulty.restore(table.engine.snapshot())
    assert type(engine) is Faulty
    return engine


def test_an_order_of_that_name_raises_while_it_is_being_applied() -> None:
    engine, marker = opened(), bytearray(16)
    engine.mark_in(marker)
    frames = orders("a", "b", "poison-1", "c")
    with pytest.raises(RuntimeError, match="poison"):
        engine.process(frames)
    assert engine.applying == (1_900_000_000_000, 7, 2)
    assert bytes(marker) == frames[2 * 128 + 16 : 2 * 128 + 32]
    assert [order.client_id for order in engine.open_orders()] == ["a", "b"]


def test_it_can_be_skipped_and_cancelled_like_any_other() -> None:
    engine = opened()
    frames = orders("poison-1", "crash-1", "a")
    events = [decode_events(engine.skip(frames[at : at + 128], Reason.INTERNAL))[0] for at in (0, 128)]
    assert [event.KIND for event in events] == [EventKind.INTERNAL_REJECT] * 2
    (event,) = decode_events(engine.process(frames[256:]))
    assert event.KIND == EventKind.ORDER_ACCEPTED
    cancel = bytearray(encode_command(CancelOrder(account_id=1001, client_id="poison-1")))
    stamp(cancel, 1_900_000_000_001, 0)
    (event,) = decode_events(engine.process(bytes(cancel)))
    assert event.reason == Reason.UNKNOWN_ORDER


@pytest.mark.parametrize("client_id", ["", "poison", "Poison-1", "a-poison-1", "crash", "xcrash-1"])
def test_other_names_do_not_fail(client_id: str) -> None:
    (event,) = decode_events(opened().process(orders(client_id)))
    assert (event.KIND, event.client_id) == (EventKind.ORDER_ACCEPTED, client_id)


def test_only_orders_fail() -> None:
    credit = bytearray(
        encode_command(
            Credit(account_id=1001, asset_id=1, amount_units=1, key="crash-1", counter=1, relay_seq=0, source=0)
        )
    )
    stamp(credit, 1_900_000_000_000, 0)
    (event,) = decode_events(opened().process(bytes(credit)))
    assert event.KIND == EventKind.MONEY_MOVED


def test_everything_else_is_the_engine_itself() -> None:
    commands = Commands(12)
    plain, rigged = Engine(50), Faulty(50)
    for _ in range(800):
        frames = commands.next()
        assert rigged.process(frames) == plain.process(frames)
    assert rigged.snapshot() == plain.snapshot()
    assert Faulty.RULES_VERSION == Engine.RULES_VERSION


def test_the_gateway_lets_these_names_through() -> None:
    for prefix in (POISON, CRASH):
        assert CLIENT_ID.fullmatch(prefix.decode("ascii") + "0123456789")
