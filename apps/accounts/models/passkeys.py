"""Questions to authenticators. The passkeys themselves are rows of django_otp_webauthn (docs/accounts.md)."""

from django.conf import settings
from django.db import models


class PasskeyChallenge(models.Model):
    """Random bytes that an authenticator is to sign: once, in the session that asked, and for what it asked.

    The row goes when it is answered. `user` is whose passkey is to answer; null where anybody's may.
    """

    challenge = models.BinaryField(unique=True, editable=False)
    purpose = models.CharField(max_length=20)
    session_hash = models.BinaryField(editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.CASCADE, related_name="+")
    network = models.CharField(max_length=49)
    expires_at = models.DateTimeField()

    class Meta:
        ordering = ("id",)
        indexes = (models.Index(fields=("network", "expires_at"), name="accounts_challenge_network"),)

    def __str__(self) -> str:
        return f"Challenge {self.pk} for {self.purpose}"
