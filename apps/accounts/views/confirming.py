"""The page 'confirm it is you'."""

from typing import cast

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render, resolve_url
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from apps.accounts.errors import FactorMissing, TooManyAttempts, WrongCode
from apps.accounts.factorforms import CodeForm
from apps.accounts.forms import THROTTLED, PasswordConfirmationForm
from apps.accounts.models import User
from apps.accounts.nextpage import next_page
from apps.accounts.selectors import has_second_factor
from apps.accounts.services.codes import use_code
from apps.accounts.stepup import Proof, confirm
from apps.accounts.views.forms import client_address, form_status


@sensitive_post_parameters("password", "code")
@login_required
@never_cache
@csrf_protect
@require_http_methods(["GET", "POST"])
def confirm_page(request: HttpRequest) -> HttpResponse:
    """Asks for the second factor, or for the password of a user who has none, and goes on to `next`."""
    user = cast(User, request.user)
    form: CodeForm | PasswordConfirmationForm = PasswordConfirmationForm(
        request.POST or None, user=user, address=client_address(request)
    )
    proof = Proof.PASSWORD
    if has_second_factor(user_id=user.pk):
        form, proof = CodeForm(request.POST or None), Proof.AUTHENTICATOR
    next_url = next_page(request, resolve_url(settings.LOGIN_REDIRECT_URL))
    if request.method == "POST" and form.is_valid() and _is_proved(user, form):
        confirm(request, proof)
        messages.success(request, "Confirmed for 15 minutes.")
        return redirect(next_url)
    return render(request, "accounts/confirm.html", {"form": form, "next": next_url}, status=form_status(form))


def _is_proved(user: User, form: CodeForm | PasswordConfirmationForm) -> bool:
    """The form of the password has looked already; a refusal of a code becomes an error of the form."""
    if isinstance(form, PasswordConfirmationForm):
        return True
    try:
        use_code(user_id=user.pk, code=form.cleaned_data["code"])
    except (WrongCode, FactorMissing) as error:
        form.add_error("code", error.message)
    except TooManyAttempts as error:
        form.add_error(None, ValidationError(error.message, THROTTLED))
    return not form.errors
