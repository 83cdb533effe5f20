"""The permanent record of money: a double-entry ledger, and balances that are proven against it on every write.

Sign: a positive amount raises what the platform owes the owner. Users, FEES and SAFU are therefore positive, EXTERNAL
(the outside world) is negative, and every transaction and every asset sums to zero.
"""

from django.db import models


class OwnerKind(models.IntegerChoices):
    """Whose account an entry stands on. Numbers are stored for ever."""

    USER = 1, "user"
    FEES = 2, "house income"
    SAFU = 3, "SAFU"
    EXTERNAL = 4, "external"


class Entry(models.Model):
    """One line of the ledger. (shard, seq) is the ledger transaction: the event that caused it; n numbers its lines.

    Append-only: triggers and grants refuse UPDATE, DELETE and TRUNCATE, and a statement whose lines do not sum to
    zero per transaction and asset. `id` is policy.entry_id(shard, seq, n).
    """

    id = models.BigIntegerField(primary_key=True)
    shard = models.CharField(max_length=16)
    seq = models.BigIntegerField()
    n = models.SmallIntegerField()
    asset_id = models.IntegerField()
    kind = models.SmallIntegerField(choices=OwnerKind)
    owner_id = models.BigIntegerField(help_text="Trading account of a USER entry, else 0.")
    amount_units = models.BigIntegerField(help_text="Signed, in 10^-8 of the asset.")

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(kind=OwnerKind.USER, owner_id__gt=0)
                | (models.Q(owner_id=0) & ~models.Q(kind=OwnerKind.USER)),
                name="ledger_entry_owner",
            ),
        ]
        indexes = [
            models.Index(
                fields=["owner_id", "id"], name="ledger_entry_of_owner", condition=models.Q(kind=OwnerKind.USER)
            ),
        ]
        verbose_name_plural = "entries"

    def __str__(self) -> str:
        return f"{self.shard}/{self.seq}.{self.n}"


class Balance(models.Model):
    """What an account has of an asset on one shard after event `seq`, in units.

    available and held are absolute, from events; posted is the running sum of the account's entries. The database
    itself refuses a row in which they disagree, so a broken invariant stops settlement before anything changes.
    """

    id = models.BigAutoField(primary_key=True)
    shard = models.CharField(max_length=16, default="spot")
    account_id = models.BigIntegerField()
    asset_id = models.IntegerField()
    available_units = models.BigIntegerField()
    held_units = models.BigIntegerField()
    posted_units = models.BigIntegerField()
    seq = models.BigIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["account_id", "asset_id", "shard"], name="ledger_balance_unique"),
            models.CheckConstraint(
                condition=models.Q(available_units__gte=0, held_units__gte=0), name="ledger_balance_not_negative"
            ),
            models.CheckConstraint(
                condition=models.Q(posted_units=models.F("available_units") + models.F("held_units")),
                name="ledger_balance_is_posted",
            ),
        ]

    def __str__(self) -> str:
        return f"account {self.account_id}, asset {self.asset_id}"


class HouseTotal(models.Model):
    """Running sum of the entries of one house account (FEES, SAFU, EXTERNAL) in one asset, in units."""

    id = models.BigAutoField(primary_key=True)
    shard = models.CharField(max_length=16, default="spot")
    kind = models.SmallIntegerField(choices=OwnerKind)
    asset_id = models.IntegerField()
    posted_units = models.BigIntegerField()
    seq = models.BigIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["shard", "kind", "asset_id"], name="ledger_house_unique"),
            models.CheckConstraint(
                condition=models.Q(kind__in=[OwnerKind.FEES, OwnerKind.SAFU], posted_units__gte=0)
                | models.Q(kind=OwnerKind.EXTERNAL, posted_units__lte=0),
                name="ledger_house_sign",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}, asset {self.asset_id}"
