"""Families and allocation rules (T8, T12): what the engine holds, and what staff asked of it.

The first two are mirrors, written by settlement alone. Accounts are named by number: events name them so.
"""

from typing import Any

from django.conf import settings
from django.db import models

from apps.audit.canonical import amounts
from apps.outbox.requests import Audited, StaffRequest
from apps.streams.kinds import AllocationMethod
from apps.streams.shards import DEFAULT_SHARD


class AccountSettings(models.Model):
    """Family and fee tier of an account, as the engine of a shard took them last.

    `family_id` is the account at the family's head, the account's own number without a family. An account of which
    nothing was ever set has no row: its own family, tier 0.
    """

    id = models.BigAutoField(primary_key=True)
    shard = models.CharField(max_length=16, default=DEFAULT_SHARD)
    account_id = models.BigIntegerField("account")
    family_id = models.BigIntegerField("family")
    fee_tier = models.PositiveSmallIntegerField()
    seq = models.BigIntegerField(help_text="The last event that changed this row.")

    class Meta:
        ordering = ("account_id",)
        verbose_name = "account in the engine"
        verbose_name_plural = "accounts in the engine"
        constraints = (models.UniqueConstraint(fields=("shard", "account_id"), name="accounts_settings_once"),)
        indexes = (models.Index(fields=("family_id",), name="accounts_settings_family"),)

    def __str__(self) -> str:
        return f"account {self.account_id}"


class AllocationRule(models.Model):
    """How block orders of `account_id` that name the rule are divided, in the order that settles ties."""

    class Method(models.IntegerChoices):
        FIXED = AllocationMethod.FIXED, "Fixed shares"
        EQUAL = AllocationMethod.EQUAL, "Equal"
        PRO_RATA = AllocationMethod.PRO_RATA, "As each order says"

    id = models.BigAutoField(primary_key=True)
    shard = models.CharField(max_length=16, default=DEFAULT_SHARD)
    account_id = models.BigIntegerField("owner")
    rule_id = models.PositiveIntegerField("rule")
    method = models.PositiveSmallIntegerField(choices=Method)
    accounts = models.JSONField(help_text="[account, ...]")
    weights_bp = models.JSONField("basis points", default=list, blank=True, help_text="of each account, fixed only")
    seq = models.BigIntegerField(help_text="The last event that changed this row.")

    class Meta:
        ordering = ("account_id", "rule_id")
        constraints = (models.UniqueConstraint(fields=("shard", "account_id", "rule_id"), name="accounts_rule_once"),)

    def __str__(self) -> str:
        return f"rule {self.rule_id} of account {self.account_id}"

    def audited(self) -> dict[str, Any]:
        """As the audit log has it."""
        return _told(self.method, self.accounts, self.weights_bp)


class FamilyChange(StaffRequest):
    """An account that staff put into a family, or (its own number) took out of one."""

    account_id = models.BigIntegerField("account", db_index=True)
    family_id = models.BigIntegerField("family", db_index=True)

    def __str__(self) -> str:
        return f"account {self.account_id} to family {self.family_id}"

    def audited(self) -> Audited:
        mirror = AccountSettings.objects.filter(shard=settings.SHARD, account_id=self.account_id).first()
        before = {"family": str(mirror.family_id if mirror is not None else self.account_id)}
        return Audited("account.family", f"account:{self.account_id}", before, {"family": str(self.family_id)})


class AllocationChange(StaffRequest):
    """An allocation rule that staff made, changed or (no accounts) removed."""

    account_id = models.BigIntegerField("owner")
    rule_id = models.PositiveIntegerField("rule")
    method = models.PositiveSmallIntegerField(choices=AllocationRule.Method)
    accounts = models.JSONField(blank=True)
    weights_bp = models.JSONField("basis points", default=list, blank=True)

    class Meta(StaffRequest.Meta):
        indexes = (models.Index(fields=("account_id", "rule_id"), name="accounts_allocation_change"),)

    def __str__(self) -> str:
        return f"rule {self.rule_id} of account {self.account_id}"

    def audited(self) -> Audited:
        rule = AllocationRule.objects.filter(
            shard=settings.SHARD, account_id=self.account_id, rule_id=self.rule_id
        ).first()
        return Audited(
            "account.allocation",
            f"account:{self.account_id}/rule:{self.rule_id}",
            rule.audited() if rule is not None else None,
            _told(self.method, self.accounts, self.weights_bp) if self.accounts else None,
        )


def _told(method: int, accounts: list[int], weights_bp: list[int]) -> dict[str, Any]:
    """An allocation rule as the audit log has it."""
    return amounts({"method": AllocationRule.Method(method).label, "accounts": accounts, "basis_points": weights_bp})
