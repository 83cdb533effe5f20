"""The page of the file of own data, and the file (requirement A8)."""

from datetime import UTC, datetime

from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.http import require_http_methods

from apps.accounts.errors import TooManyFiles
from apps.accounts.owndata import part_names
from apps.accounts.rules import Action
from apps.accounts.services.ownfile import export_own_data
from apps.accounts.stepup import step_up_required
from apps.accounts.streaming import streamed
from apps.web.waiting import tell_wait


@require_http_methods(["GET", "POST"])
@csrf_protect
@step_up_required(Action.EXPORT_DATA, press="Save the file")
@never_cache
def own_data_page(request: HttpRequest) -> HttpResponseBase:
    """What will be in it; and with POST, the file. 429 for too many."""
    names = [name.replace("_", " ").replace("api", "API") for name in part_names()]
    context = {"parts": names, "refusal": ""}
    if request.method == "POST":
        try:
            parts = export_own_data(request=request)
        except TooManyFiles as error:
            page = render(request, "accounts/own_data.html", {**context, "refusal": error.message}, status=429)
            tell_wait(page, error.retry_after_s)
            return page
        else:
            return streamed(
                parts,
                content_type="application/json; charset=utf-8",
                filename=f"nebannpet-own-data-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.json",
            )
    return render(request, "accounts/own_data.html", context)
