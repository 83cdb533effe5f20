"""Listen keys: the dialect's older way to user data (clients.md section 6)."""

from django.db import models

from apps.accounts.models.keys import ApiKey
from apps.accounts.models.users import TradingAccount


class ListenKey(models.Model):
    """A secret name under which a stream connection gets an account's user data, for an hour unless prolonged.

    Table `accounts_listenkey`, written by the gateway without the ORM (listenkeys.py):
        id bigint · key_hash bytea(32) unique · box bytea · account_id, api_key_id bigint ·
        created_at, expires_at, revoked_at timestamptz · version bigint

    Whoever has the key sees orders and balances, so only its hash and its encrypted text (secrets.py) are stored.
    revoked_at is set when its owner ends it, and expires_at with it; a trigger then writes `version` and tells all
    gateways. It stays 0 before that. An API key has one that is valid at most, and any number that are over: the index
    of API key and time finds it among them, and the oldest ones, which go.
    """

    key_hash = models.BinaryField(unique=True, editable=False)
    box = models.BinaryField(editable=False)
    account = models.ForeignKey(TradingAccount, on_delete=models.PROTECT, related_name="listen_keys")
    # The index that begins with it is below.
    api_key = models.ForeignKey(ApiKey, on_delete=models.PROTECT, related_name="listen_keys", db_index=False)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)
    version = models.BigIntegerField(default=0, editable=False)

    class Meta:
        indexes = (
            models.Index(fields=("version",), name="accounts_listenkey_version", condition=models.Q(version__gt=0)),
            models.Index(fields=("api_key", "expires_at"), name="accounts_listenkey_of_key"),
        )

    def __str__(self) -> str:
        return f"Listen key {self.pk} of account {self.account_id}"
