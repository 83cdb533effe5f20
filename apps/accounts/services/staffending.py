"""What staff end at once, with a reason: API keys and trading sessions. Their owners are told, without the reason."""

from itertools import groupby

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from apps.accounts.models import ApiKey, TradingTicket, User
from apps.accounts.services.announcements import tell_owner
from apps.accounts.services.api_keys import revoke_keys
from apps.accounts.services.locks import lock_credentials
from apps.audit.actors import acting
from apps.audit.services import record
from apps.outbox.requests import required_reason


def revoke_keys_by_staff(*, chosen: QuerySet[ApiKey], reason: str) -> int:
    """Revoke those of `chosen` that are not, for good; how many they were. Raises ReasonMissing."""
    clean_reason = required_reason(reason)
    with transaction.atomic():
        revoked = revoke_keys(chosen, reason=clean_reason)
        keys = ApiKey.objects.defer("secret_box", "verify_key").select_related("account__owner")
        found = keys.filter(pk__in=revoked).order_by("account__owner", "pk")
        for owner, of_owner in groupby(found, key=lambda key: key.account.owner):
            tell_owner(owner, "keys_revoked", keys=list(of_owner))
    return len(revoked)


def close_trading_sessions(*, chosen: QuerySet[TradingTicket], reason: str) -> int:
    """Revoke those of `chosen` that are not; how many they were. Raises ReasonMissing.

    Users are locked before their tickets, as revoke_keys locks owners before keys.
    """
    clean_reason = required_reason(reason)
    with transaction.atomic():
        users = User.objects.filter(pk__in=chosen.values("user")).order_by("pk")
        locked = list(users.select_for_update(no_key=True))
        lock_credentials()
        found = list(chosen.filter(revoked_at=None).values_list("pk", "account_id", "user_id"))
        TradingTicket.objects.filter(pk__in=[pk for pk, _, _ in found]).update(revoked_at=timezone.now())
        for pk, account_id, _ in found:
            record(
                actor=acting(), action="trading-session.revoked", object=f"trading-session:{pk}",
                after={"account": str(account_id)}, reason=clean_reason,
            )  # fmt: skip
        for user in locked:
            if count := sum(user_id == user.pk for _, _, user_id in found):
                tell_owner(user, "trading_closed", count=count)
    return len(found)
