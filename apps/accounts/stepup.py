"""'Confirm it is you' (requirement A3): a proof given in this session not long ago, for sensitive pages.

rules.py decides what it covers; withdrawals, changes of the whitelist and keys that withdraw take a fresh code each
(services/codes.py). A user with a second factor proves that; one without proves the password, until there is a factor.
"""

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from functools import wraps
from typing import Final, cast
from urllib.parse import urlencode

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, resolve_url

from apps.accounts.begun import keep_begun
from apps.accounts.facts import Factor, Facts
from apps.accounts.models import User
from apps.accounts.rules import RULES, Action, Closes, Decision, Verdict, decide
from apps.accounts.selectors import factors_of
from apps.accounts.services.lostfactor import stop_by_factor
from apps.controls.gates import OPEN_GATES

_KEY: Final = "step_up"


class Proof(StrEnum):
    """What was shown. The names stand in sessions."""

    PASSWORD = "password"  # noqa: S105  # nosec B105 # a word, not a password
    AUTHENTICATOR = Factor.AUTHENTICATOR.value
    PASSKEY = Factor.PASSKEY.value
    MAILED_LINK = "mailed-link"
    RECOVERY_CODE = "recovery-code"


# Whoever came in without the factor can put another in its place, and do nothing else that needs it.
_RECOVERY: Final = frozenset({Action.ADD_FACTOR, Action.REMOVE_FACTOR})


def confirm(request: HttpRequest, proof: Proof) -> None:
    """It was proved just now that the user is there. A factor that was shown is not lost: what staff are asked ends."""
    request.session[_KEY] = {"at_s": int(time.time()), "by": proof.value}
    if proof.value in set(Factor):
        stop_by_factor(user=cast(User, request.user))


def end_confirmation_by(request: HttpRequest, proof: Proof) -> None:
    """After `proof` was taken from the account: what this session confirmed with it counts no more. Other sessions end
    (services/factors.py). A recovery code stays one, for the other factors that are lost, too.
    """
    kept = request.session.get(_KEY)
    if kept is not None and kept["by"] == proof.value:
        del request.session[_KEY]


def decision_on(request: HttpRequest, action: Action) -> Decision:
    """Whether the logged-in user may do it in this session now. Of actions that no switch closes."""
    assert RULES[action].switch is Closes.NOTHING, "switches are read in the deciding transaction"
    return decide(action, facts_of(request, action), OPEN_GATES, _now())


def facts_of(request: HttpRequest, action: Action, *, password_shown: bool = False) -> Facts:
    """What is known of the logged-in user for `action`, to be decided by again where it takes effect.

    `password_shown`: the form has asked for the password itself, and it was right (is_for_password).
    """
    user = cast(User, request.user)
    factors = factors_of(user_id=user.pk)
    kept = request.session.get(_KEY)
    proof = None if kept is None else Proof(kept["by"])
    confirmed_by: frozenset[Factor] = frozenset()
    if proof is Proof.RECOVERY_CODE and action in _RECOVERY:
        confirmed_by = factors
    elif proof is not None and proof.value in set(Factor):
        confirmed_by = frozenset({Factor(proof.value)})
    confirmed_at = None if kept is None else datetime.fromtimestamp(kept["at_s"], UTC)
    return Facts(
        user_id=user.pk,
        factors=factors,
        confirmed_at=_now() if password_shown else confirmed_at,
        confirmed_by=confirmed_by,
        is_active=user.is_active,
        is_staff=user.is_staff,
        needs_passkey=settings.STAFF_NEED_PASSKEY,
        withdrawals_held_until=user.withdrawals_held_until,
    )


def _now() -> datetime:
    return datetime.fromtimestamp(time.time(), UTC)


def is_confirmed(request: HttpRequest) -> bool:
    """Whether the logged-in user was there within the last STEP_UP_S, by the best that the account has."""
    return decision_on(request, Action.CHANGE_EMAIL).is_allowed


def ask_to_confirm(request: HttpRequest, back_to: str, *, by_passkey: bool = False) -> HttpResponse:
    """To the page that asks for a proof, or for a passkey alone, and from there to `back_to`, a path of this site."""
    query = {"next": back_to} | ({"by": Factor.PASSKEY.value} if by_passkey else {})
    return redirect(f"{resolve_url('accounts:confirm')}?{urlencode(query)}")


def ask_for(decision: Decision, request: HttpRequest, back_to: str) -> HttpResponse:
    """To the page that asks for the proof that `decision` misses, and says so to whoever has sent a form."""
    if request.method == "POST":
        messages.info(request, "Nothing was done yet. Confirm first that it is you.")
    return ask_to_confirm(request, back_to, by_passkey=decision.factors == {Factor.PASSKEY})


def answer_to(
    request: HttpRequest, decision: Decision, back_to: str, *, press: str = "", keep: Sequence[str] = ()
) -> HttpResponse:
    """What somebody gets who may not go on yet: the page for what is missing. Raises PermissionDenied for the rest.

    The proof leads back to `back_to` by GET, where a POST has to be sent again with the button `press`; the fields
    `keep` of its form wait there (begun.py).
    """
    if decision.verdict is Verdict.NEEDS_STEP_UP:
        if request.method == "POST":
            keep_begun(request, page=back_to, press=press, fields=keep)
        return ask_for(decision, request, back_to)
    if decision.code == "FACTOR_MISSING":
        messages.error(request, decision.message)
        return redirect("accounts:two-factor")
    raise PermissionDenied(decision.message)


def step_up_required(
    action: Action, back_to: str = "", *, press: str, keep: Sequence[str] = (), password_in_form: bool = False
) -> Callable[[Callable[..., HttpResponseBase]], Callable[..., HttpResponseBase]]:
    """For views of logged-in users: they come after what rules.py asks for `action`.

    What asks leads back to this view, or to the view named `back_to` where this one answers POST only; `press` and
    `keep` are those of answer_to. With `password_in_form` the form of the page asks a user without a second factor for
    the password itself (ConfirmedForm).
    """

    def decorate(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
        @wraps(view)
        def guarded(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponseBase:
            decision = decision_on(request, action)
            asks_itself = password_in_form and is_for_password(decision)
            if decision.is_allowed or asks_itself:
                return view(request, *args, **kwargs)
            page = resolve_url(back_to) if back_to else request.path
            return answer_to(request, decision, page, press=press, keep=keep)

        return login_required(guarded)

    return decorate


def is_for_password(decision: Decision) -> bool:
    """Only a proof is missing, and the password is one, because there is no second factor."""
    return decision.verdict is Verdict.NEEDS_STEP_UP and not decision.factors
