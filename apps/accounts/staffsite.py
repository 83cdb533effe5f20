"""The staff admin, without a log-in of its own: the site's, and a proof of the last 15 minutes (requirement A3)."""

from collections.abc import Callable
from functools import wraps
from typing import Any, cast
from urllib.parse import urlencode

from django.contrib.admin import AdminSite
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import redirect, resolve_url
from django.urls import path

from apps.accounts.models import User
from apps.accounts.nextpage import next_page
from apps.accounts.rules import Action
from apps.accounts.services.ending import is_as_read
from apps.accounts.services.sessions import close_session
from apps.accounts.stepup import answer_to, decision_on
from apps.audit.actors import while_there
from apps.web.errors import SessionEnded


class StaffSite(AdminSite):
    """Whoever may not open a page of it is led to what is missing: the log-in, the second factor, or its code."""

    def has_permission(self, request: HttpRequest) -> bool:
        return request.user.is_authenticated and decision_on(request, Action.STAFF_PAGES).is_allowed

    def admin_view(self, view: Callable[..., Any], cacheable: bool = False) -> Any:
        """Whatever a page changes leaves an audit entry, which asks once more whether the session still lives."""

        @wraps(view)
        def watched(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            with while_there(lambda: self._check_still_in(request)):
                return view(request, *args, **kwargs)

        return super().admin_view(watched, cacheable)

    def _check_still_in(self, request: HttpRequest) -> None:
        """In the transaction of what the page does, which may have waited. Raises SessionEnded."""
        user = cast(User, request.user)
        if not (is_as_read(user.pk, user.password) and request.session.exists(str(request.session.session_key))):
            raise SessionEnded("You were logged out meanwhile, and nothing was changed. Log in again.")

    def get_urls(self) -> list[Any]:
        # Also for whose proof is too old: Django's own asks for the permission first.
        return [path("logout/", self.logout, name="logout"), *super().get_urls()]

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Where Django's admin sends whoever has no permission. 403 for who is not staff."""
        target = next_page(request, resolve_url(f"{self.name}:index"))
        if not request.user.is_authenticated:
            return redirect(f"{resolve_url('accounts:log-in')}?{urlencode({'next': target})}")
        decision = decision_on(request, Action.STAFF_PAGES)
        if decision.is_allowed:
            return redirect(target)
        return answer_to(request, decision, target)

    def logout(  # type: ignore[override]
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        close_session(request=request)
        return redirect("accounts:landing")

    def password_change(  # type: ignore[override]
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """One's own: on the page of the site, which asks for what it must, and tells of it."""
        return redirect("accounts:password")
