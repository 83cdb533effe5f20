"""Reads."""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import F, QuerySet
from django.utils import timezone

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
