"""Families and allocation rules from the staff's request through the engine to the record, and reconciled (T8, T12)."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from apps.accounts.models import AccountSettings, AllocationRule, TradingAccount, User
from apps.accounts.services.allocations import remove_allocation_rule, set_allocation_rule
from apps.accounts.services.families import change_family
from apps.markets.models import Asset
from apps.markets.services import change_asset_class
from apps.orders.reconciliation.service import reconcile
from apps.outbox.models import OutboxRow, OutboxState
from apps.outbox.requests import StaffRequest
from apps.streams.bus.memory import MemoryBus
from apps.streams.codec import encode_command
from apps.streams.commands import CancelOrder, PlaceOrder
from apps.streams.kinds import AllocationMethod, OrderKind, Reason, Side, TimeInForce
from tests.orders.live import ACCOUNTS, OWNER, RULE, SHARD, LiveShard, enqueue_set_up, until
from tests.orders.tape import BTC, MARKET

WHY = {"reason": "a desk", "requested_by": "ann"}


@pytest.fixture
def live(transactional_db: None, tmp_path: Path) -> Iterator[LiveShard]:
    owner = User.objects.create_user("house@example.org")
    known = set(TradingAccount.objects.values_list("pk", flat=True))
    for number in set(ACCOUNTS) - known:
        TradingAccount.objects.create(pk=number, owner=owner, label=f"Desk {number}")
    Asset.objects.create(id=BTC, code="BTC", name="Bitcoin")
    enqueue_set_up([(0, 0), (0, 0)])
    with LiveShard(MemoryBus(SHARD), tmp_path / "snapshots") as shard:
        settled()
        yield shard


def settled() -> None:
    until(lambda: not OutboxRow.objects.filter(state=OutboxState.WAITING).exists(), "what was asked for is settled")


def answer(request: StaffRequest) -> Reason:
    settled()
    return Reason(OutboxRow.objects.get(key=request.outbox_key).reason)


def family(account_id: int) -> tuple[int, int]:
    return AccountSettings.objects.values_list("family_id", "fee_tier").get(account_id=account_id)


def test_families_and_rules_follow_the_engine_and_are_reconciled(live: LiveShard) -> None:
    assert answer(change_family(account_id=1005, family_id=OWNER, **WHY)) == Reason.NONE
    assert family(1005) == (OWNER, 1), "its fee tier stays"
    halves = {"account_id": OWNER, "rule_id": None, "method": AllocationMethod.FIXED, "weights_bp": [5_000, 5_000]}
    made = set_allocation_rule(**halves, accounts=[1005, 1002], **WHY)
    assert (answer(made), made.rule_id) == (Reason.NONE, RULE + 1)
    assert AllocationRule.objects.get(rule_id=made.rule_id).accounts == [1005, 1002]
    stranger = set_allocation_rule(**halves, accounts=[1005, 1006], **WHY)
    assert answer(stranger) == Reason.ALLOCATION_FAMILY
    assert not AllocationRule.objects.filter(rule_id=stranger.rule_id).exists()
    assert answer(remove_allocation_rule(account_id=OWNER, rule_id=RULE, **WHY)) == Reason.NONE
    assert not AllocationRule.objects.filter(rule_id=RULE).exists()
    assert answer(change_family(account_id=1002, family_id=1002, **WHY)) == Reason.NONE
    assert family(1002) == (1002, 0)
    (classed,) = change_asset_class(code="BTC", asset_class="coin", **WHY)
    assert answer(classed) == Reason.NONE
    live.until_settled()
    result = reconcile(bus=live.bus, directory=live.directory, shard=SHARD)
    assert result.differences == []
    assert result.counts["allocation rules"] == 1
    assert result.counts["assets with a class"] == 1


def test_an_account_with_open_orders_stays_where_it_is(live: LiveShard) -> None:
    order = PlaceOrder(
        market_id=MARKET, account_id=1006, side=Side.BUY, order_kind=OrderKind.LIMIT, time_in_force=TimeInForce.GTC,
        price_ticks=5_000_000, quantity_lots=1, client_id="rests", settings_version=1,
    )  # fmt: skip
    live.bus.append_commands(encode_command(order))
    live.until_settled()
    assert answer(change_family(account_id=1006, family_id=OWNER, **WHY)) == Reason.ACCOUNT_HAS_ORDERS
    assert family(1006) == (1006, 0)
    live.bus.append_commands(encode_command(CancelOrder(market_id=MARKET, account_id=1006, client_id="rests")))
    live.until_settled()
    assert answer(change_family(account_id=1006, family_id=OWNER, **WHY)) == Reason.NONE
    assert family(1006) == (OWNER, 0)
