"""Making a key without asking whether its owner may: what the exchange itself sets up, such as demo accounts.

For users there is services/api_keys.py, which decides first.
"""

import secrets
import string
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction

from apps.accounts.addresses import normalise_network
from apps.accounts.errors import InvalidApiKeyRequest, InvalidNetwork, NoTradingAccount, TooManyApiKeys
from apps.accounts.models import ApiKey, TradingAccount, User
from apps.accounts.models.keys import in_use
from apps.accounts.policy import (
    API_KEY_LABEL_LENGTH_MAX,
    API_KEY_LENGTH,
    API_KEY_NETWORKS_MAX,
    API_KEYS_PER_ACCOUNT_MAX,
    API_SECRET_LENGTH,
)
from apps.accounts.publickeys import read_public_key
from apps.accounts.secrets import encrypt_secret
from apps.audit.actors import acting
from apps.audit.services import record

_ALPHABET = string.ascii_letters + string.digits


@dataclass(frozen=True, slots=True)
class NewApiKey:
    """The only time that the secret exists in the clear outside its owner's hands."""

    key: ApiKey
    secret: str


def issue_hmac_key(
    *,
    account_id: int,
    label: str,
    can_read: bool,
    can_trade: bool,
    can_withdraw: bool = False,
    networks: Sequence[str] = (),
    expires_at: datetime | None = None,
) -> NewApiKey:
    """A new HMAC key with a random 64-character secret, usable at once, from these networks or from everywhere.

    Raises InvalidApiKeyRequest, InvalidNetwork, TooManyApiKeys, NoTradingAccount.
    """
    public_key, secret = _random_text(API_KEY_LENGTH), _random_text(API_SECRET_LENGTH)
    key = _add(
        account_id=account_id,
        label=label,
        can_read=can_read,
        can_trade=can_trade,
        can_withdraw=can_withdraw,
        networks=networks,
        expires_at=expires_at,
        public_key=public_key,
        kind=ApiKey.Kind.HMAC,
        secret_box=encrypt_secret(public_key, secret.encode("ascii")),
        verify_key=b"",
    )
    return NewApiKey(key=key, secret=secret)


def issue_public_key(
    *,
    account_id: int,
    label: str,
    pem: str,
    can_read: bool,
    can_trade: bool,
    can_withdraw: bool = False,
    networks: Sequence[str] = (),
    expires_at: datetime | None = None,
) -> ApiKey:
    """A new Ed25519 or RSA key, of which the owner keeps the private part; usable at once.

    Raises InvalidPublicKey and what issue_hmac_key does.
    """
    kind, verify_key = read_public_key(pem)
    return _add(
        account_id=account_id,
        label=label,
        can_read=can_read,
        can_trade=can_trade,
        can_withdraw=can_withdraw,
        networks=networks,
        expires_at=expires_at,
        public_key=_random_text(API_KEY_LENGTH),
        kind=kind,
        secret_box=b"",
        verify_key=verify_key,
    )


def _add(
    *,
    account_id: int,
    label: str,
    can_read: bool,
    can_trade: bool,
    can_withdraw: bool,
    networks: Sequence[str],
    expires_at: datetime | None,
    **rest: Any,
) -> ApiKey:
    """Locks the trading account's row, so that parallel requests cannot pass the limit together."""
    clean_label = label.strip()
    if not clean_label or len(clean_label) > API_KEY_LABEL_LENGTH_MAX or not clean_label.isprintable():
        raise InvalidApiKeyRequest(f"The label must have 1 to {API_KEY_LABEL_LENGTH_MAX} printable characters.")
    if not (can_read or can_trade or can_withdraw):
        raise InvalidApiKeyRequest("Choose at least one right.")
    allowed = normalised_networks(networks)
    check_withdraws(can_withdraw=can_withdraw, networks=allowed, ends=expires_at is not None)
    with transaction.atomic():
        if not TradingAccount.objects.select_for_update(no_key=True).filter(pk=account_id).exists():
            raise NoTradingAccount("There is no such trading account.")
        # A page that was open when the owner locked the account: services/locking.py has the same row locked.
        if User.objects.filter(trading_accounts=account_id).exclude(locked_at=None).exists():
            raise InvalidApiKeyRequest("This account is locked.")
        if ApiKey.objects.filter(in_use(), account_id=account_id).count() >= API_KEYS_PER_ACCOUNT_MAX:
            raise TooManyApiKeys(
                f"An account can have {API_KEYS_PER_ACCOUNT_MAX} keys. Revoke one that you no longer use."
            )
        key = ApiKey.objects.create(
            account_id=account_id,
            label=clean_label,
            can_read=can_read,
            can_trade=can_trade,
            can_withdraw=can_withdraw,
            allowed_networks=allowed,
            expires_at=expires_at,
            **rest,
        )
        record(
            actor=acting(),
            action="api-key.created",
            object=f"api-key:{key.pk}",
            after={
                "account": str(account_id),
                "kind": key.kind,
                "can_read": can_read,
                "can_trade": can_trade,
                "can_withdraw": can_withdraw,
                "networks": len(allowed),
                "until": "" if expires_at is None else expires_at.isoformat(timespec="seconds"),
            },
        )
        return key


def check_withdraws(*, can_withdraw: bool, networks: Sequence[str], ends: bool) -> None:
    """Requirement A5, and the table's own constraint. Raises InvalidNetwork, InvalidApiKeyRequest."""
    if can_withdraw and not networks:
        raise InvalidNetwork("A key that can withdraw must be limited to the addresses that it is used from.")
    if can_withdraw and not ends:
        raise InvalidApiKeyRequest("A key that can withdraw must expire.")


def normalised_networks(networks: Sequence[str]) -> list[str]:
    """Each once, in one spelling. Raises InvalidNetwork."""
    if len(networks) > API_KEY_NETWORKS_MAX:
        raise InvalidNetwork(f"A key can be limited to {API_KEY_NETWORKS_MAX} addresses and networks at most.")
    return list(dict.fromkeys(normalise_network(network) for network in networks))


def _random_text(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))
