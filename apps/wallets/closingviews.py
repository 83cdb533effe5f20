"""The page on which a user closes the account (requirement A8)."""

from dataclasses import replace
from typing import Any, cast

from django.contrib import messages
from django.contrib.auth import logout
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from apps.accounts.errors import CannotClose, FactorMissing
from apps.accounts.facts import Facts
from apps.accounts.forms import PasswordConfirmationForm
from apps.accounts.models import User
from apps.accounts.passkeypages import passkey_page_elsewhere
from apps.accounts.rules import Action
from apps.accounts.selectors import factors_of
from apps.accounts.services.passkeychallenges import Purpose
from apps.accounts.stepup import facts_of
from apps.accounts.views.forms import form_page
from apps.accounts.views.proofs import Offered, offer, proved
from apps.wallets.closing import close_account, what_is_left
from apps.web.visitor import client_address


@sensitive_post_parameters("password", "code", "passkey")
@login_required
@never_cache
@csrf_protect
@require_http_methods(["GET", "POST"])
def close_page(request: HttpRequest) -> HttpResponse:
    """What is left, and what will be; and with POST and a fresh proof, the end. No proof is used up in vain."""
    user = cast(User, request.user)
    left, factors = what_is_left(user=user), factors_of(user_id=user.pk)
    offered = offer(request, factors) if factors else None
    form: Any = None
    if offered is None:
        sent = request.POST if request.method == "POST" else None
        form = PasswordConfirmationForm(sent, user=user, address=client_address(request))
    refusal = ""
    if request.method == "POST" and not left:
        facts = _proved_facts(request, user, offered, form)
        if facts is not None:
            try:
                close_account(user=user, facts=facts, session_key=request.session.session_key)
            except CannotClose as error:
                refusal = error.message
            else:
                logout(request)
                messages.success(request, "Your account is closed. We have written to you a last time.")
                return redirect("accounts:landing")
    context = {
        "left": left, "refusal": refusal, "offered": offered, "form": form, "purpose": Purpose.CLOSE_ACCOUNT,
        "elsewhere": passkey_page_elsewhere(request),
    }  # fmt: skip
    refused = request.method == "POST" and bool(left or refusal)
    if refused:
        return render(request, "wallets/close_account.html", context, status=422)
    return form_page(request, "wallets/close_account.html", context, offered.form if offered else form)


def _proved_facts(request: HttpRequest, user: User, offered: Offered | None, form: Any) -> Facts | None:
    """With what was shown for this very request; None, and the form has the error."""
    if offered is None:
        return facts_of(request, Action.CLOSE_ACCOUNT, password_shown=True) if form.is_valid() else None
    try:
        shown = proved(request, offered, user=user, purpose=Purpose.CLOSE_ACCOUNT)
    except FactorMissing as error:
        offered.form.add_error(None, error.message)
        return None
    if shown is None:
        return None
    return replace(facts_of(request, Action.CLOSE_ACCOUNT), fresh_by=frozenset({shown.factor}))
