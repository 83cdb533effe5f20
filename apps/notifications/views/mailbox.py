"""The development mailbox: every e-mail, for everyone who can reach the site. In production there is no such page."""

from csp.decorators import csp_update
from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from apps.notifications.content import Content, unseal
from apps.notifications.models import OutgoingEmail
from apps.notifications.policy import MAILBOX_ROWS_SHOWN


@never_cache
@require_GET
def mailbox(request: HttpRequest) -> HttpResponse:
    """The newest first; those that still wait are marked."""
    _only_in_development()
    emails = OutgoingEmail.objects.defer("content").order_by("-pk")[:MAILBOX_ROWS_SHOWN]
    context = {"emails": emails, "rows_max": MAILBOX_ROWS_SHOWN, "delivers": settings.EMAIL_SERVER is not None}
    return render(request, "notifications/mailbox/list.html", context)


@never_cache
@require_GET
def message(request: HttpRequest, email_id: int) -> HttpResponse:
    email, content = _opened(email_id)
    context = {"email": email, "text": content.text, "sender": settings.DEFAULT_FROM_EMAIL}
    return render(request, "notifications/mailbox/message.html", context)


@csp_update({"sandbox": True})  # type: ignore[arg-type]
@never_cache
@require_GET
def message_html(request: HttpRequest, email_id: int) -> HttpResponse:
    """The message as a mail program would show it, on a page of its own: no script, no form, no cookie of the site."""
    return HttpResponse(_opened(email_id)[1].html)


def _only_in_development() -> None:
    if not settings.DEV_MAILBOX:
        raise Http404


def _opened(email_id: int) -> tuple[OutgoingEmail, Content]:
    _only_in_development()
    email = OutgoingEmail.objects.filter(pk=email_id, content__isnull=False).first()
    if email is None:
        raise Http404
    assert email.content is not None
    return email, unseal(email.content, message_id=email.message_id)
