"""What staff asks of the engine: who, when and why stand in a row beside the outbox row, whose state is the answer."""

from typing import Any, NamedTuple

from django.db import models

from apps.audit import actors
from apps.audit.services import record
from apps.outbox.errors import ReasonMissing
from apps.outbox.models import OutboxRow, OutboxState
from apps.outbox.policy import REASON_LENGTH_MAX


class Audited(NamedTuple):
    """What the audit log says of a request: action, object, and what is to change (apps/audit/services.py: record)."""

    action: str
    object: str
    before: Any
    after: Any


class StaffRequest(models.Model):
    """Base of the tables of requests. What the engine made of one is in the outbox row with the same key.

    A new one leaves an entry in the audit log, in the same transaction.
    """

    reason = models.CharField(max_length=REASON_LENGTH_MAX)
    requested_by = models.CharField(max_length=254)
    requested_at = models.DateTimeField(auto_now_add=True)
    outbox_key = models.CharField(max_length=64, unique=True)

    class Meta:
        abstract = True
        ordering = ("-id",)

    def audited(self) -> Audited:
        raise NotImplementedError

    def save(self, *args: Any, **options: Any) -> None:
        is_new = self._state.adding
        super().save(*args, **options)
        if is_new:
            told = self.audited()
            record(
                actor=actors.named(self.requested_by),
                action=told.action,
                object=told.object,
                before=told.before,
                after=told.after,
                reason=self.reason,
            )


def required_reason(reason: str) -> str:
    """The trimmed reason; ReasonMissing where it is empty or too long."""
    reason = reason.strip()
    if not 0 < len(reason) <= REASON_LENGTH_MAX:
        raise ReasonMissing(f"Give a reason of 1 to {REASON_LENGTH_MAX} characters.")
    return reason


def is_waiting(newest: StaffRequest | None) -> bool:
    """Whether the engine has not answered the newest request yet."""
    return newest is not None and OutboxRow.objects.get(key=newest.outbox_key).state == OutboxState.WAITING
