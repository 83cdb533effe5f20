"""Links that were mailed: whoever follows one reads the mail of its address (requirement A1)."""

from django.conf import settings
from django.db import models
from django.db.models.functions import Now

from apps.accounts.policy import EMAIL_LENGTH_MAX


class MailedLink(models.Model):
    """One link, for one purpose, one address and one use.

    Only the token's hash is kept. A row is also made where there is nothing to do, as at a sign-up with an address that
    has an account: its token then goes to nobody, and both cases cost the same (threat-T4).
    """

    class Purpose(models.TextChoices):
        SIGN_UP = "sign-up", "sign-up"
        RESET = "reset", "new password"
        CHANGE = "change", "new e-mail address"
        RECOVER = "recover", "log-in without the second factor"
        LET_IN = "let-in", "log-in from a new browser"

    purpose = models.CharField(max_length=8, choices=Purpose)
    address = models.CharField(max_length=EMAIL_LENGTH_MAX, help_text="Where it was mailed to; it proves this one.")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.CASCADE, related_name="mailed_links")
    password = models.CharField(max_length=128, blank=True, help_text="Of a sign-up: the hash that the account gets.")
    token_hash = models.BinaryField(unique=True, editable=False)
    network = models.CharField(max_length=49)
    created_at = models.DateTimeField(db_default=Now())
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("id",)
        indexes = (
            models.Index(fields=("network", "created_at"), name="accounts_link_network"),
            models.Index(fields=("address", "created_at"), name="accounts_link_address"),
        )

    def __str__(self) -> str:
        return f"{self.purpose} link {self.pk}"
