"""The page behind 'lock my account' in e-mail. It needs no log-in: the thief may have changed the password."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.http import require_http_methods

from apps.accounts.errors import LinkDead
from apps.accounts.services.locking import lock_account
from apps.accounts.services.locklinks import find_lock_link
from apps.accounts.services.sessions import close_session
from apps.accounts.views.links import dead_link


@never_cache
@csrf_protect
@require_http_methods(["GET", "POST"])
def lock_page(request: HttpRequest, token: str) -> HttpResponse:
    """GET changes nothing, since programs that look after mail open links, too."""
    try:
        user = find_lock_link(token).user
        if request.method == "GET":
            return render(request, "accounts/lock.html", {"address": user.email})
        lock_account(token=token)
    except LinkDead as error:
        return dead_link(request, error)
    user.refresh_from_db()
    if request.user.pk == user.pk:
        close_session(request=request)
    context = {"needs_staff": user.lock_needs_staff, "support": settings.SUPPORT_EMAIL}
    return render(request, "accounts/locked.html", context)
