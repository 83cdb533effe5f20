"""Attempts to prove a password, for throttling (threat-T1, requirement A7)."""

from django.db import models


class PasswordAttempt(models.Model):
    """One attempt: written before the password is looked at, so that parallel attempts count each other.

    The address typed may be nobody's, or a password in the wrong field: only its hash is kept, and for a day.
    `network` is what the attempt came from: an IPv4 address, the /64 of an IPv6 one, or empty where unknown. `origin`
    is what else speaks for its owner: services/throttle.py.
    """

    subject_hash = models.BinaryField(editable=False)
    network = models.CharField(max_length=49)
    origin = models.CharField(max_length=30, blank=True, db_default="")
    at = models.DateTimeField()
    succeeded = models.BooleanField(default=False)

    class Meta:
        ordering = ("id",)
        indexes = (
            models.Index(fields=("network", "at"), name="accounts_attempt_network"),
            models.Index(fields=("subject_hash", "at"), name="accounts_attempt_subject"),
        )

    def __str__(self) -> str:
        return f"Attempt {self.pk} from {self.network or 'unknown'}"
