"""API keys as their owners ask for them: make, limit to networks, revoke (requirement A5)."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from apps.accounts.errors import ApiKeyNotFound, ApiKeyRefused, InvalidNetwork, LabelTaken
from apps.accounts.facts import Factor, Facts
from apps.accounts.keynetworks import is_no_wider, networks_of
from apps.accounts.keyterms import KeyTerms, check_networks, highest_right, normalised_networks
from apps.accounts.models import ApiKey, User
from apps.accounts.models.keys import in_use
from apps.accounts.publickeys import read_public_key
from apps.accounts.rules import Action
from apps.accounts.selectors import own_key_in_use
from apps.accounts.services.announcements import tell_of_key
from apps.accounts.services.decisions import decide_now
from apps.accounts.services.factors import lock_user
from apps.accounts.services.keyissue import NewApiKey, check_room, issue_hmac_key, issue_public_key
from apps.accounts.services.locks import lock_credentials
from apps.audit.actors import acting, named, user_text
from apps.audit.services import record
from apps.outbox.requests import required_reason


def create_api_key(*, facts: Facts, account_id: int, terms: KeyTerms) -> NewApiKey:
    """A new HMAC key with a random 64-character secret, usable at once; `terms` are of KeyTerms.chosen.

    The owner is told. Raises ApiKeyRefused with what the decision on sensitive actions says, InvalidApiKeyRequest,
    TooManyApiKeys, NoTradingAccount, and LabelTaken: the same form sent twice makes one key.
    """
    with _allowed(facts, account_id, terms):
        new = issue_hmac_key(account_id=account_id, terms=terms)
        tell_of_key(new.key, "key_made")
        return new


def register_public_key(*, facts: Facts, account_id: int, terms: KeyTerms, pem: str) -> ApiKey:
    """A new Ed25519 or RSA key, of which the owner keeps the private part; usable at once. The owner is told.

    Raises InvalidPublicKey and what create_api_key does.
    """
    with _allowed(facts, account_id, terms):
        key = issue_public_key(account_id=account_id, terms=terms, pem=pem)
        tell_of_key(key, "key_made")
        return key


def check_new_key(*, facts: Facts, account_id: int, terms: KeyTerms, pem: str | None = None) -> None:
    """What making this key would raise now, were it freshly proved: no code is used up for a key that is refused.

    Nothing is changed, and the same locks are taken in the same order as where it is made, which checks again.
    """
    if pem is not None:
        read_public_key(pem)
    with _allowed(replace(facts, fresh_by=frozenset(Factor)), account_id, terms):
        check_room(account_id)


@contextmanager
def _allowed(facts: Facts, account_id: int, terms: KeyTerms) -> Iterator[None]:
    """The transaction of a new key: nobody takes the factor away, or freezes the account, before its end."""
    with transaction.atomic():
        decision = decide_now(action=terms.highest_right, facts=facts, account_id=account_id)
        if not decision.is_allowed:
            raise ApiKeyRefused(decision.message, code=decision.code)
        # The account's row is locked, so of the same form sent twice one finds the other's key.
        if ApiKey.objects.filter(in_use(), account_id=account_id, label=terms.label).exists():
            raise LabelTaken(
                "This account has a key of this name. If you have not seen its secret, revoke it and make another."
            )
        yield


def change_networks(*, facts: Facts, key_id: int, networks: Sequence[str]) -> None:
    """Let a key of the user's work from these addresses and networks only, in place of those that it has.

    By the proof that limiting_action names. Its owner lets no key work from everywhere: InvalidNetwork. Raises
    ApiKeyRefused, and what limit_api_key does.
    """
    with _changing(facts, key_id, networks) as key:
        limit_api_key(
            account_id=key.account_id, key_id=key_id, networks=networks, reason="asked for by its owner",
            requested_by=user_text(facts.user_id),
        )  # fmt: skip


def limiting_action(key: ApiKey, networks: Sequence[str]) -> Action:
    """What is decided on before `key` works from `networks`: what a new key with its rights takes.

    One that trades and gets no address that it does not have takes no more than one that reads: where the owner has no
    second factor, narrowing must not be harder than leaving it open. Raises InvalidNetwork.
    """
    wanted = networks_of(normalised_networks(networks))
    narrows = is_no_wider(wanted, networks_of(key.allowed_networks))
    return highest_right(can_trade=key.can_trade and not narrows, can_withdraw=key.can_withdraw)


def check_new_networks(*, facts: Facts, key_id: int, networks: Sequence[str]) -> None:
    """What change_networks would raise now, were it freshly proved, as check_new_key of a new key."""
    with _changing(replace(facts, fresh_by=frozenset(Factor)), key_id, networks):
        pass


@contextmanager
def _changing(facts: Facts, key_id: int, networks: Sequence[str]) -> Iterator[ApiKey]:
    """The transaction of it."""
    if not normalised_networks(networks):
        raise InvalidNetwork("Name the addresses that the key is to work from. For one without a limit make another.")
    with transaction.atomic():
        # Of two changes at once the second is measured by what the first has left.
        lock_user(facts.user_id)
        key = own_key_in_use(user_id=facts.user_id, key_id=key_id)
        action = limiting_action(key, networks)
        decision = decide_now(action=action, facts=facts, account_id=key.account_id)
        if not decision.is_allowed:
            raise ApiKeyRefused(decision.message, code=decision.code)
        yield key


def limit_api_key(*, account_id: int, key_id: int, networks: Sequence[str], reason: str, requested_by: str) -> None:
    """Let a key work from these addresses and networks only, or from everywhere where there are none.

    The audit log has who asked and why, not the networks. The owner is told. Followers hear of it at commit, and end
    the key's open connections from elsewhere. Raises InvalidNetwork, for a key that withdraws without any, too,
    ReasonMissing, and ApiKeyNotFound for an unknown key, a revoked or expired one and a key of another account; then
    nothing has changed.
    """
    wanted, clean_reason = normalised_networks(networks), required_reason(reason)
    with transaction.atomic():
        found = ApiKey.objects.filter(in_use(), pk=key_id, account_id=account_id)
        # A right never changes.
        check_networks(can_withdraw=found.filter(can_withdraw=True).exists(), networks=wanted)
        # The row stays locked by this, so changes of one key are written in the order in which they count.
        if not found.update(allowed_networks=wanted):
            raise ApiKeyNotFound("There is no such API key in your account.")
        record(
            actor=named(requested_by),
            action="api-key.limited",
            object=f"api-key:{key_id}",
            after={"networks": len(wanted)},
            reason=clean_reason,
        )
        tell_of_key(found.defer("secret_box", "verify_key").select_related("account__owner").get(), "key_limited")


def revoke_api_key(*, account_id: int, key_id: int) -> None:
    """Revoke for good; followers hear of it at commit. Revoking a revoked key changes nothing.

    Raises ApiKeyNotFound for an unknown key and for a key of another account.
    """
    mine = ApiKey.objects.filter(pk=key_id, account_id=account_id)
    if not revoke_keys(mine) and not mine.exists():
        raise ApiKeyNotFound("There is no such API key in your account.")


def revoke_keys(chosen: QuerySet[ApiKey], *, reason: str = "") -> list[int]:
    """Revoke those of `chosen` that are not; their numbers.

    Owners are locked before their keys, which one lock holds for all: whoever switches an owner off has that row, and
    whoever changes a tier that of the account, and both get to the keys by that lock.
    """
    with transaction.atomic():
        owners = User.objects.filter(trading_accounts__in=chosen.values("account"))
        list(User.objects.select_for_update(no_key=True).filter(pk__in=owners).order_by("pk"))
        lock_credentials()
        found = list(chosen.filter(revoked_at=None).values_list("pk", flat=True))
        ApiKey.objects.filter(pk__in=found).update(revoked_at=timezone.now())
        for pk in found:
            record(actor=acting(), action="api-key.revoked", object=f"api-key:{pk}", reason=reason)
    return found
