"""Parked orders in PostgreSQL: what settlement writes, who may review, and what staff and engine say to it (T7)."""

from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from django.contrib.auth.models import Permission
from django.db import transaction
from django.test import Client
from django.urls import reverse
from msgspec import structs

from apps.accounts.models import User
from apps.common.errors import DomainError
from apps.markets.models import Asset, Market
from apps.orders import parkedadmin
from apps.orders.errors import NotParked, ReviewPending, SettlementStopped, UnknownOrder
from apps.orders.models import Order, OrderReview, ParkedOrder
from apps.orders.services import review_parked_order
from apps.outbox.errors import ReasonMissing
from apps.outbox.models import OutboxRow, OutboxState
from apps.outbox.services import enqueue
from apps.streams.codec import decode_command
from apps.streams.commands import ReviewOrder
from apps.streams.kinds import CommandKind, OrderStatus, Reason, Review, Side
from tests.accounts.factors import enter_admin
from tests.orders.recorded import ALICE, BOB, Recorded
from tests.orders.tape import BTC, USDT, market_settings


@pytest.fixture
def parked(recorded: Recorded) -> Recorded:
    """Alice's order 1 waits, her order 2 stands in the book."""
    for asset, code in ((BTC, "BTC"), (USDT, "USDT")):
        Asset.objects.create(id=asset, code=code, name=code)
    settings = structs.asdict(market_settings())
    del settings["market_id"]
    Market.objects.create(id=1, **settings)
    recorded.fund(ALICE, usdt=300_000)
    recorded.fund(BOB, btc=2)
    recorded.tape.accept(1, ALICE, Side.BUY, 6_000_000, 50_000)
    recorded.tape.park(1, 5_000_000)
    recorded.tape.accept(2, ALICE, Side.BUY, 4_000_000, 50_000)
    recorded.settle()
    return recorded


def decide(decision: Review = Review.RELEASE, **changes: Any) -> OrderReview:
    return review_parked_order(
        **{"order_id": 1, "decision": decision, "reason": "seen", "requested_by": "staff: eve"} | changes
    )


def status(order_id: int = 1) -> OrderStatus:
    return OrderStatus(Order.objects.values_list("status", flat=True).get(pk=order_id))


def test_a_parked_order_is_written_with_what_it_was_compared_with(parked: Recorded) -> None:
    assert (status(1), status(2)) == (OrderStatus.PENDING_NEW, OrderStatus.NEW)
    (row,) = ParkedOrder.objects.all()
    assert (row.pk, row.account_id, row.side, row.price_ticks, row.reference_price_ticks) == (
        1, ALICE, Side.BUY, 6_000_000, 5_000_000,
    )  # fmt: skip
    assert row.until_ms == row.parked_ms + 60_000


@pytest.mark.parametrize("events_max", [1, 20_000])
def test_released_it_trades_and_its_review_is_done(parked: Recorded, events_max: int) -> None:
    review = decide()
    row = OutboxRow.objects.get(key=review.outbox_key)
    command = decode_command(bytes(row.frames))
    assert isinstance(command, ReviewOrder)
    assert (command.market_id, command.account_id, command.order_id, command.decision) == (1, ALICE, 1, 1)
    tape = parked.tape
    tape.review(1, Review.RELEASE, parked.relay_seq(row))
    tape.cut()
    tape.accept(3, BOB, Side.SELL, 6_000_000, 20_000)
    tape.trade(1, 3, 20_000)
    parked.settle(events_max=events_max)
    assert (status(1), status(3)) == (OrderStatus.PARTIALLY_FILLED, OrderStatus.FILLED)
    row.refresh_from_db()
    assert (row.state, row.reason, row.kind) == (OutboxState.DONE, Reason.NONE, CommandKind.REVIEW_ORDER)


def test_released_without_a_trade_it_is_new(parked: Recorded) -> None:
    parked.tape.review(1, Review.RELEASE, parked.relay_seq(OutboxRow.objects.get(key=decide().outbox_key)))
    parked.settle()
    assert status() is OrderStatus.NEW
    with pytest.raises(NotParked):
        decide()


def test_parked_released_and_filled_in_one_batch(recorded: Recorded) -> None:
    """As when a database from a backup is settled again from the archive."""
    tape = recorded.tape
    recorded.fund(ALICE, usdt=300_000)
    recorded.fund(BOB, btc=2)
    tape.accept(1, ALICE, Side.BUY, 6_000_000, 50_000)
    tape.park(1, 5_000_000)
    with transaction.atomic():
        row = enqueue(key="review", command=ReviewOrder(relay_seq=0, source=0, order_id=1, decision=Review.RELEASE))
    tape.review(1, Review.RELEASE, recorded.relay_seq(row))
    tape.accept(2, BOB, Side.SELL, 6_000_000, 50_000)
    tape.trade(1, 2, 50_000)
    recorded.settle()
    assert status() is OrderStatus.FILLED


def test_rejected_it_says_so(parked: Recorded) -> None:
    row = OutboxRow.objects.get(key=decide(Review.REJECT).outbox_key)
    parked.tape.review(1, Review.REJECT, parked.relay_seq(row))
    parked.tape.close(1, OrderStatus.REJECTED, Reason.REJECTED_BY_STAFF)
    parked.settle()
    assert status() is OrderStatus.REJECTED
    assert Order.objects.get(pk=1).reason == Reason.REJECTED_BY_STAFF


