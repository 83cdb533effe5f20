"""'Confirm it is you' (requirement A3): a proof given in this session not long ago, for sensitive pages.

It never covers withdrawals, changes of the whitelist and keys that may withdraw: those take a fresh code each
(services/codes.py). A user with a second factor proves that; one without proves the password, until there is a factor.
"""

import time
from collections.abc import Callable
from enum import StrEnum
from functools import wraps
from typing import Final, cast
from urllib.parse import urlencode

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, resolve_url

from apps.accounts.facts import Factor
from apps.accounts.models import User
from apps.accounts.policy import STEP_UP_S
from apps.accounts.selectors import has_second_factor

_KEY: Final = "step_up"


class Proof(StrEnum):
    """What was shown. The names stand in sessions."""

    PASSWORD = "password"  # noqa: S105
    AUTHENTICATOR = Factor.AUTHENTICATOR.value
    MAILED_LINK = "mailed-link"
    RECOVERY_CODE = "recovery-code"


# A password says nothing once there is a second factor.
STRONG: Final = frozenset({Proof.AUTHENTICATOR, Proof.RECOVERY_CODE})


def confirm(request: HttpRequest, proof: Proof) -> None:
    """It was proved just now that the user is there."""
    request.session[_KEY] = {"at_s": int(time.time()), "by": proof.value}


def confirmed_by(request: HttpRequest) -> Proof | None:
    """What proved it within the last STEP_UP_S, if anything did."""
    kept = request.session.get(_KEY)
    # A clock that was set back must not stretch it.
    if kept is None or not 0 <= time.time() - kept["at_s"] < STEP_UP_S:
        return None
    return Proof(kept["by"])


def is_confirmed(request: HttpRequest) -> bool:
    """Whether the logged-in user was there within the last STEP_UP_S, by the best that the account has."""
    proof = confirmed_by(request)
    if proof is None:
        return False
    return proof in STRONG or not has_second_factor(user_id=cast(User, request.user).pk)


def ask_to_confirm(request: HttpRequest, back_to: str) -> HttpResponse:
    """To the page that asks for a proof, and from there to `back_to`, a path of this site."""
    return redirect(f"{resolve_url('accounts:confirm')}?{urlencode({'next': back_to})}")


def step_up_required(
    back_to: str = "",
) -> Callable[[Callable[..., HttpResponse]], Callable[..., HttpResponse]]:
    """For views of logged-in users: without a proof not older than STEP_UP_S the page that asks for one comes first.

    It leads back to this view, or to the view named `back_to` where this one answers POST only.
    """

    def decorate(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
        @wraps(view)
        def guarded(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
            if is_confirmed(request):
                return view(request, *args, **kwargs)
            return ask_to_confirm(request, resolve_url(back_to) if back_to else request.path)

        return login_required(guarded)

    return decorate
