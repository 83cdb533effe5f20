"""What proves a log-in beside the password (requirement A2)."""

from django.db import models
from django.db.models.functions import Now

from apps.accounts.models.users import User


class TotpFactor(models.Model):
    """A user's authenticator app: one in use, and at most one that waits for its first code.

    The secret is a box of secrets.py. A code is looked at with the row locked: `last_step` keeps a code from being used
    twice, and `failures` since `failures_since` keep somebody who knows the password from trying many.
    `failures_in_a_row` are those since the last right code or new password.
    """

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="totp_factors")
    secret_box = models.BinaryField(editable=False)
    created_at = models.DateTimeField(db_default=Now())
    confirmed_at = models.DateTimeField(null=True)
    last_step = models.BigIntegerField(default=-1)
    failures = models.PositiveSmallIntegerField(default=0)
    failures_since = models.DateTimeField(null=True)
    failures_in_a_row = models.PositiveSmallIntegerField(default=0)

    class Meta:
        ordering = ("id",)
        constraints = (
            models.UniqueConstraint(
                fields=("user",), condition=models.Q(confirmed_at__isnull=False), name="accounts_one_totp_in_use"
            ),
            models.UniqueConstraint(
                fields=("user",), condition=models.Q(confirmed_at=None), name="accounts_one_totp_waiting"
            ),
        )

    def __str__(self) -> str:
        return f"Authenticator app of user {self.user_id}"


class RecoveryCode(models.Model):
    """One of a user's codes for the day on which the factor is lost. It has 120 random bits, and is kept as a hash."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="recovery_codes")
    code_hash = models.BinaryField(editable=False)
    created_at = models.DateTimeField(db_default=Now())
    used_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("id",)
        constraints = (models.UniqueConstraint(fields=("user", "code_hash"), name="accounts_recovery_code_once"),)

    def __str__(self) -> str:
        return f"Recovery code {self.pk}"
