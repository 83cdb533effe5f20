"""Making, finding and using up mailed links."""

import secrets
from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.urls import reverse
from django.utils import timezone

from apps.accounts.errors import LinkDead, TooManyAttempts
from apps.accounts.models import MailedLink
from apps.accounts.policy import (
    CHANGE_LINK_S,
    LET_IN_LINK_S,
    LINKS_KEPT_S,
    LINKS_PER_ADDRESS_MAX,
    LINKS_PER_MAILBOX_MAX,
    LINKS_PER_NETWORK_MAX,
    LINKS_WINDOW_S,
    RECOVERY_LINK_S,
    RESET_LINK_S,
    SIGN_UP_LINK_S,
)
from apps.accounts.services.locks import lock_until_commit
from apps.accounts.tokens import hash_token
from apps.common.networks import network_of

Purpose = MailedLink.Purpose
# Of a link that has none, or none any more.
NO_PASSWORD: Final = ""
LIFETIME_S: Final = {
    Purpose.SIGN_UP: SIGN_UP_LINK_S,
    Purpose.RESET: RESET_LINK_S,
    Purpose.CHANGE: CHANGE_LINK_S,
    Purpose.RECOVER: RECOVERY_LINK_S,
    Purpose.LET_IN: LET_IN_LINK_S,
}
PAGES: Final = {
    Purpose.SIGN_UP: "accounts:confirm-sign-up",
    Purpose.RESET: "accounts:reset-password",
    Purpose.CHANGE: "accounts:confirm-email",
    Purpose.RECOVER: "accounts:recover",
    Purpose.LET_IN: "accounts:let-me-in-link",
}


def issue_link(
    *, purpose: Purpose, address: str, user_id: int | None, client: str, password_hash: str = ""
) -> str | None:
    """The whole address of a new link, or None when this mailbox has had enough; then nothing may be sent.

    Runs in the caller's transaction. The limits go by what was typed and by the client's network, never by what is
    stored, so they tell nothing (threat-T4). A request that is refused an e-mail leaves a link that is used already:
    it counts for its network, and no longer for the mailbox. Links that were followed do not count for the mailbox
    either: its owner was there. Raises TooManyAttempts for the network.
    """
    now = timezone.now()
    network = network_of(client)
    # They make the counts exact for parallel requests.
    lock_until_commit("links by network", network)
    lock_until_commit("links by address", address)
    from_network = MailedLink.objects.filter(network=network)
    from_network.filter(created_at__lt=now - timedelta(seconds=LINKS_KEPT_S)).delete()
    check_network(client)
    refused = _has_enough(purpose, address, network, now)
    token = secrets.token_urlsafe(32)
    MailedLink.objects.create(
        purpose=purpose,
        address=address,
        user_id=user_id,
        password=NO_PASSWORD if refused else password_hash,
        token_hash=hash_token(token),
        network=network,
        expires_at=now + timedelta(seconds=LIFETIME_S[purpose]),
        used_at=now if refused else None,
    )
    return None if refused else f"{settings.PUBLIC_ORIGIN}{reverse(PAGES[purpose], args=[token])}"


def check_network(client: str) -> None:
    """Raises TooManyAttempts where issue_link would: to be asked before work that it would be done for nothing."""
    recently = timezone.now() - timedelta(seconds=LINKS_WINDOW_S)
    asked = MailedLink.objects.filter(network=network_of(client), created_at__gt=recently)
    if asked.count() >= LINKS_PER_NETWORK_MAX:
        raise TooManyAttempts(
            "Too many requests from your network. Wait an hour and try again.", retry_after_s=LINKS_WINDOW_S
        )


def _has_enough(purpose: Purpose, address: str, network: str, now: datetime) -> bool:
    def since(window_s: int) -> QuerySet[MailedLink]:
        after = now - timedelta(seconds=window_s)
        return MailedLink.objects.filter(address=address, purpose=purpose, used_at=None, created_at__gt=after)

    return (
        since(LINKS_WINDOW_S).filter(network=network).count() >= LINKS_PER_ADDRESS_MAX
        or since(min(LIFETIME_S[purpose], LINKS_WINDOW_S)).count() >= LINKS_PER_MAILBOX_MAX
    )


def find_link(*, purpose: Purpose, token: str, user_id: int | None = None, lock: bool = False) -> MailedLink:
    """The link, if it can be followed now, and by `user_id` if given. Raises LinkDead.

    `lock`, to use it up: until the end of the transaction nobody else uses a link of the same address or user.
    """
    links = MailedLink.objects.filter(token_hash=hash_token(token), purpose=purpose, used_at=None, expires_at__gt=Now())
    if user_id is not None:
        links = links.filter(user=user_id)
    link = links.first()
    if link is not None and lock:
        lock_until_commit("links by address", link.address)
        lock_until_commit("links by user", str(link.user_id))
        link = links.select_for_update().first()
    if link is None:
        raise LinkDead("This link does not work: it was used, is too old, or is not complete. Ask for a new one.")
    return link


def use_up(link: MailedLink) -> None:
    """This link and all that compete with it: those of the same sign-up, or all of the same user.

    The password of a sign-up goes with its link; `link` itself still has it.
    """
    rivals = (
        MailedLink.objects.filter(user=link.user_id)
        if link.user_id
        else MailedLink.objects.filter(purpose=link.purpose, address=link.address)
    )
    rivals.filter(used_at=None).update(used_at=Now(), password=NO_PASSWORD)


def use_up_this(link: MailedLink) -> None:
    """Alone: what it did makes no other link wrong."""
    MailedLink.objects.filter(pk=link.pk).update(used_at=Now())


def use_up_all_of(user_id: int) -> None:
    """After a change of the password, older links of the user let nobody in."""
    lock_until_commit("links by user", str(user_id))
    MailedLink.objects.filter(user=user_id, used_at=None).update(used_at=Now(), password=NO_PASSWORD)
