"""The in-app centre: a user's notices, and what they want to be told."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import BadRequest
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from apps.notifications.errors import NoticeNotFound, TopicNotOptional
from apps.notifications.forms import PreferencesForm, ReadAllForm
from apps.notifications.models import Topic
from apps.notifications.rules import EVERY_WAY, MANDATORY
from apps.notifications.selectors import notices_of, preferences_of
from apps.notifications.services import mark_all_read, mark_read, set_preferences
from apps.notifications.sessions import still_in
from apps.web.cursors import ID_MAX, read_cursor


@login_required
@never_cache
@require_GET
def notices_page(request: HttpRequest) -> HttpResponse:
    before = read_cursor(request.GET.get("before", ""))
    page = notices_of(user_id=_user_id(request), before=before)
    return render(request, "notifications/centre/notices.html", {"page": page, "before": before})


@login_required
@never_cache
@csrf_protect
@require_POST
def read_one(request: HttpRequest, notice_id: int) -> HttpResponse:
    before = read_cursor(request.POST.get("before", ""))
    if notice_id > ID_MAX:
        raise Http404
    try:
        mark_read(user_id=_user_id(request), notice_id=notice_id)
    except NoticeNotFound as error:
        raise Http404(error.message) from error
    # Back to the same page of the list.
    query = f"?before={before}" if before is not None else ""
    return redirect(reverse("notifications:notices") + query)


@login_required
@never_cache
@csrf_protect
@require_POST
def read_all(request: HttpRequest) -> HttpResponse:
    form = ReadAllForm(request.POST)
    if not form.is_valid():
        raise BadRequest("`newest` is the number of the newest notice that was shown.")
    mark_all_read(user_id=_user_id(request), newest_id=form.cleaned_data["newest"])
    return redirect("notifications:notices")


@login_required
@never_cache
@csrf_protect
@require_http_methods(["GET", "POST"])
def preferences_page(request: HttpRequest) -> HttpResponse:
    form = PreferencesForm(request.POST if request.method == "POST" else None)
    status = 200
    if form.is_bound:
        status = 422
        if form.is_valid():
            try:
                with still_in(request):
                    set_preferences(user_id=_user_id(request), chosen=form.chosen())
            except TopicNotOptional as error:
                form.add_error(None, error.message)
            else:
                messages.success(request, "Your choice is kept.")
                return redirect("notifications:preferences")
    held = dict.fromkeys(MANDATORY, EVERY_WAY) | preferences_of(user_id=_user_id(request))
    rows = [(topic, held[topic], topic in MANDATORY) for topic in Topic]
    context = {"form": form, "rows": rows}
    return render(request, "notifications/centre/preferences.html", context, status=status)


def _user_id(request: HttpRequest) -> int:
    assert request.user.pk is not None, "login_required stands before"
    return request.user.pk
