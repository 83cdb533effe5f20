"""Owners and staff make, change and remove allocation rules (T12). The engine decides; the mirror follows its event."""

from collections.abc import Sequence
from uuid import uuid4

from django.conf import settings
from django.db import transaction
from django.db.models import Max, QuerySet

from apps.accounts.errors import (
    ChangePending,
    InvalidAllocation,
    NoTradingAccount,
    TooManyAllocations,
    UnknownAllocation,
)
from apps.accounts.models import AllocationChange, AllocationRule, TradingAccount
from apps.accounts.policy import ALLOCATION_RULES_PER_ACCOUNT_MAX
from apps.accounts.services.families import known_accounts
from apps.outbox import services as outbox
from apps.outbox.models import OutboxRow, OutboxState
from apps.outbox.requests import required_reason
from apps.streams.messages import AllocationSettings, SettingsError


@transaction.atomic
def set_allocation_rule(
    *,
    account_id: int,
    rule_id: int | None,
    method: int,
    accounts: Sequence[int],
    weights_bp: Sequence[int],
    reason: str,
    requested_by: str,
) -> AllocationChange:
    """Ask the engine for a new rule of the account (`rule_id` None: the next number), or for other content of a rule.

    Raises ReasonMissing, NoTradingAccount, InvalidAllocation, TooManyAllocations, ChangePending. Whether the accounts
    are of the owner's family is the engine's to say (ALLOCATION_FAMILY). Locks the owner's row.
    """
    reason = required_reason(reason)
    _lock_owner(account_id)
    if not accounts:
        raise InvalidAllocation("A rule names at least one account.")
    rules = AllocationRule.objects.filter(shard=settings.SHARD, account_id=account_id)
    if rule_id is None:
        asked = AllocationChange.objects.filter(account_id=account_id).aggregate(last=Max("rule_id"))["last"] or 0
        rule_id = max(asked, rules.aggregate(last=Max("rule_id"))["last"] or 0) + 1
    if not rules.filter(rule_id=rule_id).exists() and _taken(account_id, rules) >= ALLOCATION_RULES_PER_ACCOUNT_MAX:
        raise TooManyAllocations(f"An account has at most {ALLOCATION_RULES_PER_ACCOUNT_MAX} allocation rules.")
    wanted = AllocationSettings(
        account_id=account_id,
        rule_id=rule_id,
        method=method,
        accounts=list(accounts),
        weights_bp=list(weights_bp),
    )
    try:
        wanted.check()
    except SettingsError as error:
        raise InvalidAllocation(f"{error}.") from error
    known_accounts(accounts)
    return _ask(wanted, reason, requested_by)


@transaction.atomic
def remove_allocation_rule(*, account_id: int, rule_id: int, reason: str, requested_by: str) -> AllocationChange:
    """Ask the engine to forget a rule; open block orders keep their shares.

    Raises ReasonMissing, NoTradingAccount, UnknownAllocation (as far as the settled record knows), ChangePending.
    """
    reason = required_reason(reason)
    _lock_owner(account_id)
    rule = AllocationRule.objects.filter(shard=settings.SHARD, account_id=account_id, rule_id=rule_id).first()
    if rule is None:
        raise UnknownAllocation(f"Account {account_id} has no allocation rule {rule_id}.")
    gone = AllocationSettings(account_id=account_id, rule_id=rule_id, method=rule.method, accounts=[])
    return _ask(gone, reason, requested_by)


def _taken(account_id: int, rules: QuerySet[AllocationRule]) -> int:
    """How many rules the account has, those on their way to the engine included: nobody fills the outbox by asking."""
    waiting = OutboxRow.objects.filter(state=OutboxState.WAITING).values("key")
    asked = AllocationChange.objects.filter(account_id=account_id, outbox_key__in=waiting)
    return rules.count() + asked.exclude(rule_id__in=rules.values("rule_id")).count()


def _lock_owner(account_id: int) -> None:
    if not TradingAccount.objects.select_for_update().filter(pk=account_id).exists():
        raise NoTradingAccount(f"There is no trading account {account_id}.")


def _ask(wanted: AllocationSettings, reason: str, requested_by: str) -> AllocationChange:
    asked = AllocationChange.objects.filter(account_id=wanted.account_id, rule_id=wanted.rule_id)
    waiting = OutboxRow.objects.filter(state=OutboxState.WAITING)
    if asked.filter(outbox_key__in=waiting.values("key")).exists():
        raise ChangePending(f"An earlier change of rule {wanted.rule_id} still waits for the engine.")
    change = AllocationChange.objects.create(
        account_id=wanted.account_id,
        rule_id=wanted.rule_id,
        method=wanted.method,
        accounts=wanted.accounts,
        weights_bp=wanted.weights_bp,
        reason=reason,
        requested_by=requested_by,
        outbox_key=f"account:{wanted.account_id}:allocation:{uuid4().hex[:24]}",
    )
    outbox.enqueue_settings(key=change.outbox_key, settings=wanted)
    return change
