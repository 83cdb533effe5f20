"""Links with which an owner locks the account (requirement A7)."""

from django.conf import settings
from django.db import models
from django.db.models.functions import Now

from apps.accounts.policy import EMAIL_LENGTH_MAX


class LockLink(models.Model):
    """One link of one e-mail about the account; it locks, and nothing else. Only the token's hash is kept."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="lock_links")
    address = models.CharField(max_length=EMAIL_LENGTH_MAX, help_text="Where it was mailed to.")
    token_hash = models.BinaryField(unique=True, editable=False)
    expires_at = models.DateTimeField(db_index=True)
    used_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ("id",)

    def __str__(self) -> str:
        return f"Lock link {self.pk} of user {self.user_id}"
