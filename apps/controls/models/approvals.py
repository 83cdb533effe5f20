"""What one of staff asks for and others decide (requirements E2, A9; threat-T10). Written by services/approvals.py."""

from datetime import datetime
from typing import ClassVar

from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from apps.controls.policy import APPROVAL_KIND_LENGTH_MAX, APPROVAL_SUBJECT_LENGTH_MAX
from apps.outbox.policy import REASON_LENGTH_MAX

NAME_LENGTH_MAX = 254


class ApprovalState(models.TextChoices):
    """open -> one of the others, once and for ever. An open one past its end is expired, whatever its row says."""

    OPEN = "open", "open"
    DONE = "done", "done"
    DECLINED = "declined", "declined"
    WITHDRAWN = "withdrawn", "withdrawn"
    EXPIRED = "expired", "expired"


class ApprovalRequest(models.Model):
    """Nothing has happened while it is open. Only its end is written to it, and none is deleted: triggers see to it.

    `changes` are what the maker was shown, as [what, before, after]: if it would be something else by the last
    approval, that is refused.
    """

    kind = models.CharField(max_length=APPROVAL_KIND_LENGTH_MAX, help_text="A name of apps/controls/approvalkinds.py.")
    subject = models.CharField(max_length=APPROVAL_SUBJECT_LENGTH_MAX, help_text="What it is about, such as user:17.")
    payload = models.JSONField()
    changes = models.JSONField()
    reason = models.CharField(max_length=REASON_LENGTH_MAX)
    maker_id = models.BigIntegerField(help_text="Number of the user who asked.")
    made_by = models.CharField(max_length=NAME_LENGTH_MAX)
    made_at = models.DateTimeField()
    ready_at = models.DateTimeField(help_text="The last approval is not given before.")
    expires_at = models.DateTimeField()
    state = models.CharField(max_length=12, choices=ApprovalState, default=ApprovalState.OPEN)
    ended_at = models.DateTimeField(null=True, blank=True)
    ended_by = models.CharField(max_length=NAME_LENGTH_MAX, blank=True)
    ended_reason = models.CharField(max_length=REASON_LENGTH_MAX, blank=True)

    class Meta:
        default_permissions = ("view",)
        verbose_name = "request for approval"
        verbose_name_plural = "requests for approval"
        ordering: ClassVar = ["-id"]
        constraints = (
            # Of two requests for the same thing the second would undo what the first was approved for.
            models.UniqueConstraint(
                fields=("kind", "subject"), condition=Q(state=ApprovalState.OPEN), name="controls_approval_one_open"
            ),
            models.CheckConstraint(
                condition=Q(state=ApprovalState.OPEN, ended_at=None)
                | ~Q(state=ApprovalState.OPEN) & Q(ended_at__isnull=False),
                name="controls_approval_ended",
            ),
            models.CheckConstraint(
                condition=Q(made_at__lte=F("ready_at"), ready_at__lt=F("expires_at")), name="controls_approval_times"
            ),
        )

    def __str__(self) -> str:
        return f"{self.kind} {self.subject}"

    def is_open(self, now: datetime | None = None) -> bool:
        return self.state == ApprovalState.OPEN and (now or timezone.now()) < self.expires_at

    @property
    def state_now(self) -> str:
        return ApprovalState.EXPIRED if self.state == ApprovalState.OPEN and not self.is_open() else self.state


class Approval(models.Model):
    """One of staff is for it; nobody twice, and never the maker: the database refuses that, a change and a deletion."""

    request = models.ForeignKey(ApprovalRequest, on_delete=models.PROTECT, related_name="approvals")
    approver_id = models.BigIntegerField(help_text="Number of the user who approved.")
    given_by = models.CharField(max_length=NAME_LENGTH_MAX)
    given_at = models.DateTimeField()
    reason = models.CharField(max_length=REASON_LENGTH_MAX)

    class Meta:
        default_permissions = ()
        ordering: ClassVar = ["id"]
        constraints = (models.UniqueConstraint(fields=("request", "approver_id"), name="controls_approval_once"),)

    def __str__(self) -> str:
        return f"{self.given_by} for request {self.request_id}"
