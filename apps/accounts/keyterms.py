"""What an API key may do, from where and until when (requirement A5): terms that were made are right."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self

from django.utils import timezone

from apps.accounts.addresses import normalise_network
from apps.accounts.errors import InvalidApiKeyRequest, InvalidKeyEnd, InvalidNetwork
from apps.accounts.policy import (
    API_KEY_LABEL_LENGTH_MAX,
    API_KEY_LIFETIME_DAYS,
    API_KEY_LIFETIMES_DAYS,
    API_KEY_NETWORKS_MAX,
)
from apps.accounts.rules import Action


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyTerms:
    """`label` comes to have no blanks around it, `networks` each once in one spelling. Without networks the key works
    from everywhere; with `expires_at` None it never ends, which only a user's key with networks may (`chosen`).

    Raises InvalidApiKeyRequest, InvalidKeyEnd, InvalidNetwork.
    """

    label: str
    can_read: bool = False
    can_trade: bool = False
    can_withdraw: bool = False
    networks: Sequence[str] = ()
    expires_at: datetime | None = None

    def __post_init__(self) -> None:
        label = self.label.strip()
        if not label or len(label) > API_KEY_LABEL_LENGTH_MAX or not label.isprintable():
            raise InvalidApiKeyRequest(f"The label must have 1 to {API_KEY_LABEL_LENGTH_MAX} printable characters.")
        if not (self.can_read or self.can_trade or self.can_withdraw):
            raise InvalidApiKeyRequest("Choose at least one right.")
        networks = normalised_networks(self.networks)
        check_networks(can_withdraw=self.can_withdraw, networks=networks)
        if self.can_withdraw and self.expires_at is None:
            raise InvalidKeyEnd("A key that can withdraw must expire.")
        object.__setattr__(self, "label", label)
        object.__setattr__(self, "networks", networks)

    @classmethod
    def chosen(
        cls,
        *,
        label: str,
        can_read: bool,
        can_trade: bool,
        can_withdraw: bool = False,
        networks: Sequence[str] = (),
        lifetime_days: int | None = API_KEY_LIFETIME_DAYS,
    ) -> Self:
        """As a user chooses them: the key ends after one of API_KEY_LIFETIMES_DAYS; with None never, which keys have
        that are limited to networks and cannot withdraw. Raises what KeyTerms does.
        """
        expires_at = None
        if lifetime_days is None:
            if not networks:
                raise InvalidNetwork("A key that never expires must be limited to the addresses that it is used from.")
        elif lifetime_days not in API_KEY_LIFETIMES_DAYS:
            days = ", ".join(map(str, API_KEY_LIFETIMES_DAYS))
            raise InvalidKeyEnd(f"A key expires after one of these numbers of days: {days}; or never.")
        else:
            expires_at = timezone.now() + timedelta(days=lifetime_days)
        return cls(
            label=label,
            can_read=can_read,
            can_trade=can_trade,
            can_withdraw=can_withdraw,
            networks=networks,
            expires_at=expires_at,
        )

    @property
    def highest_right(self) -> Action:
        return highest_right(can_trade=self.can_trade, can_withdraw=self.can_withdraw)


def highest_right(*, can_trade: bool, can_withdraw: bool) -> Action:
    """What is decided on for a key with these rights."""
    if can_withdraw:
        return Action.KEY_WITHDRAW
    return Action.KEY_TRADE if can_trade else Action.KEY_READ


def check_networks(*, can_withdraw: bool, networks: Sequence[str]) -> None:
    """Requirement A5, and the table's own constraint. Raises InvalidNetwork."""
    if can_withdraw and not networks:
        raise InvalidNetwork("A key that can withdraw must be limited to the addresses that it is used from.")


def normalised_networks(networks: Sequence[str]) -> list[str]:
    """Each once, in one spelling. Raises InvalidNetwork."""
    if len(networks) > API_KEY_NETWORKS_MAX:
        raise InvalidNetwork(f"A key can be limited to {API_KEY_NETWORKS_MAX} addresses and networks at most.")
    return list(dict.fromkeys(normalise_network(network) for network in networks))
