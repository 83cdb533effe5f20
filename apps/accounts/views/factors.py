"""/account/two-factor: what a user has beside the password."""

from collections.abc import Sequence
from typing import cast

import segno
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from apps.accounts.errors import FactorMissing, FactorNeeded, WrongCode
from apps.accounts.factorforms import CodeForm
from apps.accounts.models import User
from apps.accounts.policy import RECOVERY_CODES
from apps.accounts.rules import Action
from apps.accounts.secrets import open_totp
from apps.accounts.selectors import second_factors
from apps.accounts.services.ending import still_in
from apps.accounts.services.factors import begin_totp, confirm_totp, remove_totp, waiting_totp
from apps.accounts.services.recoverycodes import reissue_codes
from apps.accounts.stepup import Proof, confirm, end_confirmation_by, step_up_required
from apps.accounts.totp import as_base32, provisioning_uri
from apps.accounts.views.forms import form_page

ISSUER = "Nebannpet"
# Pixels of one module of the QR code; the quiet zone of four modules is part of it.
_QR_SCALE = 4


@login_required
@never_cache
@require_GET
def two_factor_page(request: HttpRequest) -> HttpResponse:
    factors = second_factors(user_id=_user(request).pk)
    return render(request, "accounts/two_factor.html", {"factors": factors, "codes_max": RECOVERY_CODES})


@require_POST
@csrf_protect
@step_up_required(Action.ADD_FACTOR, "accounts:two-factor", press="Set up an authenticator app” or “Replace it")
@never_cache
def begin_app_action(request: HttpRequest) -> HttpResponse:
    with still_in(request):
        begin_totp(user_id=_user(request).pk)
    return redirect("accounts:authenticator-app")


@sensitive_post_parameters("code")
@require_http_methods(["GET", "POST"])
@csrf_protect
@step_up_required(Action.ADD_FACTOR, "accounts:two-factor", press="Use this app")
@never_cache
def app_page(request: HttpRequest) -> HttpResponse:
    """The QR code of the app that waits; with POST, its first code."""
    user = _user(request)
    waiting = waiting_totp(user_id=user.pk)
    form = CodeForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            with still_in(request):
                confirmed = confirm_totp(
                    user_id=user.pk, code=form.cleaned_data["code"], session_key=request.session.session_key
                )
        except WrongCode as error:
            form.add_error("code", error.message)
        except FactorMissing as error:
            messages.error(request, error.message)
            return redirect("accounts:two-factor")
        else:
            confirm(request, Proof.AUTHENTICATOR)
            if confirmed.codes:
                return _show_codes(request, confirmed.codes)
            old = "; the old one is not any more" if confirmed.has_replaced else ""
            messages.success(request, f"Your new authenticator app is in use{old}. All other sessions are ended.")
            return redirect("accounts:two-factor")
    if waiting is None:
        return redirect("accounts:two-factor")
    secret = open_totp(user.pk, waiting.secret_box)
    uri = provisioning_uri(secret, account=user.email, issuer=ISSUER)
    context = {
        "form": form,
        "qr": segno.make(uri, error="m", micro=False).svg_data_uri(scale=_QR_SCALE, dark="#000", light="#fff"),
        "secret": as_base32(secret),
    }
    return form_page(request, "accounts/authenticator_app.html", context, form)


@require_POST
@csrf_protect
@step_up_required(Action.REMOVE_FACTOR, "accounts:two-factor", press="Remove it")
@never_cache
def remove_app_action(request: HttpRequest) -> HttpResponse:
    try:
        with still_in(request):
            is_last = remove_totp(user_id=_user(request).pk, session_key=request.session.session_key)
    except (FactorMissing, FactorNeeded) as error:
        messages.error(request, error.message)
    else:
        end_confirmation_by(request, Proof.AUTHENTICATOR)
        left = "Your password alone logs in from now on." if is_last else "Your passkeys remain."
        messages.success(request, f"The authenticator app is removed. {left} All other sessions are ended.")
    return redirect("accounts:two-factor")


@require_POST
@csrf_protect
@step_up_required(Action.REMOVE_FACTOR, "accounts:two-factor", press="Make new codes")
@never_cache
def recovery_codes_action(request: HttpRequest) -> HttpResponse:
    try:
        with still_in(request):
            codes = reissue_codes(user_id=_user(request).pk)
    except FactorMissing as error:
        messages.error(request, error.message)
        return redirect("accounts:two-factor")
    return _show_codes(request, codes)


def _show_codes(request: HttpRequest, codes: Sequence[str]) -> HttpResponse:
    """The only page that ever carries them."""
    return render(request, "accounts/recovery_codes.html", {"codes": codes})


def _user(request: HttpRequest) -> User:
    return cast(User, request.user)
