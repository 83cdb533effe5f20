"""Order lists in PostgreSQL: the row of the list, the orders in it, and what a pending order is until its turn."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from apps.ledger.models import Balance
from apps.orders.models import Order, OrderList
from apps.orders.reconciliation.service import reconcile
from apps.outbox.models import OutboxRow, OutboxState
from apps.streams.bus.memory import MemoryBus
from apps.streams.codec import encode_command, encode_list
from apps.streams.commands import CancelOrder, PlaceList, PlaceOrder
from apps.streams.kinds import ListKind, ListStatus, OrderKind, OrderStatus, Reason, Side, TimeInForce
from tests.orders.live import MARKET, SHARD, LiveShard, enqueue_set_up, until
from tests.orders.tape import BTC, USDT

ALICE, BOB = 1005, 1006
COIN = 10**8


@pytest.fixture
def shard(transactional_db: None, tmp_path: Path) -> Iterator[LiveShard]:
    enqueue_set_up([(0, 0)])
    with LiveShard(MemoryBus(SHARD), tmp_path / "snapshots") as live:
        until(lambda: not OutboxRow.objects.filter(state=OutboxState.WAITING).exists(), "set-up settled")
        yield live


def order(account: int, side: Side, client_id: str, **changes: Any) -> PlaceOrder:
    values = {
        "market_id": MARKET, "account_id": account, "settings_version": 1, "side": side, "price_ticks": 5_000_000,
        "order_kind": OrderKind.LIMIT, "time_in_force": TimeInForce.GTC, "quantity_lots": 100,
    }  # fmt: skip
    return PlaceOrder(**(values | changes), client_id=client_id)


WORKING = order(ALICE, Side.BUY, "w", price_ticks=4_990_000)
TARGET = order(ALICE, Side.SELL, "t", price_ticks=5_200_000, order_kind=OrderKind.LIMIT_MAKER)
STOP = order(
    ALICE, Side.SELL, "s", price_ticks=0, order_kind=OrderKind.STOP_LOSS, time_in_force=TimeInForce.NONE,
    stop_price_ticks=4_800_000,
)  # fmt: skip


def place(live: LiveShard, kind: ListKind, *orders: PlaceOrder) -> None:
    head = PlaceList(market_id=MARKET, account_id=ALICE, list_kind=kind, list_client_id="mine")
    live.bus.append_commands(encode_list(head, orders))


def send(live: LiveShard, *frames: bytes) -> None:
    """Each an entry of its own; then everything is settled, and equal."""
    for frame in frames:
        live.bus.append_commands(frame)
    live.until_settled()
    assert reconcile(bus=live.bus, directory=live.directory, shard=SHARD).differences == []


def states() -> dict[str, tuple[int, bool]]:
    return {row.client_order_id: (row.status, row.is_waiting) for row in Order.objects.filter(account_id=ALICE)}


def held(asset: int) -> int:
    return Balance.objects.get(account_id=ALICE, asset_id=asset).held_units


def test_an_otoco_from_its_beginning_to_its_end(shard: LiveShard) -> None:
    place(shard, ListKind.OTOCO, WORKING, TARGET, STOP)
    send(shard)
    listed = OrderList.objects.get()
    orders = {row.client_order_id: row for row in Order.objects.filter(account_id=ALICE)}
    assert (listed.id, listed.order_id_1, listed.order_id_2, listed.order_id_3) == (
        orders["w"].id, orders["w"].id, orders["t"].id, orders["s"].id,
    )  # fmt: skip
    assert (listed.kind, listed.status, listed.client_order_id) == (ListKind.OTOCO, ListStatus.EXEC_STARTED, "mine")
    assert {row.order_list_id for row in orders.values()} == {listed.id}
    assert states() == {
        "w": (OrderStatus.NEW, False), "t": (OrderStatus.PENDING_NEW, False), "s": (OrderStatus.PENDING_NEW, False),
    }  # fmt: skip
    assert (held(USDT), held(BTC)) == (100 * 4_990_000 * 10, 0)

    send(shard, encode_command(order(BOB, Side.SELL, "x", price_ticks=4_990_000)))
    listed.refresh_from_db()
    assert listed.status == ListStatus.UPDATED
    assert states() == {
        "w": (OrderStatus.FILLED, False), "t": (OrderStatus.NEW, False), "s": (OrderStatus.NEW, True),
    }  # fmt: skip
    target = Order.objects.get(client_order_id="t")
    assert target.working_ms == target.updated_ms > 0
    assert (held(USDT), held(BTC)) == (0, 100_000)

    send(shard, encode_command(order(BOB, Side.BUY, "y", price_ticks=5_200_000, quantity_lots=30)))
    assert states()["t"] == (OrderStatus.PARTIALLY_FILLED, False)
    stop = Order.objects.get(client_order_id="s")
    assert (stop.status, stop.reason) == (OrderStatus.EXPIRED, Reason.LIST_ENDED)

    send(shard, encode_command(CancelOrder(market_id=MARKET, account_id=ALICE, client_id="t")))
    listed.refresh_from_db()
    assert listed.status == ListStatus.ALL_DONE
    assert listed.updated_ms > listed.created_ms
    assert held(BTC) == 0


def test_a_list_that_begins_and_ends_in_one_batch(shard: LiveShard) -> None:
    """The working order fills at entry, the pending one at its turn; all of one command."""
    shard.bus.append_commands(
        encode_command(order(BOB, Side.SELL, "a")) + encode_command(order(BOB, Side.BUY, "b", price_ticks=4_900_000))
    )
    place(shard, ListKind.OTO, order(ALICE, Side.BUY, "w"), order(ALICE, Side.SELL, "p", price_ticks=4_900_000))
    send(shard)
    listed = OrderList.objects.get()
    assert (listed.status, listed.order_id_3) == (ListStatus.ALL_DONE, 0)
    assert states() == {"w": (OrderStatus.FILLED, False), "p": (OrderStatus.FILLED, False)}


def test_cancelling_one_cancels_the_list(shard: LiveShard) -> None:
    place(shard, ListKind.OTOCO, WORKING, TARGET, STOP)
    send(shard, encode_command(CancelOrder(market_id=MARKET, account_id=ALICE, client_id="s")))
    assert set(states().values()) == {(OrderStatus.CANCELED, False)}
    assert OrderList.objects.get().status == ListStatus.ALL_DONE


def test_a_refused_list_leaves_no_row(shard: LiveShard) -> None:
    place(shard, ListKind.OCO, STOP, TARGET)
    place(shard, ListKind.OTO, order(ALICE, Side.BUY, "w", quantity_lots=10**8), TARGET)
    send(shard)
    assert not OrderList.objects.exists()
    assert not Order.objects.filter(account_id=ALICE).exists()
