"""Who tried to log in to an account (requirement A7)."""

from django.conf import settings
from django.db import models

from apps.accounts.policy import ADDRESS_LENGTH_MAX, BROWSER_LENGTH_MAX, FACTORS_LENGTH_MAX


class LogIn(models.Model):
    """One attempt on an account that exists, as its owner sees it. Refusals of the throttle leave none.

    Rows are read from the newest by the index of user and id, and go after LOG_INS_KEPT_S.
    """

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+", db_index=False)
    at = models.DateTimeField()
    succeeded = models.BooleanField()
    browser = models.CharField(max_length=BROWSER_LENGTH_MAX)
    address = models.CharField(max_length=ADDRESS_LENGTH_MAX)
    factors = models.CharField(max_length=FACTORS_LENGTH_MAX, blank=True, help_text="What was proved: words, sorted.")
    new_device = models.BooleanField(default=False)

    class Meta:
        ordering = ("id",)
        indexes = (
            models.Index(fields=("user", "-id"), name="accounts_log_in_user"),
            models.Index(fields=("at",), name="accounts_log_in_at"),
        )

    def __str__(self) -> str:
        return f"Log-in {self.pk} of user {self.user_id}"
