"""Staff reviews a parked order (T7). The engine decides what comes of it; settlement writes that down."""

from django.db import IntegrityError, transaction

from apps.audit import actors
from apps.audit.services import record
from apps.markets.models import Market
from apps.orders.errors import NotParked, ReviewPending, UnknownOrder
from apps.orders.models import Order, OrderReview, ParkedOrder
from apps.outbox import services as outbox
from apps.outbox.models import OutboxRow, OutboxState
from apps.outbox.requests import required_reason
from apps.streams.commands import ReviewOrder
from apps.streams.kinds import OrderStatus, Review


@transaction.atomic
def review_parked_order(*, order_id: int, decision: Review, reason: str, requested_by: str) -> OrderReview:
    """Record who decides what and why, and send it to the engine.

    Raises ReasonMissing, UnknownOrder (never parked), NotParked (as far as the settled record knows), ReviewPending.
    """
    reason = required_reason(reason)
    parked = ParkedOrder.objects.filter(pk=order_id).first()
    if parked is None:
        raise UnknownOrder(f"Order {order_id} was never parked.")
    if not Order.objects.filter(pk=order_id, status=OrderStatus.PENDING_NEW).exists():
        raise NotParked(f"Order {order_id} does not wait for review any more.")
    pending = ReviewPending(f"An earlier review of order {order_id} still waits for the engine.")
    earlier = list(parked.reviews.order_by("id"))
    if earlier and OutboxRow.objects.get(key=earlier[-1].outbox_key).state == OutboxState.WAITING:
        raise pending
    try:
        # The key is unique, so of two at the same time one is refused.
        with transaction.atomic():
            review = OrderReview.objects.create(
                order=parked,
                decision=decision,
                reason=reason,
                requested_by=requested_by,
                outbox_key=f"order:{order_id}:review:{len(earlier) + 1}",
            )
    except IntegrityError as error:
        raise pending from error
    record(
        actor=actors.named(requested_by),
        action="order.review",
        object=f"order:{order_id}",
        after={"decision": decision.name.lower(), "account": str(parked.account_id)},
        reason=reason,
    )
    command = ReviewOrder(
        market_id=parked.market_id,
        account_id=parked.account_id,
        order_id=order_id,
        decision=decision,
        relay_seq=0,
        source=0,
    )
    shard = Market.objects.values_list("shard", flat=True).get(pk=parked.market_id)
    outbox.enqueue(key=review.outbox_key, command=command, shard=shard)
    return review
