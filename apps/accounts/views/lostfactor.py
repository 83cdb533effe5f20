"""Asking staff to remove a lost second factor, and stopping that (requirement A2)."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.http import require_http_methods

from apps.accounts.errors import FactorMissing, LinkDead
from apps.accounts.factorforms import LostFactorForm
from apps.accounts.secondstep import end_second_step
from apps.accounts.services.lostfactor import find_case, open_case, stop_by_link
from apps.accounts.views.forms import form_page
from apps.accounts.views.links import dead_link
from apps.accounts.views.secondstep import password_first, pending_of_link
from apps.controls.errors import AlreadyAsked
from apps.outbox.errors import ReasonMissing


@never_cache
@csrf_protect
@require_http_methods(["GET", "POST"])
def lost_factor_page(request: HttpRequest, token: str) -> HttpResponse:
    """Behind the mailed link; only in a browser that has proved the password of the same user."""
    form = LostFactorForm(request.POST or None)
    try:
        pending = pending_of_link(request, token)
        if pending is None:
            return password_first(request)
        if request.method == "POST" and form.is_valid():
            asked = open_case(user=pending.user, token=token, reason=form.cleaned_data["reason"])
            end_second_step(request)
            return render(request, "accounts/lost_factor_asked.html", {"earliest": asked.ready_at})
    except LinkDead as error:
        return dead_link(request, error)
    except FactorMissing:
        # It was removed meanwhile, elsewhere: begin again.
        end_second_step(request)
        return redirect("accounts:log-in")
    except (AlreadyAsked, ReasonMissing) as error:
        form.add_error(None if isinstance(error, AlreadyAsked) else "reason", error.message)
    context = {"form": form, "token": token}
    return form_page(request, "accounts/lost_factor.html", context, form)


@never_cache
@csrf_protect
@require_http_methods(["GET", "POST"])
def stop_page(request: HttpRequest, token: str) -> HttpResponse:
    """It needs no log-in. GET changes nothing, since programs that look after mail open links, too."""
    try:
        if request.method == "GET":
            return render(request, "accounts/stop_lost_factor.html", {"address": find_case(token).user.email})
        stop_by_link(token=token)
    except LinkDead as error:
        return dead_link(request, error)
    return render(request, "accounts/lost_factor_stopped.html")
