"""Once a day: messages that ended long ago go, and old notices."""

from datetime import timedelta

from django.db.models.functions import Now

from apps.notifications.models import Notice, OutgoingEmail
from apps.notifications.policy import ENDED_KEPT_S, NOTICES_KEPT_S, SWEEP_ROWS_MAX
from nebannpet.batches import delete_in_batches


def forget_ended() -> int:
    """How many were deleted. What was never sent nor given up stays; a copy stays without the message it is of."""
    old = OutgoingEmail.objects.filter(ended_at__lt=Now() - timedelta(seconds=ENDED_KEPT_S))
    return delete_in_batches(old, at_once=SWEEP_ROWS_MAX)


def forget_notices() -> int:
    """How many were deleted, read or not."""
    old = Notice.objects.filter(created_at__lt=Now() - timedelta(seconds=NOTICES_KEPT_S))
    return delete_in_batches(old, at_once=SWEEP_ROWS_MAX)
