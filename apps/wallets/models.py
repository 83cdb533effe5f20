"""Transfers between accounts of one user (requirement A6)."""

from django.conf import settings
from django.db import models


class InternalTransfer(models.Model):
    """What a user asked for. What the engine made of it is in the outbox row with the same key.

    Rows are only added: the site's role can do nothing else. Accounts and assets are named by number, as events name
    them.
    """

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", db_index=False)
    client_id = models.CharField(max_length=36, help_text="The user's own; the same again is the same transfer.")
    from_account_id = models.BigIntegerField("from account")
    to_account_id = models.BigIntegerField("to account")
    asset_id = models.IntegerField()
    amount_units = models.BigIntegerField(help_text="In 10^-8 of the asset.")
    outbox_key = models.CharField(max_length=64, unique=True)
    requested_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("-id",)
        constraints = (
            models.UniqueConstraint(fields=("owner", "client_id"), name="wallets_transfer_once"),
            models.CheckConstraint(condition=models.Q(amount_units__gt=0), name="wallets_transfer_amount"),
            models.CheckConstraint(
                condition=~models.Q(from_account_id=models.F("to_account_id")), name="wallets_transfer_two_accounts"
            ),
        )
        indexes = (models.Index(fields=("owner", "-id"), name="wallets_transfer_of_owner"),)

    def __str__(self) -> str:
        return f"transfer {self.pk}"
