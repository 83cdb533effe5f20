"""E-mail on its way out. The row is the truth; Celery is only told to look at it (architecture.md section 6)."""

from django.conf import settings
from django.db import models
from django.db.models.functions import Now

from apps.notifications.models.topics import Topic
from apps.notifications.policy import ADDRESS_LENGTH_MAX, ERROR_LENGTH_MAX, REASON_LENGTH_MAX, SUBJECT_LENGTH_MAX


class EmailState(models.TextChoices):
    """queued -> sent | failed; both are final."""

    QUEUED = "queued"
    SENT = "sent"
    FAILED = "failed"


class OutgoingEmail(models.Model):
    """One message to one address, written in the transaction of what it tells about.

    `content` is a box (apps/common/boxes.py) with text and HTML, because messages carry links that let one in; it is
    null once the message is a week old. `message_id` stays the same over all attempts, so that a mail program shows a
    message once that the server was given twice.
    """

    id = models.BigAutoField(primary_key=True)
    to = models.CharField("to", max_length=ADDRESS_LENGTH_MAX)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+", db_index=False
    )
    topic = models.CharField(max_length=16, choices=Topic)
    template = models.CharField(max_length=60)
    subject = models.CharField(max_length=SUBJECT_LENGTH_MAX)
    content = models.BinaryField(null=True)
    message_id = models.CharField("Message-ID", max_length=120, unique=True)
    state = models.CharField(max_length=8, choices=EmailState, default=EmailState.QUEUED)
    attempts = models.PositiveSmallIntegerField(default=0)
    next_attempt_at = models.DateTimeField(db_default=Now())
    last_error = models.CharField(max_length=ERROR_LENGTH_MAX, blank=True)
    created_at = models.DateTimeField(db_default=Now())
    ended_at = models.DateTimeField("sent or given up", null=True, blank=True)
    again_of = models.ForeignKey("self", null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    asked_by = models.CharField(max_length=254, blank=True, help_text="Who of the staff asked to send it again.")
    reason = models.CharField(max_length=REASON_LENGTH_MAX, blank=True)

    class Meta:
        verbose_name = "e-mail"
        constraints = (
            models.CheckConstraint(
                condition=models.Q(state=EmailState.QUEUED, ended_at__isnull=True, content__isnull=False)
                | (~models.Q(state=EmailState.QUEUED) & models.Q(ended_at__isnull=False)),
                name="notifications_email_ended",
            ),
        )
        indexes = (
            models.Index(
                fields=["next_attempt_at"], name="notifications_email_due", condition=models.Q(state=EmailState.QUEUED)
            ),
            models.Index(
                fields=["ended_at"], name="notifications_email_kept", condition=models.Q(content__isnull=False)
            ),
            models.Index(fields=["to", "id"], name="notifications_email_to"),
        )
        permissions = (("send_again_outgoingemail", "Can send an e-mail again"),)

    def __str__(self) -> str:
        return f"{self.pk}: {self.subject}"
