"""The second step of a log-in, and the way in without the factor: password, mailed link and recovery code."""

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from apps.accounts.errors import FactorMissing, LinkDead, TooManyAttempts, WrongCode
from apps.accounts.factorforms import RecoveryCodeForm
from apps.accounts.facts import Shown
from apps.accounts.forms import Throttled
from apps.accounts.passkeypages import passkey_page_elsewhere
from apps.accounts.secondstep import PendingLogIn, end_second_step, pending_log_in
from apps.accounts.selectors import factors_of
from apps.accounts.services.links import Purpose, find_link
from apps.accounts.services.passkeychallenges import Purpose as PasskeyPurpose
from apps.accounts.services.recoverycodes import recover, request_recovery
from apps.accounts.services.sessions import open_session
from apps.accounts.stepup import Proof, confirm
from apps.accounts.views.forms import form_page
from apps.accounts.views.links import dead_link
from apps.accounts.views.proofs import offer, proved
from apps.web.errors import SessionEnded
from apps.web.visitor import client_address


@sensitive_post_parameters("code")
@never_cache
@csrf_protect
@require_http_methods(["GET", "POST"])
def second_step_page(request: HttpRequest) -> HttpResponse:
    pending = pending_log_in(request)
    if pending is None:
        return redirect("accounts:log-in")
    factors = factors_of(user_id=pending.user.pk)
    if not factors:
        # The last one was removed meanwhile, elsewhere: begin again.
        return _begin_again(request)
    offered = offer(request, factors)
    if request.method == "POST":
        try:
            shown = proved(request, offered, user=pending.user, purpose=PasskeyPurpose.SECOND_STEP)
        except FactorMissing:
            return _begin_again(request)
        if shown is not None:
            return _complete(request, pending, frozenset({Proof.PASSWORD}), Proof(shown.factor), shown)
    context = {
        "offered": offered,
        "purpose": PasskeyPurpose.SECOND_STEP,
        "elsewhere": passkey_page_elsewhere(request),
        "has_demo_accounts": settings.DEMO_DATA,
    }
    return form_page(request, "accounts/second_step.html", context, offered.form)


@never_cache
@csrf_protect
@require_POST
def lost_factor_action(request: HttpRequest) -> HttpResponse:
    pending = pending_log_in(request)
    if pending is None:
        return redirect("accounts:log-in")
    try:
        request_recovery(user=pending.user, client=client_address(request))
    except TooManyAttempts as error:
        messages.error(request, error.message)
        return redirect("accounts:second-step")
    return redirect("accounts:check-mail")


@sensitive_post_parameters("code")
@never_cache
@csrf_protect
@require_http_methods(["GET", "POST"])
def recover_page(request: HttpRequest, token: str) -> HttpResponse:
    """Behind the mailed link; only in a browser that has proved the password of the same user."""
    form = RecoveryCodeForm(request.POST or None)
    try:
        pending = pending_of_link(request, token)
        if pending is None:
            return password_first(request)
        if request.method == "POST" and form.is_valid():
            code = form.cleaned_data["code"]
            recover(user=pending.user, token=token, code=code, client=client_address(request))
            proofs = frozenset({Proof.PASSWORD, Proof.MAILED_LINK, Proof.RECOVERY_CODE})
            answer = _complete(request, pending, proofs, Proof.RECOVERY_CODE)
            if not request.user.is_authenticated:
                return answer
            messages.warning(request, "You are logged in. Set up what replaces the factor that you lost now.")
            return redirect("accounts:two-factor")
    except LinkDead as error:
        return dead_link(request, error)
    except WrongCode as error:
        form.add_error("code", error.message)
    except TooManyAttempts as error:
        form.add_error(None, Throttled(error))
    return form_page(request, "accounts/recover.html", {"form": form, "token": token}, form)


def pending_of_link(request: HttpRequest, token: str) -> PendingLogIn | None:
    """The log-in in this browser of the user to whom that link was mailed; LinkDead where there is no such link."""
    link = find_link(purpose=Purpose.RECOVER, token=token)
    pending = pending_log_in(request)
    return pending if pending is not None and pending.user.pk == link.user_id else None


def password_first(request: HttpRequest) -> HttpResponse:
    """Of links that work only in a browser in which the password was typed."""
    messages.info(request, "Type your password first; then open the link of the e-mail in this browser again.")
    return redirect("accounts:log-in")


def _begin_again(request: HttpRequest) -> HttpResponse:
    end_second_step(request)
    return redirect("accounts:log-in")


def _complete(
    request: HttpRequest, pending: PendingLogIn, proofs: frozenset[str], best: Proof, shown: Shown | None = None
) -> HttpResponse:
    end_second_step(request)
    try:
        open_session(request=request, user=pending.user, proofs=proofs, shown=shown)
    except SessionEnded as error:
        messages.error(request, error.message)
        return redirect("accounts:log-in")
    # Whoever has just shown it is not asked again at once.
    confirm(request, best)
    return redirect(pending.next_url or settings.LOGIN_REDIRECT_URL)
