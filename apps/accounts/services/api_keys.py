"""API keys as their owners ask for them: make, limit to networks, revoke (requirement A5)."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from apps.accounts.errors import ApiKeyNotFound, ApiKeyRefused
from apps.accounts.facts import Facts
from apps.accounts.models import ApiKey
from apps.accounts.rules import Action
from apps.accounts.services.decisions import decide_now
from apps.accounts.services.keyissue import NewApiKey, issue_hmac_key, issue_public_key, normalised_networks
from apps.audit.actors import acting, named
from apps.audit.services import record
from apps.outbox.requests import required_reason


def create_api_key(
    *, facts: Facts, account_id: int, label: str, can_read: bool, can_trade: bool, networks: Sequence[str] = ()
) -> NewApiKey:
    """A new HMAC key with a random 64-character secret, usable at once, from these networks or from everywhere.

    Raises ApiKeyRefused with what the decision on sensitive actions says, InvalidApiKeyRequest, InvalidNetwork,
    TooManyApiKeys, NoTradingAccount.
    """
    with _allowed(facts, account_id, can_trade=can_trade):
        return issue_hmac_key(
            account_id=account_id, label=label, can_read=can_read, can_trade=can_trade, networks=networks
        )


def register_public_key(
    *, facts: Facts, account_id: int, label: str, pem: str, can_read: bool, can_trade: bool
) -> ApiKey:
    """A new Ed25519 or RSA key, of which the owner keeps the private part; usable at once.

    Raises InvalidPublicKey and what create_api_key does.
    """
    with _allowed(facts, account_id, can_trade=can_trade):
        return issue_public_key(account_id=account_id, label=label, pem=pem, can_read=can_read, can_trade=can_trade)


@contextmanager
def _allowed(facts: Facts, account_id: int, *, can_trade: bool) -> Iterator[None]:
    """The transaction of a new key: nobody takes the factor away, or freezes the account, before its end."""
    with transaction.atomic():
        action = Action.KEY_TRADE if can_trade else Action.KEY_READ
        decision = decide_now(action=action, facts=facts, account_id=account_id)
        if not decision.is_allowed:
            raise ApiKeyRefused(decision.message, code=decision.code)
        yield


def limit_api_key(*, account_id: int, key_id: int, networks: Sequence[str], reason: str, requested_by: str) -> None:
    """Let a key work from these addresses and networks only, or from everywhere where there are none.

    The audit log has who asked and why, not the networks. Followers hear of it at commit, and end the key's open
    connections from elsewhere. Raises InvalidNetwork, ReasonMissing, and ApiKeyNotFound for an unknown key, a revoked
    one and a key of another account; then nothing has changed.
    """
    wanted, clean_reason = normalised_networks(networks), required_reason(reason)
    with transaction.atomic():
        # The row stays locked by this, so changes of one key are written in the order in which they count.
        found = ApiKey.objects.filter(pk=key_id, account_id=account_id, revoked_at=None)
        if not found.update(allowed_networks=wanted):
            raise ApiKeyNotFound("There is no such API key in your account.")
        record(
            actor=named(requested_by),
            action="api-key.limited",
            object=f"api-key:{key_id}",
            after={"networks": len(wanted)},
            reason=clean_reason,
        )


def revoke_api_key(*, account_id: int, key_id: int) -> None:
    """Revoke for good; followers hear of it at commit. Revoking a revoked key changes nothing.

    Raises ApiKeyNotFound for an unknown key and for a key of another account.
    """
    mine = ApiKey.objects.filter(pk=key_id, account_id=account_id)
    if not revoke_keys(mine) and not mine.exists():
        raise ApiKeyNotFound("There is no such API key in your account.")


def revoke_keys(chosen: QuerySet[ApiKey]) -> int:
    """Revoke those of `chosen` that are not; how many they were."""
    with transaction.atomic():
        found = list(chosen.filter(revoked_at=None).select_for_update(of=("self",)).values_list("pk", flat=True))
        ApiKey.objects.filter(pk__in=found).update(revoked_at=timezone.now())
        for pk in found:
            record(actor=acting(), action="api-key.revoked", object=f"api-key:{pk}")
    return len(found)
