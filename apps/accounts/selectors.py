"""Reads."""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, F, Q, QuerySet
from django.utils import timezone

from apps.accounts.errors import NoTradingAccount
from apps.accounts.models import ApiKey, TradingAccount, User


def main_account(*, user_id: int) -> TradingAccount:
    """The user's main trading account; every user has exactly one."""
    return TradingAccount.objects.get(owner_id=user_id, is_main=True)


def main_account_id(*, user_id: int) -> int | None:
    """Its id, or None for a user made by other means than the manager."""
    return TradingAccount.objects.filter(owner_id=user_id, is_main=True).values_list("pk", flat=True).first()


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
