"""Pages of sub-accounts (requirement A6). Another user's account is 404, as one that does not exist."""

from typing import cast

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, resolve_url
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.http import require_http_methods, require_POST

from apps.accounts.errors import (
    ChangePending,
    InvalidLabel,
    LabelTaken,
    NoTradingAccount,
    TooManySubAccounts,
)
from apps.accounts.models import TradingAccount, User
from apps.accounts.policy import SUB_ACCOUNTS_MAX
from apps.accounts.rules import Action
from apps.accounts.selectors import accounts_with_keys, main_account, own_account
from apps.accounts.services.ending import still_in
from apps.accounts.services.subaccounts import (
    create_sub_account,
    freeze_sub_account,
    rename_sub_account,
    unfreeze_sub_account,
)
from apps.accounts.stepup import answer_to, decision_on
from apps.accounts.subaccountforms import SubAccountForm
from apps.accounts.views.forms import form_page


@login_required
@never_cache
@csrf_protect
@require_http_methods(["GET", "POST"])
def sub_accounts_page(request: HttpRequest) -> HttpResponse:
    """All accounts of the user; and with POST, a new one."""
    user_id = cast(User, request.user).pk
    form = SubAccountForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            with still_in(request):
                made = create_sub_account(user_id=user_id, label=form.cleaned_data["label"])
        except (InvalidLabel, LabelTaken) as error:
            form.add_error("label", error.message)
        except (TooManySubAccounts, ChangePending) as error:
            form.add_error(None, error.message)
        else:
            messages.success(request, f"The sub-account {made.label} is made. Its number is {made.pk}.")
            return redirect("accounts:sub-accounts")
    context = {"form": form, "accounts": accounts_with_keys(user_id=user_id), "sub_accounts_max": SUB_ACCOUNTS_MAX}
    return form_page(request, "accounts/sub_accounts.html", context, form)


@login_required
@never_cache
@csrf_protect
@require_http_methods(["GET", "POST"])
def sub_account_page(request: HttpRequest, account_id: int) -> HttpResponse:
    """One of them; and with POST, another name for it."""
    account = chosen_account(request, account_id)
    form = SubAccountForm(request.POST or None, initial={"label": account.label})
    if request.method == "POST" and form.is_valid():
        try:
            with still_in(request):
                rename_sub_account(
                    user_id=account.owner_id, account_id=account.pk, label=form.cleaned_data["label"]
                )  # fmt: skip
        except (InvalidLabel, LabelTaken) as error:
            form.add_error("label", error.message)
        else:
            messages.success(request, "The sub-account has its new name.")
            return redirect("accounts:sub-account", account.pk)
    return form_page(request, "accounts/sub_account.html", {"form": form, "account": account}, form)


@login_required
@never_cache
@csrf_protect
@require_POST
def freeze_action(request: HttpRequest, account_id: int) -> HttpResponse:
    account = chosen_account(request, account_id)
    with still_in(request):
        freeze_sub_account(user_id=account.owner_id, account_id=account.pk)
    messages.success(request, "The account is frozen. Within a second it takes no orders, only cancels.")
    return redirect("accounts:sub-account", account.pk)


@login_required
@never_cache
@csrf_protect
@require_POST
def unfreeze_action(request: HttpRequest, account_id: int) -> HttpResponse:
    """Its owner may have frozen it against somebody who has a session: that alone does not end it."""
    account = chosen_account(request, account_id)
    decision = decision_on(request, Action.UNFREEZE)
    if not decision.is_allowed:
        page = resolve_url("accounts:sub-account", account.pk)
        return answer_to(request, decision, page, press="Unfreeze this account")
    with still_in(request):
        unfreeze_sub_account(user_id=account.owner_id, account_id=account.pk)
    messages.success(request, "The account is not frozen any more and takes orders again.")
    return redirect("accounts:sub-account", account.pk)


def chosen_account(request: HttpRequest, account_id: int | None) -> TradingAccount:
    """The sub-account of that number, the master account for None. 404 unless it is a sub-account of this user."""
    user_id = cast(User, request.user).pk
    if account_id is None:
        return main_account(user_id=user_id)
    try:
        account = own_account(user_id=user_id, account_id=account_id)
    except NoTradingAccount as error:
        raise Http404(error.message) from error
    if account.is_main:
        raise Http404("The master account has pages of its own.")
    return account
