"""Browsers that a user logged in with, and the sessions that are open in them (requirement A7, threat-T5)."""

from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import models
from django.db.models.functions import Now

from apps.accounts.policy import ADDRESS_LENGTH_MAX, BROWSER_LENGTH_MAX


class Device(models.Model):
    """A browser that holds a cookie of this user (devicecookie.py); of the cookie's token only the hash is kept.

    `logged_in_at` is null as long as a mailed link was followed there, but nobody logged in.
    """

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="devices")
    token_hash = models.BinaryField(unique=True, editable=False)
    browser = models.CharField(max_length=BROWSER_LENGTH_MAX)
    address = models.CharField(max_length=ADDRESS_LENGTH_MAX, help_text="Where it was last, as text; may be empty.")
    created_at = models.DateTimeField(db_default=Now())
    seen_at = models.DateTimeField(db_default=Now(), help_text="Of the last log-in, or of the mailed link.")
    logged_in_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("id",)
        indexes = (models.Index(fields=("seen_at",), name="accounts_device_seen"),)

    def __str__(self) -> str:
        return f"{self.browser} ({self.pk})"


class OpenSession(models.Model):
    """Whose a row of django_session is, and from where it was opened.

    The database deletes it together with its session, whoever does that: the foreign key has ON DELETE CASCADE, which
    Django does not write (migration), and so it is told to do nothing.
    """

    session = models.OneToOneField(
        Session, on_delete=models.DO_NOTHING, db_constraint=False, editable=False, related_name="opened"
    )
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="open_sessions")
    device = models.ForeignKey(Device, null=True, on_delete=models.SET_NULL, related_name="open_sessions")
    browser = models.CharField(max_length=BROWSER_LENGTH_MAX)
    address = models.CharField(max_length=ADDRESS_LENGTH_MAX)

    class Meta:
        ordering = ("id",)

    def __str__(self) -> str:
        return f"Session {self.pk} of user {self.user_id}"
