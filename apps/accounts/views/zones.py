"""The page on which a user chooses the zone of times."""

from typing import cast

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.http import require_http_methods

from apps.accounts.models import User
from apps.accounts.nextpage import next_page
from apps.accounts.services.display import choose_zone
from apps.accounts.views.forms import form_page
from apps.accounts.zones import zone_names


class ZoneForm(forms.Form):
    zone = forms.ChoiceField(label="Time zone", help_text="Files and the API always have UTC.")

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.fields["zone"].choices = [(name, name.replace("_", " ")) for name in zone_names()]  # type: ignore[attr-defined]


@login_required
@never_cache
@csrf_protect
@require_http_methods(["GET", "POST"])
def time_zone_page(request: HttpRequest) -> HttpResponse:
    user = cast(User, request.user)
    form = ZoneForm(request.POST or None, initial={"zone": user.time_zone})
    back_to = next_page(request, "")
    if request.method == "POST" and form.is_valid():
        choose_zone(user_id=user.pk, name=form.cleaned_data["zone"])
        messages.success(request, f"Times are shown in {form.cleaned_data['zone']} from now on.")
        return redirect(back_to or "accounts:overview")
    return form_page(request, "accounts/time_zone.html", {"form": form, "next": back_to}, form)
