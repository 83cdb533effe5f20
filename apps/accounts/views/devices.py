"""Where one is logged in, from which browsers, and who tried to (requirement A7)."""

from typing import cast

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.http import require_GET, require_POST

from apps.accounts.devicecookie import token_hashes
from apps.accounts.errors import DeviceNotFound, SessionNotFound
from apps.accounts.models import User
from apps.accounts.policy import LOG_INS_KEPT_S
from apps.accounts.services.devices import forget_device
from apps.accounts.services.ending import end_other_sessions, end_session
from apps.accounts.visitselectors import devices_of, log_ins_of, open_sessions_of
from apps.web.cursors import read_cursor


@login_required
@never_cache
@require_GET
def devices_page(request: HttpRequest) -> HttpResponse:
    user, here = cast(User, request.user), set(token_hashes(request))
    sessions = open_sessions_of(user=user, session_key=request.session.session_key, now=timezone.now())
    devices = [(device, bytes(device.token_hash) in here) for device in devices_of(user_id=user.pk)]
    context = {"sessions": sessions, "others": any(not each.is_this for each in sessions), "devices": devices}
    return render(request, "accounts/devices.html", context)


@login_required
@never_cache
@csrf_protect
@require_POST
def end_action(request: HttpRequest, session_id: int) -> HttpResponse:
    try:
        end_session(user_id=cast(User, request.user).pk, session_id=session_id)
    except SessionNotFound as error:
        messages.error(request, error.message)
        return render(request, "404.html", status=404)
    messages.success(request, "Logged out there. What was open for trading closes within five seconds.")
    return redirect("accounts:devices")


@login_required
@never_cache
@csrf_protect
@require_POST
def end_others_action(request: HttpRequest) -> HttpResponse:
    ended = end_other_sessions(user_id=cast(User, request.user).pk, session_key=request.session.session_key)
    messages.success(request, f"Logged out elsewhere: {ended}. What was open for trading closes within five seconds.")
    return redirect("accounts:devices")


@login_required
@never_cache
@csrf_protect
@require_POST
def forget_action(request: HttpRequest, device_id: int) -> HttpResponse:
    try:
        forget_device(user_id=cast(User, request.user).pk, device_id=device_id)
    except DeviceNotFound as error:
        messages.error(request, error.message)
        return render(request, "404.html", status=404)
    messages.success(request, "Forgotten. We tell you by e-mail if somebody logs in there again.")
    return redirect("accounts:devices")


@login_required
@never_cache
@require_GET
def log_ins_page(request: HttpRequest) -> HttpResponse:
    page = log_ins_of(user_id=cast(User, request.user).pk, before=read_cursor(request.GET.get("before")))
    return render(request, "accounts/log_ins.html", {"page": page, "kept_days": LOG_INS_KEPT_S // 86_400})
