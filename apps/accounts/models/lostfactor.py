"""Users who lost their second factor and have no recovery code (requirement A2)."""

from django.conf import settings
from django.db import models
from django.db.models.functions import Now

from apps.controls.models import ApprovalRequest


class LostFactorCase(models.Model):
    """Beside the request that staff decide on: what stops it, and by which password it was asked for.

    Of the token in the mailed link only the hash is kept; `password_hash_digest` is SHA-256 of the password's hash at
    that time, so that a case does not outlive a change of the password.
    """

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="lost_factor_cases")
    request = models.OneToOneField(ApprovalRequest, on_delete=models.PROTECT, related_name="+")
    stop_hash = models.BinaryField(unique=True, editable=False)
    password_hash_digest = models.BinaryField(editable=False)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ("id",)
        default_permissions = ()

    def __str__(self) -> str:
        return f"Lost factor of user {self.user_id}"
