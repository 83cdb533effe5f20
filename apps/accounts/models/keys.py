"""API keys (requirement A5)."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils import timezone

from apps.accounts.models.users import TradingAccount
from apps.accounts.policy import ADDRESS_LENGTH_MAX, API_KEY_LABEL_LENGTH_MAX, API_KEY_LENGTH


def in_use(of: str = "") -> models.Q:
    """Of keys that work: neither revoked nor expired at this moment. `of` leads to them, such as `api_keys__`."""
    return models.Q(**{f"{of}revoked_at": None}) & (
        models.Q(**{f"{of}expires_at": None}) | models.Q(**{f"{of}expires_at__gt": timezone.now()})
    )


class ApiKey(models.Model):
    """A key for the trading API: public part in the clear, secret encrypted (secrets.py).

    Of an ED25519 or RSA key the owner keeps the private part, and `verify_key` is the public one (DER,
    SubjectPublicKeyInfo); an HMAC key has a secret instead. `public_key` is the key's name in both cases, as the
    dialect calls it: what clients send as X-MBX-APIKEY.

    Table `accounts_apikey`, read by the gateway without the ORM (credentials.py):
        id bigint · account_id bigint · label varchar · public_key varchar(64) unique · kind varchar ·
        secret_box, verify_key bytea ·
        can_read, can_trade, can_withdraw boolean · allowed_networks varchar(43)[] ·
        created_at, expires_at, revoked_at timestamptz · last_used_at timestamptz, last_used_address varchar(45) ·
        expiry_told_days smallint · version bigint

    A key without `allowed_networks` works from everywhere; they are written as addresses.normalise_network does. One
    without `expires_at` does not expire; one that can withdraw has networks and an end.

    `version` is written by a trigger at every insert and every change of account, key, secret, rights, networks or
    revoked_at, and when the owner is switched on or off. A row is never deleted and never un-revoked, and kind,
    verify_key and expires_at never change: triggers refuse it, since a follower would not notice, or a revocation would
    be undoable.

    The gateways write when and from where it was used last (LAST_USES_SQL), at most once a minute; services/
    keyexpiry.py how many days before its end the owner was told last.
    """

    class Kind(models.TextChoices):
        HMAC = "hmac", "HMAC-SHA-256"
        ED25519 = "ed25519", "Ed25519"
        RSA = "rsa", "RSA"

    account = models.ForeignKey(TradingAccount, on_delete=models.PROTECT, related_name="api_keys")
    label = models.CharField(max_length=API_KEY_LABEL_LENGTH_MAX)
    public_key = models.CharField("API key", max_length=API_KEY_LENGTH, unique=True)
    kind = models.CharField(max_length=8, choices=Kind.choices, default=Kind.HMAC, db_default=Kind.HMAC)
    secret_box = models.BinaryField(editable=False)
    verify_key = models.BinaryField(editable=False, default=b"", db_default=b"", blank=True)
    can_read = models.BooleanField(default=True)
    can_trade = models.BooleanField(default=False)
    can_withdraw = models.BooleanField(default=False, db_default=False)
    allowed_networks = ArrayField(
        models.CharField(max_length=43), default=list, db_default=[], blank=True,
        help_text="Addresses and networks that it works from; empty: from everywhere.",
    )  # fmt: skip
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    expiry_told_days = models.PositiveSmallIntegerField(null=True, blank=True, editable=False)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_used_address = models.CharField(
        max_length=ADDRESS_LENGTH_MAX, default="", db_default="", blank=True, editable=False
    )
    revoked_at = models.DateTimeField(null=True, blank=True)
    version = models.BigIntegerField(default=0, editable=False)

    class Meta:
        ordering = ("id",)
        verbose_name = "API key"
        verbose_name_plural = "API keys"
        indexes = (
            models.Index(fields=("version",), name="accounts_apikey_version"),
            models.Index(
                fields=("expires_at",),
                name="accounts_apikey_expiring",
                condition=models.Q(revoked_at=None, expires_at__isnull=False),
            ),
        )
        constraints = (
            models.CheckConstraint(
                condition=models.Q(public_key__regex=rf"^[A-Za-z0-9]{{{API_KEY_LENGTH}}}$"),
                name="accounts_apikey_format",
            ),
            models.CheckConstraint(
                condition=models.Q(can_read=True) | models.Q(can_trade=True) | models.Q(can_withdraw=True),
                name="accounts_apikey_has_right",
            ),
            models.CheckConstraint(
                condition=models.Q(can_withdraw=False)
                | models.Q(allowed_networks__len__gt=0, expires_at__isnull=False),
                name="accounts_apikey_withdraws",
            ),
            models.CheckConstraint(
                condition=models.Q(kind="hmac", verify_key=b"") & ~models.Q(secret_box=b"")
                | models.Q(kind__in=("ed25519", "rsa"), secret_box=b"") & ~models.Q(verify_key=b""),
                name="accounts_apikey_one_proof",
            ),
        )

    def __str__(self) -> str:
        return f"{self.label} ({self.public_key[:8]}…)"

    @property
    def rights_text(self) -> str:
        """Such as "read, trade"."""
        rights = {"read": self.can_read, "trade": self.can_trade, "withdraw": self.can_withdraw}
        return ", ".join(right for right, has in rights.items() if has)

    @property
    def is_revoked(self) -> bool:
        return self.revoked_at is not None

    @property
    def is_expired(self) -> bool:
        return self.expires_at is not None and self.expires_at <= timezone.now()

    @property
    def is_in_use(self) -> bool:
        return not (self.is_revoked or self.is_expired)
