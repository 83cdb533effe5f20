"""Users with an authenticator app, and log-ins with its codes."""

import base64
import secrets
import time
from typing import Any

from django.test import Client
from django.utils import timezone

from apps.accounts.lostfactorkind import NAME, digest_of
from apps.accounts.models import LostFactorCase, TotpFactor, User
from apps.accounts.secrets import seal_totp
from apps.accounts.services.recoverycodes import issue_codes
from apps.accounts.tokens import hash_token
from apps.accounts.totp import new_secret
from apps.controls.models import ApprovalRequest
from apps.controls.services.approvals import ask_approval
from tests.accounts.people import PASSWORD


def with_app(user: User) -> tuple[str, list[str]]:
    """The secret of an authenticator app that `user` has from now on, and the recovery codes."""
    secret = new_secret()
    TotpFactor.objects.create(user=user, secret_box=seal_totp(user.pk, secret), confirmed_at=timezone.now())
    return base64.b32encode(secret).decode(), list(issue_codes(user))


def called_lost(user: User) -> ApprovalRequest:
    """Staff are asked to remove the second factor of `user`, by no page."""
    request = ask_approval(kind=NAME, subject=f"user:{user.pk}", payload={}, reason="lost", by=user)
    stop_hash = hash_token(secrets.token_urlsafe(32))
    LostFactorCase.objects.create(
        user=user, request=request, stop_hash=stop_hash, password_hash_digest=digest_of(user)
    )  # fmt: skip
    return request


def confirm_now(client: Client) -> None:
    """The logged-in user of `client` has just shown a code of the authenticator app."""
    session = client.session
    session["step_up"] = {"at_s": int(time.time()), "by": "authenticator"}
    session.save()


def enter_admin(client: Client, staff: User) -> None:
    """`staff` has an authenticator app, is logged in, and has just confirmed to be there."""
    with_app(staff)
    client.force_login(staff)
    confirm_now(client)


def password_step(client: Client, user: User, **fields: str) -> Any:
    return client.post("/account/log-in", {"username": user.email, "password": PASSWORD, **fields})
