"""Block orders in PostgreSQL: shares, what each sub-account got of each trade, its entries; exactly once."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from apps.ledger.models import Balance, Entry
from apps.orders.models import AllocatedFill, Order, OrderShare, Trade
from apps.orders.reconciliation.service import reconcile
from apps.outbox.models import OutboxRow, OutboxState
from apps.streams.bus.memory import MemoryBus
from apps.streams.codec import encode_block, encode_command
from apps.streams.commands import CancelOrder, PlaceBlock, PlaceOrder
from apps.streams.kinds import OrderKind, OrderStatus, Side, StpMode, TimeInForce
from tests.orders.live import MARKET, OWNER, RULE, SHARD, SUB_ACCOUNTS, LiveShard, enqueue_set_up, until
from tests.orders.tape import BTC, USDT

BOB = 1008
FIRST, SECOND = SUB_ACCOUNTS
LOT, COIN = 1_000, 10**8  # units of BTC in a lot, of anything in one


@pytest.fixture
def shard(transactional_db: None, tmp_path: Path) -> Iterator[LiveShard]:
    enqueue_set_up([(-200, 3_000), (-200, 1_000)])  # odd accounts, the owner too, are of the second tier
    with LiveShard(MemoryBus(SHARD), tmp_path / "snapshots") as live:
        until(lambda: not OutboxRow.objects.filter(state=OutboxState.WAITING).exists(), "set-up settled")
        yield live


def limit(account: int, side: Side, lots: int, client_id: str, **changes: int) -> PlaceOrder:
    values = {
        "market_id": MARKET, "account_id": account, "settings_version": 1, "side": side, "price_ticks": 5_000_000,
        "order_kind": OrderKind.LIMIT, "time_in_force": TimeInForce.GTC, "quantity_lots": lots,
    }  # fmt: skip
    return PlaceOrder(**(values | changes), client_id=client_id)


def block(side: Side, lots: int, client_id: str, requested: tuple[int, int, int], **changes: int) -> bytes:
    order = limit(OWNER, side, lots, client_id, **changes)
    return encode_block(PlaceBlock(market_id=MARKET, account_id=OWNER, rule_id=RULE), order, requested)


def moved(account: int, asset: int) -> tuple[int, int]:
    """(available, held) against what the account began with."""
    row = Balance.objects.get(account_id=account, asset_id=asset)
    return row.available_units - (100 * COIN if asset == BTC else 5_000_000 * COIN), row.held_units


def assert_equal(live: LiveShard) -> None:
    live.until_settled()
    assert reconcile(bus=live.bus, directory=live.directory, shard=SHARD).differences == []


def test_a_block_order_that_takes_pays_for_each_account(shard: LiveShard) -> None:
    """0.001 BTC at 50,000 of 0.003 wanted, for accounts that asked 0, 2 and 1; the fee of 100 units goes 67 to 33."""
    shard.bus.append_commands(encode_command(limit(BOB, Side.SELL, 100, "a")))
    shard.bus.append_commands(block(Side.BUY, 300, "b", (0, 2, 1)))
    assert_equal(shard)
    trade, order = Trade.objects.get(), Order.objects.get(client_order_id="b")
    assert (trade.taker_account_id, trade.quantity_lots, trade.taker_fee_units) == (OWNER, 100, 100)
    assert (order.account_id, order.status, order.filled_lots) == (OWNER, OrderStatus.PARTIALLY_FILLED, 100)
    assert list(OrderShare.objects.order_by("id").values_list("account_id", "final_lots", "allocated_lots")) == [
        (FIRST, 200, 67), (SECOND, 100, 33),
    ]  # fmt: skip
    fills = AllocatedFill.objects.order_by("id")
    assert list(fills.values_list("account_id", "quantity_lots", "quote_units", "fee_units")) == [
        (FIRST, 67, 67 * 50_000_000, 67), (SECOND, 33, 33 * 50_000_000, 33),
    ]  # fmt: skip
    assert {(fill.trade_id, fill.order_id, fill.owner_account_id, fill.is_buyer, fill.is_taker) for fill in fills} == {
        (trade.trade_id, order.id, OWNER, True, True)
    }
    assert moved(FIRST, BTC) == (67 * LOT - 67, 0)
    assert moved(FIRST, USDT) == (-200 * 50_000_000, 133 * 50_000_000)
    assert moved(OWNER, BTC) == moved(OWNER, USDT) == (0, 0)


def test_a_block_order_that_makes_gets_its_rebate_and_gives_back_what_it_did_not_need(shard: LiveShard) -> None:
    shard.bus.append_commands(block(Side.SELL, 300, "b", (1, 1, 1)))
    shard.bus.append_commands(encode_command(limit(BOB - 1, Side.BUY, 100, "a")))  # of the second tier
    shard.bus.append_commands(encode_command(CancelOrder(market_id=MARKET, account_id=OWNER, client_id="b")))
    assert_equal(shard)
    trade = Trade.objects.get()
    assert (trade.taker_fee_units, trade.maker_fee_units) == (100, -20)
    assert list(AllocatedFill.objects.order_by("id").values_list("account_id", "quantity_lots", "fee_units")) == [
        (OWNER, 34, -7), (FIRST, 33, -7), (SECOND, 33, -6),
    ]  # fmt: skip
    assert moved(FIRST, BTC) == (-33 * LOT + 7, 0)
    assert moved(FIRST, USDT) == (33 * 50_000_000, 0)
    assert moved(OWNER, BTC) == (-34 * LOT + 7, 0)
    assert Order.objects.get(client_order_id="b").status == OrderStatus.CANCELED
    assert not Entry.objects.filter(owner_id=FIRST, asset_id=BTC, amount_units=0).exists()


def test_lots_that_a_prevented_match_took_are_allocated_without_a_fill(shard: LiveShard) -> None:
    shard.bus.append_commands(encode_command(limit(FIRST, Side.SELL, 100, "a")))
    shard.bus.append_commands(block(Side.BUY, 300, "b", (1, 1, 1), stp_mode=StpMode.DECREMENT))
    assert_equal(shard)
    assert list(OrderShare.objects.order_by("id").values_list("allocated_lots", flat=True)) == [34, 33, 33]
    assert not AllocatedFill.objects.exists()
    assert not Trade.objects.exists()
    assert moved(SECOND, USDT) == (-67 * 50_000_000, 67 * 50_000_000)


def test_one_account_of_the_family_may_be_on_both_sides_of_a_batch(shard: LiveShard) -> None:
    """Own orders and shares of one account, settled together: the last balance is that of the last event."""
    frames = encode_command(limit(FIRST, Side.BUY, 10, "own", price_ticks=4_000_000))
    frames += encode_command(limit(BOB, Side.SELL, 60, "a")) + block(Side.BUY, 60, "b", (1, 1, 1))
    frames += encode_command(CancelOrder(market_id=MARKET, account_id=FIRST, client_id="own"))
    shard.bus.append_commands(frames)
    assert_equal(shard)
    assert moved(FIRST, USDT) == (-20 * 50_000_000, 0)
