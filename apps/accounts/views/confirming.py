"""The page 'confirm it is you'."""

from typing import cast

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, resolve_url
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from apps.accounts.begun import what_to_press
from apps.accounts.errors import FactorMissing
from apps.accounts.facts import Factor
from apps.accounts.forms import PasswordConfirmationForm
from apps.accounts.models import User
from apps.accounts.nextpage import next_page
from apps.accounts.passkeypages import passkey_page_elsewhere
from apps.accounts.selectors import factors_of
from apps.accounts.services.passkeychallenges import Purpose
from apps.accounts.stepup import Proof, confirm
from apps.accounts.views.forms import form_page
from apps.accounts.views.proofs import offer, proved
from apps.web.visitor import client_address


@sensitive_post_parameters("password", "code", "passkey")
@login_required
@never_cache
@csrf_protect
@require_http_methods(["GET", "POST"])
def confirm_page(request: HttpRequest) -> HttpResponse:
    """Asks for the second factor, or for the password of a user who has none, and goes on to `next`.

    With `by` = passkey it asks for nothing else, where what comes next takes nothing else.
    """
    user = cast(User, request.user)
    factors = factors_of(user_id=user.pk)
    if request.GET.get("by") == Factor.PASSKEY and Factor.PASSKEY in factors:
        factors = frozenset({Factor.PASSKEY})
    next_url = next_page(request, resolve_url(settings.LOGIN_REDIRECT_URL))
    context = {"next": next_url, "elsewhere": passkey_page_elsewhere(request), "purpose": Purpose.CONFIRM}
    if not factors:
        form = PasswordConfirmationForm(request.POST or None, user=user, address=client_address(request))
        if request.method == "POST" and form.is_valid():
            return _go_on(request, Proof.PASSWORD, next_url)
        return form_page(request, "accounts/confirm.html", {**context, "form": form}, form)
    offered = offer(request, factors)
    if request.method == "POST":
        try:
            shown = proved(request, offered, user=user, purpose=Purpose.CONFIRM)
        except FactorMissing as error:
            offered.form.add_error(None, error.message)
            shown = None
        if shown is not None:
            return _go_on(request, Proof(shown.factor), next_url)
    return form_page(request, "accounts/confirm.html", {**context, "offered": offered}, offered.form)


def _go_on(request: HttpRequest, proof: Proof, next_url: str) -> HttpResponse:
    confirm(request, proof)
    messages.success(request, f"Confirmed for 15 minutes. {what_to_press(request, next_url)}".rstrip())
    return redirect(next_url)
