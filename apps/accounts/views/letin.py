"""Pages of the link that lets a new browser in while strangers guess passwords."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.http import require_http_methods

from apps.accounts.errors import LinkDead, TooManyAttempts
from apps.accounts.forms import Throttled
from apps.accounts.linkforms import AddressForm
from apps.accounts.services.letin import let_in, owner_of_let_in, request_let_in
from apps.accounts.views.forms import form_page
from apps.accounts.views.links import dead_link
from apps.accounts.visitor import client_browser
from apps.web.visitor import client_address


@never_cache
@csrf_protect
@require_http_methods(["GET", "POST"])
def ask_page(request: HttpRequest) -> HttpResponse:
    form = AddressForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            request_let_in(email=form.cleaned_data["email"], client=client_address(request))
        except TooManyAttempts as error:
            form.add_error(None, Throttled(error))
        else:
            return redirect("accounts:check-mail")
    return form_page(request, "accounts/let_me_in.html", {"form": form}, form)


@never_cache
@csrf_protect
@require_http_methods(["GET", "POST"])
def link_page(request: HttpRequest, token: str) -> HttpResponse:
    try:
        user = owner_of_let_in(token=token)
        if request.method == "POST":
            let_in(token=token, request=request)
            messages.success(request, "This browser is known now. Log in with your password.")
            return redirect("accounts:log-in")
    except LinkDead as error:
        return dead_link(request, error)
    return render(request, "accounts/let_me_in_link.html", {"address": user.email, "browser": client_browser(request)})
