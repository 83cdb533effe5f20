"""Pages behind mailed links, and the pages that ask for one.

A GET changes nothing, since programs that look after mail open links, too: each page has a button or a form.
"""

from typing import cast

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_http_methods

from apps.accounts.begun import typed_before
from apps.accounts.errors import AddressTaken, LinkDead, TooManyAttempts
from apps.accounts.forms import Throttled
from apps.accounts.linkforms import AddressForm, EmailForm, MailPhraseForm, NewPasswordForm, ProvePasswordForm
from apps.accounts.models import User
from apps.accounts.rules import Action
from apps.accounts.services.devices import know_browser
from apps.accounts.services.emailchange import confirm_email_change, request_email_change
from apps.accounts.services.ending import still_in
from apps.accounts.services.links import Purpose, find_link
from apps.accounts.services.phrases import change_phrase
from apps.accounts.services.resets import owner_of_reset, request_reset, reset_password
from apps.accounts.services.sessions import BY_PASSWORD, open_session
from apps.accounts.services.signup import confirm_sign_up
from apps.accounts.stepup import is_confirmed, step_up_required
from apps.accounts.views.forms import form_page
from apps.web.visitor import client_address


@never_cache
@require_GET
def check_mail(request: HttpRequest) -> HttpResponse:
    """After a sign-up and after a forgotten password: the same words, whatever came of it (threat-T4)."""
    return render(request, "accounts/check_mail.html", {"mailbox": settings.DEV_MAILBOX})


@sensitive_post_parameters("password")
@never_cache
@csrf_protect
@require_http_methods(["GET", "POST"])
def confirm_sign_up_page(request: HttpRequest, token: str) -> HttpResponse:
    """With the password of the sign-up the account exists and is logged in."""
    form = ProvePasswordForm(request.POST or None)
    try:
        link = find_link(purpose=Purpose.SIGN_UP, token=token)
        if request.method == "POST" and form.is_valid():
            password = form.cleaned_data["password"]
            user = confirm_sign_up(token=token, password=password, client=client_address(request))
            if user is not None:
                open_session(request=request, user=user, proofs=BY_PASSWORD)
                messages.success(request, "Your address is confirmed. Welcome.")
                return redirect("accounts:overview")
            form.add_error("password", "That is not the password you chose when you signed up.")
    except LinkDead as error:
        return dead_link(request, error)
    except AddressTaken as error:
        messages.info(request, error.message)
        return redirect("accounts:log-in")
    except TooManyAttempts as error:
        form.add_error(None, Throttled(error))
    return form_page(request, "accounts/confirm_sign_up.html", {"form": form, "address": link.address}, form)


@never_cache
@csrf_protect
@require_http_methods(["GET", "POST"])
def forgot_password_page(request: HttpRequest) -> HttpResponse:
    form = AddressForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            request_reset(email=form.cleaned_data["email"], client=client_address(request))
        except TooManyAttempts as error:
            form.add_error(None, Throttled(error))
        else:
            return redirect("accounts:check-mail")
    return form_page(request, "accounts/forgot_password.html", {"form": form}, form)


@sensitive_post_parameters("new")
@never_cache
@csrf_protect
@require_http_methods(["GET", "POST"])
def reset_password_page(request: HttpRequest, token: str) -> HttpResponse:
    try:
        user = owner_of_reset(token=token)
        form = NewPasswordForm(request.POST or None, user=user)
        if request.method == "POST" and form.is_valid():
            reset_password(token=token, new_password=form.cleaned_data["new"])
            know_browser(request=request, user=user)
            messages.success(request, "Your password is changed, and all sessions are logged out. Log in with it.")
            return redirect("accounts:log-in")
    except LinkDead as error:
        return dead_link(request, error)
    return form_page(request, "accounts/reset_password.html", {"form": form}, form)


@sensitive_post_parameters("password")
@require_http_methods(["GET", "POST"])
@csrf_protect
@step_up_required(Action.CHANGE_EMAIL, press="Send the link", keep=("email",), password_in_form=True)
@never_cache
def email_page(request: HttpRequest) -> HttpResponse:
    user = cast(User, request.user)
    form = EmailForm(
        request.POST or None,
        user=user,
        address=client_address(request),
        is_confirmed=is_confirmed(request),
        initial=typed_before(request),
    )
    if request.method == "POST" and form.is_valid():
        try:
            request_email_change(user=user, new_address=form.cleaned_data["email"], client=client_address(request))
        except TooManyAttempts as error:
            form.add_error(None, Throttled(error))
        else:
            messages.info(request, "Follow the link that we sent to the new address. Until then nothing changes.")
            return redirect("accounts:overview")
    return form_page(request, "accounts/email.html", {"form": form}, form)


@sensitive_post_parameters("password")
@require_http_methods(["GET", "POST"])
@csrf_protect
@step_up_required(Action.CHANGE_EMAIL, press="Save", keep=("phrase",), password_in_form=True)
@never_cache
def mail_phrase_page(request: HttpRequest) -> HttpResponse:
    user = cast(User, request.user)
    form = MailPhraseForm(
        request.POST or None,
        user=user,
        address=client_address(request),
        is_confirmed=is_confirmed(request),
        initial={"phrase": user.mail_phrase} | typed_before(request),
    )
    if request.method == "POST" and form.is_valid():
        with still_in(request):
            change_phrase(user_id=user.pk, phrase=form.cleaned_data["phrase"])
        messages.success(request, "Saved. Every e-mail that we send to you from now on has it.")
        return redirect("accounts:overview")
    return form_page(request, "accounts/mail_phrase.html", {"form": form}, form)


@login_required
@never_cache
@csrf_protect
@require_http_methods(["GET", "POST"])
def confirm_email_page(request: HttpRequest, token: str) -> HttpResponse:
    user = cast(User, request.user)
    try:
        link = find_link(purpose=Purpose.CHANGE, token=token, user_id=user.pk)
        if request.method == "POST":
            address = confirm_email_change(token=token, user=user, session_key=request.session.session_key)
            messages.success(request, f"Your address is {address} from now on.")
            return redirect("accounts:overview")
    except LinkDead as error:
        return dead_link(request, error)
    except AddressTaken as error:
        messages.error(request, error.message)
        return redirect("accounts:overview")
    return render(request, "accounts/confirm_email.html", {"address": link.address})


def dead_link(request: HttpRequest, error: LinkDead) -> HttpResponse:
    return render(request, "accounts/dead_link.html", {"why": error.message}, status=410)
