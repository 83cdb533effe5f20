"""The staff admin, without a log-in of its own: the site's, and a proof of the last 15 minutes (requirement A3)."""

from collections.abc import Callable
from functools import wraps
from typing import Any, Final, cast
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.admin import AdminSite
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import redirect, resolve_url
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.http import require_GET

from apps.accounts.begun import keep_form, take_form
from apps.accounts.models import User
from apps.accounts.nextpage import next_page
from apps.accounts.rules import Action, Decision, Verdict
from apps.accounts.services.ending import is_as_read
from apps.accounts.services.sessions import close_session
from apps.accounts.stepup import answer_to, ask_for, decision_on
from apps.audit.actors import while_there
from apps.web.errors import SessionEnded

_SEND: Final = "Send it now"


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

        guarded = super().admin_view(watched, cacheable)

        @csrf_protect
        @wraps(guarded)
        def asked(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            if request.method == "POST" and request.user.is_authenticated:
                decision = decision_on(request, Action.STAFF_PAGES)
                if decision.verdict is Verdict.NEEDS_STEP_UP:
                    return self._keep_and_ask(request, decision)
            return guarded(request, *args, **kwargs)

        return asked

    def _keep_and_ask(self, request: HttpRequest, decision: Decision) -> HttpResponse:
        """A form that was sent after the proof had ended waits at begun_view."""
        page = reverse(f"{self.name}:begun")
        kept = keep_form(request, page=page, press=_SEND)
        return ask_for(decision, request, page if kept else request.get_full_path())

    def begun_view(self, request: HttpRequest) -> HttpResponse:
        """What was sent before the proof, to be looked at and sent with a button; nothing is by itself."""
        sent = take_form(request)
        if sent is None:
            messages.info(request, "Nothing waits to be sent. Begin again on its page.")
            return redirect(f"{self.name}:index")
        context = self.each_context(request) | {"title": "Look at it once more", "sent": sent, "press": _SEND}
        return TemplateResponse(request, "admin/begun.html", context)

    def _check_still_in(self, request: HttpRequest) -> None:
        """In the transaction of what the page does, which may have waited. Raises SessionEnded."""
        user = cast(User, request.user)
        if not (is_as_read(user.pk, user.password) and request.session.exists(str(request.session.session_key))):
            raise SessionEnded("You were logged out meanwhile, and nothing was changed. Log in again.")

    def get_urls(self) -> list[Any]:
        # Also for whose proof is too old: Django's own asks for the permission first.
        return [
            path("logout/", self.logout, name="logout"),
            path("begun/", self.admin_view(require_GET(self.begun_view)), name="begun"),
            *super().get_urls(),
        ]

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
