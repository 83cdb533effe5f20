"""The links in e-mail about an account that lock it: many may be about, each works once, for seven days."""

import secrets
from datetime import timedelta

from django.conf import settings
from django.db.models.functions import Now
from django.urls import reverse

from apps.accounts.errors import LinkDead
from apps.accounts.models import LockLink, User
from apps.accounts.policy import LOCK_LINK_S
from apps.accounts.tokens import hash_token


def new_lock_link(user: User, *, address: str) -> str:
    """The whole address of one for an e-mail to `address`, in its transaction."""
    token = secrets.token_urlsafe(32)
    LockLink.objects.create(
        user=user, address=address, token_hash=hash_token(token), expires_at=Now() + timedelta(seconds=LOCK_LINK_S)
    )
    return f"{settings.PUBLIC_ORIGIN}{reverse('accounts:lock', args=[token])}"


def find_lock_link(token: str) -> LockLink:
    """The link, with its user, if it can be followed now. Raises LinkDead."""
    links = LockLink.objects.filter(token_hash=hash_token(token), used_at=None, expires_at__gt=Now())
    link = links.select_related("user").first()
    if link is None:
        raise LinkDead("This link does not work: it was used, is older than seven days, or is not complete.")
    return link
