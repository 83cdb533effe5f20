"""Reads."""

from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db.models import Count, F, Q, QuerySet
from django.utils import timezone

from apps.accounts.errors import NoTradingAccount
from apps.accounts.facts import Factor
from apps.accounts.models import (
    AllocationChange,
    AllocationRule,
    ApiKey,
    RecoveryCode,
    TotpFactor,
    TradingAccount,
    User,
)
from apps.accounts.policy import ALLOCATION_VERSIONS_SHOWN


def main_account(*, user_id: int) -> TradingAccount:
    """The user's main trading account; every user has exactly one."""
    return TradingAccount.objects.get(owner_id=user_id, is_main=True)


def main_account_id(*, user_id: int) -> int | None:
    """Its id, or None for a user made by other means than the manager."""
    return TradingAccount.objects.filter(owner_id=user_id, is_main=True).values_list("pk", flat=True).first()


def find_user_subject(typed: str) -> str | None:
    """For switches: the number, as text, of the user with this number or this e-mail address."""
    if typed.isascii() and typed.isdigit():
        found = User.objects.filter(pk=int(typed)).first() if len(typed) < 19 else None
    else:
        try:
            found = User.objects.get_by_natural_key(typed)
        except User.DoesNotExist:
            found = None
    return None if found is None else str(found.pk)


def held_until(*, user: User) -> datetime | None:
    """Until when the user's withdrawals are held; None if they are not."""
    until = user.withdrawals_held_until
    return until if until is not None and until > timezone.now() else None


def accounts_of(*, user_id: int) -> QuerySet[TradingAccount]:
    """The user's master account, then the sub-accounts in the order in which they were made."""
    return TradingAccount.objects.filter(owner_id=user_id).order_by("-is_main", "id")


def accounts_with_keys(*, user_id: int) -> QuerySet[TradingAccount]:
    """The same, each with `usable_keys`, how many API keys it has that are not revoked."""
    usable = Count("api_keys", filter=Q(api_keys__revoked_at=None))
    return accounts_of(user_id=user_id).annotate(usable_keys=usable)


def own_account(*, user_id: int, account_id: int) -> TradingAccount:
    """An account of this user. NoTradingAccount for an unknown number and for somebody else's (threat-T13)."""
    found = TradingAccount.objects.filter(owner_id=user_id, pk=account_id).first()
    if found is None:
        raise NoTradingAccount("You have no such account.")
    return found


def allocation_rules_of(*, account_id: int) -> QuerySet[AllocationRule]:
    """Rules that the engine has, by their numbers."""
    return AllocationRule.objects.filter(shard=settings.SHARD, account_id=account_id).order_by("rule_id")


def newest_changes(*, account_id: int, rule_id: int) -> QuerySet[AllocationChange]:
    """What was asked of a rule, by its owner or by staff, newest first."""
    asked = AllocationChange.objects.filter(account_id=account_id, rule_id=rule_id)
    return asked.order_by("-id")[:ALLOCATION_VERSIONS_SHOWN]


def api_keys_of(*, account_id: int) -> QuerySet[ApiKey]:
    """Usable keys first, newest first; without the secrets."""
    return (
        ApiKey.objects.filter(account_id=account_id)
        .defer("secret_box")
        .order_by(F("revoked_at").desc(nulls_first=True), "-id")
    )


@dataclass(frozen=True, slots=True)
class ApiKeyCounts:
    usable: int
    revoked: int


def count_api_keys(*, account_id: int) -> ApiKeyCounts:
    keys = ApiKey.objects.filter(account_id=account_id)
    usable = keys.filter(revoked_at=None).count()
    return ApiKeyCounts(usable=usable, revoked=keys.count() - usable)


@dataclass(frozen=True, slots=True)
class SecondFactors:
    """What a user has beside the password; the date is that of the authenticator app's first code."""

    app_since: datetime | None
    recovery_codes_left: int

    @property
    def any(self) -> bool:
        return self.app_since is not None


def second_factors(*, user_id: int) -> SecondFactors:
    app = TotpFactor.objects.filter(user=user_id, confirmed_at__isnull=False).values_list("confirmed_at", flat=True)
    return SecondFactors(
        app_since=app.first(), recovery_codes_left=RecoveryCode.objects.filter(user=user_id, used_at=None).count()
    )


def factors_of(*, user_id: int) -> frozenset[Factor]:
    """What is set up."""
    has_app = TotpFactor.objects.filter(user=user_id, confirmed_at__isnull=False).exists()
    return frozenset({Factor.AUTHENTICATOR}) if has_app else frozenset()


def has_second_factor(*, user_id: int) -> bool:
    return bool(factors_of(user_id=user_id))
