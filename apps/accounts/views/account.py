"""The account's own pages: overview, password."""

from typing import cast

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_http_methods

from apps.accounts.forms import PasswordForm
from apps.accounts.models import User
from apps.accounts.rules import Action
from apps.accounts.securityselectors import security_of
from apps.accounts.selectors import count_api_keys, held_until, main_account
from apps.accounts.services.sessions import change_password
from apps.accounts.stepup import step_up_required
from apps.accounts.views.forms import form_page
from apps.web.visitor import client_address


@login_required
@never_cache
@require_GET
def overview(request: HttpRequest) -> HttpResponse:
    account = main_account(user_id=_user(request).pk)
    context = {
        "account": account,
        "keys": count_api_keys(account_id=account.pk),
        "held_until": held_until(user=_user(request)),
        "security": security_of(user=_user(request), now=timezone.now()),
    }
    return render(request, "accounts/overview.html", context)


@sensitive_post_parameters("current", "new")
@require_http_methods(["GET", "POST"])
@csrf_protect
@step_up_required(Action.CHANGE_PASSWORD, press="Change password", password_in_form=True)
@never_cache
def password_page(request: HttpRequest) -> HttpResponse:
    form = PasswordForm(request.POST or None, user=_user(request), address=client_address(request))
    if request.method == "POST" and form.is_valid():
        change_password(request=request, user=_user(request), new_password=form.cleaned_data["new"])
        messages.success(request, "Your password is changed. All other sessions are logged out.")
        return redirect("accounts:overview")
    return form_page(request, "accounts/password.html", {"form": form}, form)


def _user(request: HttpRequest) -> User:
    return cast(User, request.user)
