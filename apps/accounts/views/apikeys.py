"""The page of API keys, of the master account or of a sub-account (requirements A5, A6)."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Final, cast

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from apps.accounts.begun import typed_before
from apps.accounts.errors import (
    ApiKeyNotFound,
    ApiKeyRefused,
    FactorMissing,
    InvalidApiKeyRequest,
    InvalidKeyEnd,
    InvalidNetwork,
    InvalidPublicKey,
    LabelTaken,
    PasskeyRefused,
    TooManyApiKeys,
    TooManyAttempts,
    WrongCode,
)
from apps.accounts.facts import Factor, Facts
from apps.accounts.forms import Throttled
from apps.accounts.keyforms import ApiKeyForm, KeyNetworksForm
from apps.accounts.keyterms import KeyTerms
from apps.accounts.models import TradingAccount, User
from apps.accounts.passkeypages import passkey_page_elsewhere, session_key_of
from apps.accounts.policy import API_KEY_EXPIRY_TOLD_DAYS, API_KEYS_PER_ACCOUNT_MAX
from apps.accounts.rules import Action
from apps.accounts.selectors import api_keys_of, factors_of, own_key_in_use
from apps.accounts.services.announcements import keys_page_of
from apps.accounts.services.api_keys import (
    change_networks,
    check_new_key,
    check_new_networks,
    create_api_key,
    register_public_key,
    revoke_api_key,
)
from apps.accounts.services.codes import use_code
from apps.accounts.services.ending import still_in
from apps.accounts.services.keyissue import NewApiKey
from apps.accounts.services.lostfactor import stop_by_factor
from apps.accounts.services.passkeychallenges import Purpose
from apps.accounts.services.passkeyproofs import use_passkey
from apps.accounts.stepup import answer_to, decision_on, facts_of, is_for_password
from apps.accounts.views.forms import form_page
from apps.accounts.views.subaccounts import chosen_account
from apps.web.visitor import client_address

# What is kept of the form while its user confirms.
KEY_FIELDS: Final = ("label", "can_read", "can_trade", "can_withdraw", "lifetime", "networks", "pem")


@sensitive_post_parameters("password", "code", "passkey")
@login_required
@never_cache
@csrf_protect
@require_http_methods(["GET", "POST"])
def api_keys_page(request: HttpRequest, account_id: int | None = None) -> HttpResponse:
    """Keys of the account: list; and with POST, create.

    The answer to a creation is the only page that ever carries the secret.
    """
    account = chosen_account(request, account_id)
    reading, trading = decision_on(request, Action.KEY_READ), decision_on(request, Action.KEY_TRADE)
    needs_step_up = not (reading.is_allowed or is_for_password(reading))
    if request.method == "POST" and needs_step_up:
        return answer_to(request, reading, request.path, press="Create key", keep=KEY_FIELDS)
    initial = {} if needs_step_up else typed_before(request)
    form = _key_form(request, is_confirmed=reading.is_allowed, initial=initial)
    new: NewApiKey | None = None
    if request.method == "POST" and form.is_valid() and form.cleaned_data["can_trade"] and not trading.is_allowed:
        form.add_error("can_trade", trading.message)
    if request.method == "POST" and form.is_valid():
        facts = facts_of(request, Action.KEY_TRADE, password_shown=is_for_password(reading))
        terms = _terms(form)
        if terms is not None and terms.can_withdraw:
            pem = form.cleaned_data["pem"] or None
            check = partial(check_new_key, facts=facts, account_id=account.pk, terms=terms, pem=pem)
            facts = _with_fresh_proof(request, form, facts, check)
        if terms is not None and form.is_valid():
            new = _create(request, account, form, terms, facts)
        if new is not None:
            form = _key_form(request, is_confirmed=reading.is_allowed, is_new=True)
    context = {
        "form": form,
        "new": new,
        "keys": api_keys_of(account_id=account.pk),
        "account": account,
        "keys_max": API_KEYS_PER_ACCOUNT_MAX,
        "warned_until": timezone.now() + timedelta(days=max(API_KEY_EXPIRY_TOLD_DAYS)),
        "needs_step_up": needs_step_up,
        "passkey_purpose": Purpose.WITHDRAW_KEY,
        "passkey_elsewhere": passkey_page_elsewhere(request),
        "needs_factor": trading.code == "FACTOR_MISSING",
        "api_base": request.build_absolute_uri("/").rstrip("/"),
    }
    return form_page(request, "accounts/api_keys.html", context, form)


def _terms(form: ApiKeyForm) -> KeyTerms | None:
    """What was typed; None, and the form has the error."""
    typed = form.cleaned_data
    try:
        return KeyTerms.chosen(
            label=typed["label"],
            can_read=typed["can_read"],
            can_trade=typed["can_trade"],
            can_withdraw=typed["can_withdraw"],
            networks=typed["networks"],
            lifetime_days=typed["lifetime"],
        )
    except InvalidNetwork as error:
        form.add_error("networks", error.message)
    except InvalidKeyEnd as error:
        form.add_error("lifetime", error.message)
    except InvalidApiKeyRequest as error:
        form.add_error("label", error.message)
    return None


def _with_fresh_proof(request: HttpRequest, form: KeyNetworksForm, facts: Facts, check: Callable[[], None]) -> Facts:
    """The facts with a code or a passkey shown for this key. What is wrong otherwise, which `check` raises, becomes an
    error of the form before, so that nothing is used up for it.
    """
    right = "can_withdraw" if "can_withdraw" in form.fields else None
    with _errors_in(form):
        if facts.factors:
            check()
    if form.errors:
        return facts
    if not facts.factors:
        form.add_error(right, "Keys that withdraw need an authenticator app or a passkey. Set one up first.")
    elif answer := form.cleaned_data.get("passkey"):
        try:
            use_passkey(
                purpose=Purpose.WITHDRAW_KEY, answer=answer, session_key=session_key_of(request),
                client=client_address(request), user_id=facts.user_id,
            )  # fmt: skip
        except PasskeyRefused as error:
            form.add_error(None, error.message)
        except TooManyAttempts as error:
            form.add_error(None, Throttled(error))
        _not_lost(request, form)
        return replace(facts, fresh_by=frozenset({Factor.PASSKEY}))
    elif Factor.AUTHENTICATOR not in facts.factors:
        form.add_error(right, "A key that can withdraw needs your passkey, shown for it.")
    else:
        try:
            use_code(user_id=facts.user_id, code=form.cleaned_data["code"])
        except (WrongCode, FactorMissing) as error:
            form.add_error("code", error.message)
        except TooManyAttempts as error:
            form.add_error(None, Throttled(error))
        _not_lost(request, form)
    return replace(facts, fresh_by=frozenset({Factor.AUTHENTICATOR}))


def _not_lost(request: HttpRequest, form: KeyNetworksForm) -> None:
    """Where the factor was shown: what staff are asked ends."""
    if not form.errors:
        stop_by_factor(user=cast(User, request.user))


def _create(
    request: HttpRequest, account: TradingAccount, form: ApiKeyForm, terms: KeyTerms, facts: Facts
) -> NewApiKey | None:
    """The key, or errors of the form."""
    pem = form.cleaned_data["pem"]
    with _errors_in(form), still_in(request):
        if not pem:
            return create_api_key(facts=facts, account_id=account.pk, terms=terms)
        key = register_public_key(facts=facts, account_id=account.pk, terms=terms, pem=pem)
        return NewApiKey(key=key, secret="")  # nosec B106 # an empty field
    return None


@contextmanager
def _errors_in(form: KeyNetworksForm) -> Iterator[None]:
    """What a service refuses becomes an error of the form."""
    try:
        yield
    except InvalidNetwork as error:
        form.add_error("networks", error.message)
    except InvalidPublicKey as error:
        form.add_error("pem", error.message)
    except LabelTaken as error:
        form.add_error("label", error.message)
    except (ApiKeyRefused, InvalidApiKeyRequest, TooManyApiKeys) as error:
        form.add_error(None, error.message)


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
    return redirect(keys_page_of(account))


@sensitive_post_parameters("password", "code", "passkey")
@login_required
@never_cache
@csrf_protect
@require_http_methods(["GET", "POST"])
def key_networks_page(request: HttpRequest, key_id: int) -> HttpResponse:
    """Where one key of the user's works from, of whichever account; and with POST, other addresses in their place."""
    user = cast(User, request.user)
    try:
        key = own_key_in_use(user_id=user.pk, key_id=key_id)
    except ApiKeyNotFound as error:
        raise Http404 from error
    # Of one that withdraws the form asks for a code as well; what else the change takes depends on the addresses.
    decision = decision_on(request, Action.KEY_READ)
    if not (decision.is_allowed or is_for_password(decision)):
        return answer_to(request, decision, request.path, press="Save addresses", keep=("networks",))
    form = KeyNetworksForm(
        request.POST or None,
        user=user,
        address=client_address(request),
        is_confirmed=decision.is_allowed,
        factors=factors_of(user_id=user.pk) if key.can_withdraw else frozenset(),
        initial={"networks": " ".join(key.allowed_networks)} | typed_before(request),
    )
    if request.method == "POST" and form.is_valid():
        facts = facts_of(request, Action.KEY_READ, password_shown=is_for_password(decision))
        wanted = form.cleaned_data["networks"]
        if key.can_withdraw:
            check = partial(check_new_networks, facts=facts, key_id=key_id, networks=wanted)
            facts = _with_fresh_proof(request, form, facts, check)
        if form.is_valid():
            with _errors_in(form), still_in(request):
                change_networks(facts=facts, key_id=key_id, networks=wanted)
        if form.is_valid():
            messages.success(request, "Within a second the key works from these addresses only.")
            return redirect(keys_page_of(key.account))
    context = {
        "form": form,
        "key": key,
        "keys_page": keys_page_of(key.account),
        "passkey_purpose": Purpose.WITHDRAW_KEY,
        "passkey_elsewhere": passkey_page_elsewhere(request),
    }
    return form_page(request, "accounts/key_networks.html", context, form)


def _key_form(
    request: HttpRequest, *, is_confirmed: bool, is_new: bool = False, initial: Mapping[str, str] | None = None
) -> ApiKeyForm:
    user = cast(User, request.user)
    return ApiKeyForm(
        None if is_new else request.POST or None,
        user=user,
        address=client_address(request),
        is_confirmed=is_confirmed,
        factors=factors_of(user_id=user.pk),
        initial=initial,
    )
