"""/account/passkeys: the passkeys of a user."""

from typing import cast

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from apps.accounts.begun import typed_before
from apps.accounts.errors import (
    FactorNeeded,
    InvalidPasskeyName,
    PasskeyNotFound,
    PasskeyRefused,
    TooManyAttempts,
    TooManyPasskeys,
)
from apps.accounts.factorforms import NewPasskeyForm, PasskeyNameForm
from apps.accounts.models import User
from apps.accounts.passkeypages import options_answer, options_refusal, passkey_page_elsewhere, session_key_of
from apps.accounts.rules import Action
from apps.accounts.selectors import passkeys_of
from apps.accounts.services.ending import still_in
from apps.accounts.services.passkeychallenges import Purpose
from apps.accounts.services.passkeyproofs import ask_for_passkey
from apps.accounts.services.passkeys import (
    add_passkey,
    answer_taken,
    ask_for_new_passkey,
    remove_passkey,
    rename_passkey,
)
from apps.accounts.stepup import Proof, confirm, decision_on, end_confirmation_by, step_up_required
from apps.accounts.views.forms import form_page
from apps.web.visitor import client_address


@login_required
@never_cache
@require_GET
def passkeys_page(request: HttpRequest) -> HttpResponse:
    context = {
        "passkeys": passkeys_of(user_id=_user(request).pk),
        "elsewhere": passkey_page_elsewhere(request),
        "name_length_max": PasskeyNameForm.base_fields["name"].max_length,  # type: ignore[attr-defined]
    }
    return render(request, "accounts/passkeys.html", context)


@login_required
@never_cache
@csrf_protect
@require_POST
def options_action(request: HttpRequest) -> JsonResponse:
    """JSON for the script: what an authenticator is asked, to add a passkey or to confirm that its owner is there."""
    user = _user(request)
    session_key, client = session_key_of(request), client_address(request)
    purpose = request.POST.get("purpose", "")
    try:
        if purpose in (Purpose.CONFIRM, Purpose.WITHDRAW_KEY, Purpose.CLOSE_ACCOUNT):
            return options_answer(
                ask_for_passkey(purpose=Purpose(purpose), session_key=session_key, client=client, user=user)
            )
        if purpose != Purpose.ADD:
            known = "add, confirm, withdraw-key or close-account"
            return options_refusal(PasskeyRefused(f"Say what the passkey is for: purpose {known}."), 400)
        if not decision_on(request, Action.ADD_FACTOR).is_allowed:
            return options_refusal(PasskeyRefused("Confirm first that it is you: load this page again."), 403)
        return options_answer(ask_for_new_passkey(user=user, session_key=session_key, client=client))
    except (TooManyAttempts, TooManyPasskeys) as error:
        return options_refusal(error)


@sensitive_post_parameters("passkey")
@require_http_methods(["GET", "POST"])
@csrf_protect
@step_up_required(Action.ADD_FACTOR, press="Add a passkey", keep=("name",))
@never_cache
def add_page(request: HttpRequest) -> HttpResponse:
    user = _user(request)
    form = NewPasskeyForm(request.POST or None, initial=typed_before(request))
    if request.method == "POST" and form.is_valid():
        try:
            answer = answer_taken(
                user_id=user.pk, answer=form.cleaned_data["passkey"], session_key=session_key_of(request)
            )
            with still_in(request):
                codes = add_passkey(
                    user_id=user.pk,
                    name=form.cleaned_data["name"],
                    answer=answer,
                    session_key=request.session.session_key,
                )
        except InvalidPasskeyName as error:
            form.add_error("name", error.message)
        except (PasskeyRefused, TooManyPasskeys) as error:
            form.add_error(None, error.message)
        else:
            confirm(request, Proof.PASSKEY)
            if codes:
                return render(request, "accounts/recovery_codes.html", {"codes": codes})
            messages.success(request, "The passkey is added. All other sessions are ended.")
            return redirect("accounts:passkeys")
    context = {"form": form, "purpose": Purpose.ADD, "elsewhere": passkey_page_elsewhere(request)}
    return form_page(request, "accounts/add_passkey.html", context, form)


@login_required
@never_cache
@csrf_protect
@require_POST
def rename_action(request: HttpRequest, passkey_id: int) -> HttpResponse:
    form = PasskeyNameForm(request.POST)
    name = form.cleaned_data["name"] if form.is_valid() else ""
    try:
        with still_in(request):
            rename_passkey(user_id=_user(request).pk, passkey_id=passkey_id, name=name)
    except PasskeyNotFound as error:
        return _not_there(request, error)
    except InvalidPasskeyName as error:
        messages.error(request, f"It keeps its name. {error.message}")
    else:
        messages.success(request, "The passkey has its new name.")
    return redirect("accounts:passkeys")


@require_POST
@csrf_protect
@step_up_required(Action.REMOVE_FACTOR, "accounts:passkeys", press="Remove it")
@never_cache
def remove_action(request: HttpRequest, passkey_id: int) -> HttpResponse:
    try:
        with still_in(request):
            remove_passkey(user_id=_user(request).pk, passkey_id=passkey_id, session_key=request.session.session_key)
    except PasskeyNotFound as error:
        return _not_there(request, error)
    except FactorNeeded as error:
        messages.error(request, error.message)
    else:
        # Which passkey it was does not stand in the session.
        end_confirmation_by(request, Proof.PASSKEY)
        messages.success(
            request, "The passkey is removed. All other sessions are ended, and withdrawals are held for 24 hours."
        )
    return redirect("accounts:passkeys")


def _not_there(request: HttpRequest, error: PasskeyNotFound) -> HttpResponse:
    messages.error(request, error.message)
    return render(request, "404.html", status=404)


def _user(request: HttpRequest) -> User:
    return cast(User, request.user)
