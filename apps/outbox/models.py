"""Rows that must reach the engine, written in the same transaction as the business row they belong to."""

from django.db import models
from django.db.models.functions import Now

from apps.streams.kinds import Reason, Source


class OutboxState(models.TextChoices):
    """waiting -> done | refused, moved only by the settlement of the row's event."""

    WAITING = "waiting", "waiting"
    DONE = "done", "done"
    REFUSED = "refused", "refused"


class OutboxRow(models.Model):
    """One command on its way to the engine (architecture.md section 6).

    `frames` is the whole frame run with relay_seq and source still 0; the relay fills them in when it sends.
    `relay_seq` is dense per (shard, source) and is committed before anything is sent. Content never changes after
    the insert and no row is deleted: triggers refuse both.
    """

    id = models.BigAutoField(primary_key=True)
    shard = models.CharField(max_length=16, default="spot")
    key = models.CharField(max_length=64, unique=True, help_text="Business key; the same key never makes two rows.")
    source = models.PositiveSmallIntegerField(default=Source.OUTBOX.value)
    kind = models.PositiveSmallIntegerField(help_text="streams.kinds.CommandKind")
    frames = models.BinaryField()
    relay_seq = models.PositiveBigIntegerField(null=True, blank=True)
    state = models.CharField(max_length=8, choices=OutboxState, default=OutboxState.WAITING)
    reason = models.PositiveSmallIntegerField(
        default=Reason.NONE.value, help_text="streams.kinds.Reason, where refused"
    )
    event_seq = models.PositiveBigIntegerField(null=True, blank=True, help_text="The event that settled this row.")
    created_at = models.DateTimeField(db_default=Now())
    numbered_at = models.DateTimeField(null=True, blank=True)
    settled_at = models.DateTimeField(null=True, blank=True)
    restored_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="Made again from the archived command, because a restored database did not have the row.",
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["shard", "source", "relay_seq"], name="outbox_relay_seq_unique"),
            models.CheckConstraint(
                condition=models.Q(state=OutboxState.WAITING, event_seq__isnull=True)
                | (~models.Q(state=OutboxState.WAITING) & models.Q(event_seq__isnull=False, relay_seq__isnull=False)),
                name="outbox_settled_has_event",
            ),
        ]
        indexes = [
            models.Index(
                fields=["shard", "source", "id"], name="outbox_unnumbered", condition=models.Q(relay_seq__isnull=True)
            ),
            models.Index(
                fields=["shard", "source", "relay_seq"],
                name="outbox_in_flight",
                condition=models.Q(state=OutboxState.WAITING, relay_seq__isnull=False),
            ),
        ]
        verbose_name = "outbox row"

    def __str__(self) -> str:
        return f"{self.key} ({self.state})"


class RelayCounter(models.Model):
    """Last relay_seq given out for one (shard, source); locked by the relay while it numbers rows."""

    id = models.BigAutoField(primary_key=True)
    shard = models.CharField(max_length=16)
    source = models.PositiveSmallIntegerField()
    last_relay_seq = models.PositiveBigIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["shard", "source"], name="outbox_counter_unique")]

    def __str__(self) -> str:
        return f"{self.shard}/{self.source}: {self.last_relay_seq}"
