"""Which rate limits of the API hold for an account; fees go by volume, and nobody sets them by hand."""

from django.db import transaction

from apps.accounts.models import TradingAccount
from apps.audit.actors import Actor
from apps.audit.services import record
from apps.outbox.requests import required_reason


def set_limits_tier(*, account_id: int, tier: TradingAccount.Tier, reason: str, actor: Actor) -> bool:
    """Followed by the gateways within a second; False where it was so before. Raises ReasonMissing."""
    clean_reason = required_reason(reason)
    with transaction.atomic():
        account = TradingAccount.objects.select_for_update().get(pk=account_id)
        if account.tier == tier:
            return False
        before, account.tier = account.tier, tier
        account.save(update_fields=("tier",))
        record(
            actor=actor, action="account.limits", object=f"account:{account_id}", before={"tier": before},
            after={"tier": tier.value}, reason=clean_reason,
        )  # fmt: skip
    return True
