"""What staff asks of the engine: who, when and why stand in a row beside the outbox row, whose state is the answer."""

from django.db import models

from apps.outbox.errors import ReasonMissing
from apps.outbox.models import OutboxRow, OutboxState
from apps.outbox.policy import REASON_LENGTH_MAX


class StaffRequest(models.Model):
    """Base of the tables of requests. What the engine made of one is in the outbox row with the same key."""

    reason = models.CharField(max_length=REASON_LENGTH_MAX)
    requested_by = models.CharField(max_length=254)
    requested_at = models.DateTimeField(auto_now_add=True)
    outbox_key = models.CharField(max_length=64, unique=True)

    class Meta:
        abstract = True
        ordering = ("-id",)


def required_reason(reason: str) -> str:
    """The trimmed reason; ReasonMissing where it is empty or too long."""
    reason = reason.strip()
    if not 0 < len(reason) <= REASON_LENGTH_MAX:
        raise ReasonMissing(f"Give a reason of 1 to {REASON_LENGTH_MAX} characters.")
    return reason


def is_waiting(newest: StaffRequest | None) -> bool:
    """Whether the engine has not answered the newest request yet."""
    return newest is not None and OutboxRow.objects.get(key=newest.outbox_key).state == OutboxState.WAITING
