"""Halts and auctions in PostgreSQL: trades of two resting orders, the market's mirror, reconciliation."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import transaction

from apps.orders.models import Order, Trade
from apps.orders.reconciliation.service import reconcile
from apps.outbox.models import OutboxRow, OutboxState
from apps.outbox.services import enqueue, enqueue_settings
from apps.streams.bus.memory import MemoryBus
from apps.streams.codec import encode_command
from apps.streams.commands import PlaceOrder, SetMarketState
from apps.streams.kinds import HaltCause, MarketState, OrderKind, OrderStatus, Side, TimeInForce
from tests.orders.live import ACCOUNTS, MARKET, SHARD, LiveShard, enqueue_set_up, until
from tests.orders.tape import market_settings

ALICE, BOB, CAROL = ACCOUNTS[4], ACCOUNTS[5], ACCOUNTS[6]


@pytest.fixture
def shard(transactional_db: None, tmp_path: Path) -> Iterator[LiveShard]:
    enqueue_set_up([(-200, 1_000)])
    rules = market_settings(settings_version=2, call_s=1, fees=[(-200, 1_000)])
    with transaction.atomic():
        enqueue_settings(key="market:1:2", settings=rules)
    with LiveShard(MemoryBus(SHARD), tmp_path / "snapshots") as live:
        until(lambda: not OutboxRow.objects.filter(state=OutboxState.WAITING).exists(), "set-up settled")
        yield live


def limit(account: int, side: Side, price_ticks: int, lots: int, client_id: str, display_lots: int = 0) -> bytes:
    return encode_command(
        PlaceOrder(
            market_id=MARKET, account_id=account, settings_version=2, side=side, price_ticks=price_ticks,
            order_kind=OrderKind.LIMIT, time_in_force=TimeInForce.GTC, quantity_lots=lots, client_id=client_id,
            display_lots=display_lots,
        )
    )  # fmt: skip


def test_an_auction_settles_and_agrees(shard: LiveShard) -> None:
    """b1 takes the older a1; a2 takes b1's rest and b2: makers get rebates, what is left of the iceberg goes on."""
    shard.bus.append_commands(limit(ALICE, Side.SELL, 4_900_000, 100, "a1"))
    state = SetMarketState(relay_seq=0, source=0, market_id=MARKET, state=MarketState.AUCTION, cause=HaltCause.STAFF)
    with transaction.atomic():
        enqueue(key="market:1:auction", command=state)
    until(lambda: not OutboxRow.objects.filter(state=OutboxState.WAITING).exists(), "the auction has begun")
    for frames in (
        limit(BOB, Side.BUY, 5_100_000, 150, "b1"),
        limit(CAROL, Side.BUY, 5_050_000, 100, "b2"),
        limit(ALICE, Side.SELL, 5_000_000, 300, "a2", display_lots=20),
    ):
        shard.bus.append_commands(frames)
    until(lambda: Trade.objects.count() == 3, "the auction has traded")
    shard.until_settled()
    assert reconcile(bus=shard.bus, directory=shard.directory, shard=SHARD).differences == []
    trades = Trade.objects.order_by("trade_id")
    assert {trade.price_ticks for trade in trades} == {5_000_000}
    assert [(trade.quantity_lots, trade.taker_account_id, trade.taker_is_buyer) for trade in trades] == [
        (100, BOB, True), (50, ALICE, False), (100, ALICE, False),
    ]  # fmt: skip
    orders = {order.client_order_id: order for order in Order.objects.all()}
    assert {name: (order.status, order.filled_lots) for name, order in orders.items()} == {
        "a1": (OrderStatus.FILLED, 100), "b1": (OrderStatus.FILLED, 150), "b2": (OrderStatus.FILLED, 100),
        "a2": (OrderStatus.PARTIALLY_FILLED, 150),
    }  # fmt: skip
