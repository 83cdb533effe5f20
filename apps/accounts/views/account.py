"""The account's own pages: overview, password, API keys."""

from typing import cast

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from apps.accounts.errors import ApiKeyNotFound, ApiKeyRefused, InvalidApiKeyRequest, InvalidNetwork, TooManyApiKeys
from apps.accounts.forms import ApiKeyForm, PasswordForm
from apps.accounts.models import User
from apps.accounts.policy import API_KEYS_PER_ACCOUNT_MAX
from apps.accounts.rules import Action
from apps.accounts.selectors import api_keys_of, count_api_keys, held_until, main_account, second_factors
from apps.accounts.services.api_keys import create_api_key, revoke_api_key
from apps.accounts.services.ending import still_in
from apps.accounts.services.keyissue import NewApiKey
from apps.accounts.services.sessions import change_password
from apps.accounts.stepup import answer_to, decision_on, facts_of, is_for_password, step_up_required
from apps.accounts.views.forms import client_address, form_status
from apps.accounts.views.subaccounts import chosen_account


@login_required
@never_cache
@require_GET
def overview(request: HttpRequest) -> HttpResponse:
    account = main_account(user_id=_user(request).pk)
    context = {
        "account": account,
        "keys": count_api_keys(account_id=account.pk),
        "held_until": held_until(user=_user(request)),
        "factors": second_factors(user_id=_user(request).pk),
    }
    return render(request, "accounts/overview.html", context)


@sensitive_post_parameters("current", "new")
@require_http_methods(["GET", "POST"])
@csrf_protect
@step_up_required(Action.CHANGE_PASSWORD, password_in_form=True)
@never_cache
def password_page(request: HttpRequest) -> HttpResponse:
    form = PasswordForm(request.POST or None, user=_user(request), address=client_address(request))
    if request.method == "POST" and form.is_valid():
        change_password(request=request, user=_user(request), new_password=form.cleaned_data["new"])
        messages.success(request, "Your password is changed. All other sessions are logged out.")
        return redirect("accounts:overview")
    return render(request, "accounts/password.html", {"form": form}, status=form_status(form))


@sensitive_post_parameters("password")
@login_required
@never_cache
@csrf_protect
@require_http_methods(["GET", "POST"])
def api_keys_page(request: HttpRequest, account_id: int | None = None) -> HttpResponse:
    """Keys of the master account, or of a sub-account: list; and with POST, create.

    The answer to a creation is the only page that ever carries the secret.
    """
    account = chosen_account(request, account_id)
    reading, trading = decision_on(request, Action.KEY_READ), decision_on(request, Action.KEY_TRADE)
    needs_step_up = not (reading.is_allowed or is_for_password(reading))
    if request.method == "POST" and needs_step_up:
        return answer_to(request, reading, request.path)
    form = _key_form(request, is_confirmed=reading.is_allowed)
    new: NewApiKey | None = None
    if request.method == "POST" and form.is_valid() and form.cleaned_data["can_trade"] and not trading.is_allowed:
        form.add_error("can_trade", trading.message)
    if request.method == "POST" and form.is_valid():
        try:
            with still_in(request):
                new = create_api_key(
                    facts=facts_of(request, Action.KEY_TRADE, password_shown=is_for_password(reading)),
                    account_id=account.pk,
                    label=form.cleaned_data["label"],
                    can_read=form.cleaned_data["can_read"],
                    can_trade=form.cleaned_data["can_trade"],
                    networks=form.cleaned_data["networks"],
                )
        except InvalidNetwork as error:
            form.add_error("networks", error.message)
        except (ApiKeyRefused, InvalidApiKeyRequest, TooManyApiKeys) as error:
            form.add_error(None, error.message)
        else:
            form = _key_form(request, is_confirmed=reading.is_allowed, is_new=True)
    context = {
        "form": form,
        "new": new,
        "keys": api_keys_of(account_id=account.pk),
        "account": account,
        "keys_max": API_KEYS_PER_ACCOUNT_MAX,
        "needs_step_up": needs_step_up,
        "needs_factor": trading.code == "FACTOR_MISSING",
        "api_base": request.build_absolute_uri("/").rstrip("/"),
    }
    return render(request, "accounts/api_keys.html", context, status=form_status(form))


@login_required
@never_cache
@csrf_protect
@require_POST
def revoke_api_key_action(request: HttpRequest, key_id: int, account_id: int | None = None) -> HttpResponse:
    account = chosen_account(request, account_id)
    try:
        revoke_api_key(account_id=account.pk, key_id=key_id)
    except ApiKeyNotFound as error:
        messages.error(request, error.message)
        return render(request, "404.html", status=404)
    messages.success(request, "The API key is revoked. It stops working within a second.")
    if account.is_main:
        return redirect("accounts:api-keys")
    return redirect("accounts:sub-account-api-keys", account.pk)


def _key_form(request: HttpRequest, *, is_confirmed: bool, is_new: bool = False) -> ApiKeyForm:
    return ApiKeyForm(
        None if is_new else request.POST or None,
        user=_user(request),
        address=client_address(request),
        is_confirmed=is_confirmed,
    )


def _user(request: HttpRequest) -> User:
    return cast(User, request.user)