def test_one_review_at_a_time_and_another_after_a_refusal(parked: Recorded) -> None:
    review = decide()
    with pytest.raises(ReviewPending):
        decide(Review.REJECT)
    assert OrderReview.objects.count() == 1
    row = OutboxRow.objects.get(key=review.outbox_key)
    parked.tape.refuse(CommandKind.REVIEW_ORDER, Reason.MARKET_HALTED, parked.relay_seq(row), "")
    parked.settle()
    assert status() is OrderStatus.PENDING_NEW
    again = decide(Review.REJECT)
    assert (review.outbox_key, again.outbox_key) == ("order:1:review:1", "order:1:review:2")


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"order_id": 2}, UnknownOrder),
        ({"order_id": 9}, UnknownOrder),
        ({"reason": "  "}, ReasonMissing),
        ({"reason": "x" * 201}, ReasonMissing),
    ],
)
def test_refusals_change_nothing(parked: Recorded, changes: dict[str, Any], refusal: type[DomainError]) -> None:
    before = OutboxRow.objects.count()
    with pytest.raises(refusal):
        decide(**changes)
    assert (OrderReview.objects.count(), OutboxRow.objects.count()) == (0, before)


def test_an_order_that_ended_is_not_reviewed(parked: Recorded) -> None:
    parked.tape.close(1, OrderStatus.EXPIRED, Reason.PARK_EXPIRED)
    parked.settle()
    with pytest.raises(NotParked):
        decide()


def test_a_review_that_this_database_did_not_send_stops_settlement(parked: Recorded) -> None:
    parked.tape.review(1, Review.RELEASE, 77)
    with pytest.raises(SettlementStopped, match="outbox rows wait for them"):
        parked.settle()
    assert status() is OrderStatus.PENDING_NEW


@pytest.mark.parametrize("table", ["orders_parkedorder", "orders_orderreview", "orders_preventedmatch"])
@pytest.mark.parametrize("statement", ["UPDATE {} SET id = id", "DELETE FROM {}", "TRUNCATE {} CASCADE"])
def test_nothing_of_it_can_be_changed(parked: Recorded, table: str, statement: str) -> None:
    with (
        pytest.raises(psycopg.errors.RaiseException),
        psycopg.connect(parked.connection.info.dsn, password=parked.connection.info.password) as other,
    ):
        other.execute(statement.format(table))  # type: ignore[arg-type]


# -- The staff page ---------------------------------------------------------------------------------------------------
def staff(*permissions: str) -> Client:
    user = User.objects.create_user(email="eve@example.com", password="long enough for anyone", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    enter_admin(client, user)
    return client


def act(client: Client, action: str, reason: str = "looked at it") -> Any:
    address = reverse("admin:orders_parkedorder_changelist")
    data = {"action": action, "reason": reason, "_selected_action": ["1"]}
    return client.post(address, data, follow=True)


@pytest.mark.parametrize(("action", "decision"), [("release", Review.RELEASE), ("reject", Review.REJECT)])
def test_staff_with_the_permission_decides_with_a_reason(parked: Recorded, action: str, decision: Review) -> None:
    answer = act(staff("view_parkedorder", "review_parkedorder"), action)
    assert "on its way to the engine" in answer.content.decode()
    (review,) = OrderReview.objects.all()
    assert (review.decision, review.reason, review.requested_by) == (
        decision, "looked at it", "staff: eve@example.com",
    )  # fmt: skip


def test_without_a_reason_nothing_is_sent(parked: Recorded) -> None:
    assert "Give a reason" in act(staff("view_parkedorder", "review_parkedorder"), "release", " ").content.decode()
    assert OrderReview.objects.count() == 0


@pytest.mark.parametrize("permissions", [("view_parkedorder",), ("view_parkedorder", "change_parkedorder"), ()])
def test_without_the_permission_nobody_decides(parked: Recorded, permissions: tuple[str, ...]) -> None:
    answer = act(staff(*permissions), "release")
    assert "release" not in answer.content.decode() or answer.status_code == 403
    assert OrderReview.objects.count() == 0


def test_the_list_shows_what_waits_why_and_for_how_long(parked: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    Market.objects.update(bid_up_bp=11_000)
    now_s = ParkedOrder.objects.get().parked_ms // 1_000 + 61 * 60 + 30
    monkeypatch.setattr(parkedadmin, "time", SimpleNamespace(time=lambda: now_s))
    client = staff("view_parkedorder", "view_orderreview")
    address = reverse("admin:orders_parkedorder_changelist")
    page = client.get(address).content.decode()
    for name, shown in {
        "account_id": str(ALICE), "what": "buy", "quantity": "0.50", "price": "60,000.00",
        "reference": "50,000.00", "why": "120.00 %; at most 110.00 %", "value": "30,000.00", "waits": "1 h 1 min",
        "state": "waiting",
    }.items():  # fmt: skip
        assert f'<td class="field-{name}">{shown}</td>' in page, name
    decide(Review.REJECT)
    assert "staff: eve" in client.get(reverse("admin:orders_orderreview_changelist")).content.decode()
    parked.tape.close(1, OrderStatus.EXPIRED, Reason.PARK_EXPIRED)
    parked.settle()
    assert len(client.get(address).context["cl"].result_list) == 0
    assert len(client.get(address, {"review": "all"}).context["cl"].result_list) == 1
    assert "30,000.00" in client.get(reverse("admin:orders_parkedorder_change", args=(1,))).content.decode()
