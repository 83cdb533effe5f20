"""Closing a banner, in this browser."""

from django.conf import settings
from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.http import require_POST

from apps.notifications.centre import is_own_path
from apps.notifications.policy import DISMISSED_KEPT_S, DISMISSED_MAX
from apps.notifications.shownbanners import COOKIE, banners_for, dismissed


@csrf_protect
@require_POST
def dismiss(request: HttpRequest, banner_id: int) -> HttpResponse:
    """Keeps it in a cookie, which the page's script reads and writes as well, and goes back to where it was closed."""
    shown = {each.id: each for each in banners_for(user_id=request.user.pk, now=timezone.now())}
    if banner_id in shown and not shown[banner_id].is_dismissible:
        raise BadRequest("This banner stays until its end.")
    back = request.POST.get("next", "")
    response = redirect(back if is_own_path(back) else "/")
    if banner_id in shown:
        closed = [*(each for each in dismissed(request.COOKIES) if each != banner_id), banner_id][-DISMISSED_MAX:]
        response.set_cookie(
            COOKIE,
            ".".join(map(str, closed)),
            max_age=DISMISSED_KEPT_S,
            secure=settings.SESSION_COOKIE_SECURE,
            httponly=False,
            samesite="Lax",
        )
    return response
