"""The staff admin, without a log-in of its own: the site's, and a proof of the last 15 minutes (requirement A3)."""

from typing import Any
from urllib.parse import urlencode

from django.contrib.admin import AdminSite
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import redirect, resolve_url
from django.urls import path

from apps.accounts.nextpage import next_page
from apps.accounts.rules import Action
from apps.accounts.services.sessions import close_session
from apps.accounts.stepup import answer_to, decision_on


class StaffSite(AdminSite):
    """Whoever may not open a page of it is led to what is missing: the log-in, the second factor, or its code."""

    def has_permission(self, request: HttpRequest) -> bool:
        return request.user.is_authenticated and decision_on(request, Action.STAFF_PAGES).is_allowed

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
