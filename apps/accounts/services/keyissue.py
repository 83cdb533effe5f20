"""Making a key without asking whether its owner may: what the exchange itself sets up, such as demo accounts.

For users there is services/api_keys.py, which decides first.
"""

import secrets
import string
from typing import Any, NamedTuple

from django.db import transaction

from apps.accounts.errors import InvalidApiKeyRequest, NoTradingAccount, TooManyApiKeys
from apps.accounts.keyterms import KeyTerms
from apps.accounts.models import ApiKey, TradingAccount, User
from apps.accounts.models.keys import in_use
from apps.accounts.policy import API_KEY_LENGTH, API_KEYS_PER_ACCOUNT_MAX, API_SECRET_LENGTH
from apps.accounts.publickeys import read_public_key
from apps.accounts.secrets import encrypt_secret
from apps.audit.actors import acting
from apps.audit.services import record

_ALPHABET = string.ascii_letters + string.digits


class NewApiKey(NamedTuple):
    """The only time that the secret exists in the clear outside its owner's hands."""

    key: ApiKey
    secret: str


def issue_hmac_key(*, account_id: int, terms: KeyTerms) -> NewApiKey:
    """A new HMAC key with a random 64-character secret, usable at once.

    Raises InvalidApiKeyRequest where the owner has locked the account, TooManyApiKeys, NoTradingAccount.
    """
    public_key, secret = _random_text(API_KEY_LENGTH), _random_text(API_SECRET_LENGTH)
    key = _add(
        account_id,
        terms,
        public_key=public_key,
        kind=ApiKey.Kind.HMAC,
        secret_box=encrypt_secret(public_key, secret.encode("ascii")),
        verify_key=b"",
    )
    return NewApiKey(key=key, secret=secret)


def issue_public_key(*, account_id: int, terms: KeyTerms, pem: str) -> ApiKey:
    """A new Ed25519 or RSA key, of which the owner keeps the private part; usable at once.

    Raises InvalidPublicKey and what issue_hmac_key does.
    """
    kind, verify_key = read_public_key(pem)
    public_key = _random_text(API_KEY_LENGTH)
    return _add(account_id, terms, public_key=public_key, kind=kind, secret_box=b"", verify_key=verify_key)


def _add(account_id: int, terms: KeyTerms, **proof: Any) -> ApiKey:
    """Locks the trading account's row, so that parallel requests cannot pass the limit together."""
    with transaction.atomic():
        check_room(account_id)
        key = ApiKey.objects.create(
            account_id=account_id,
            label=terms.label,
            can_read=terms.can_read,
            can_trade=terms.can_trade,
            can_withdraw=terms.can_withdraw,
            allowed_networks=terms.networks,
            expires_at=terms.expires_at,
            **proof,
        )
        record(
            actor=acting(),
            action="api-key.created",
            object=f"api-key:{key.pk}",
            after={
                "account": str(account_id),
                "kind": key.kind,
                "can_read": terms.can_read,
                "can_trade": terms.can_trade,
                "can_withdraw": terms.can_withdraw,
                "networks": len(terms.networks),
                "until": "" if terms.expires_at is None else terms.expires_at.isoformat(timespec="seconds"),
            },
        )
        return key


def check_room(account_id: int) -> None:
    """Whether the account gets one more key; its row stays locked until the caller's transaction ends.

    Raises NoTradingAccount, TooManyApiKeys, and InvalidApiKeyRequest where the owner has locked the account.
    """
    if not TradingAccount.objects.select_for_update(no_key=True).filter(pk=account_id).exists():
        raise NoTradingAccount("There is no such trading account.")
    # A page that was open when the owner locked the account: services/locking.py has the same row locked.
    if User.objects.filter(trading_accounts=account_id).exclude(locked_at=None).exists():
        raise InvalidApiKeyRequest("This account is locked.")
    if ApiKey.objects.filter(in_use(), account_id=account_id).count() >= API_KEYS_PER_ACCOUNT_MAX:
        raise TooManyApiKeys(f"An account can have {API_KEYS_PER_ACCOUNT_MAX} keys. Revoke one that you no longer use.")


def _random_text(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))
