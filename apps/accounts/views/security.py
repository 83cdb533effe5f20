"""The security centre (requirement A8)."""

from typing import cast

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from apps.accounts.models import User
from apps.accounts.securityselectors import security_of, visits_of
from apps.accounts.selectors import held_until


@login_required
@never_cache
@require_GET
def security_page(request: HttpRequest) -> HttpResponse:
    user, now = cast(User, request.user), timezone.now()
    context = {
        "security": security_of(user=user, now=now),
        "visits": visits_of(user=user, session_key=request.session.session_key, now=now),
        "held_until": held_until(user=user),
    }
    return render(request, "accounts/security.html", context)
