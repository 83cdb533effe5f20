"""The staff form of a banner."""

from typing import Any

from django import forms
from django.contrib.admin.widgets import AdminSplitDateTime
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError

from apps.notifications.models import Audience, Banner
from apps.notifications.policy import BANNER_RECIPIENTS_MAX, REASON_LENGTH_MAX
from apps.notifications.services import show_banner
from apps.outbox.forms import AskingForm

# As many as may be chosen, each with the longest address.
USERS_TEXT_MAX = BANNER_RECIPIENTS_MAX * 255


class BannerForm(AskingForm, forms.ModelForm):  # type: ignore[type-arg]
    text = forms.CharField(widget=forms.Textarea(attrs={"rows": 2, "cols": 80}))
    users = forms.CharField(
        required=False,
        max_length=USERS_TEXT_MAX,
        widget=forms.Textarea(attrs={"rows": 4, "cols": 50}),
        help_text="The chosen users, by number or e-mail address, one a line.",
    )
    starts_at = forms.SplitDateTimeField(label="From (UTC)", widget=AdminSplitDateTime)
    ends_at = forms.SplitDateTimeField(label="Until (UTC)", widget=AdminSplitDateTime)
    reason = forms.CharField(max_length=REASON_LENGTH_MAX, help_text="Why. Kept with the banner, with your name.")

    class Meta:
        model = Banner
        fields = (
            "severity", "text", "link", "link_text", "audience", "users", "is_dismissible", "starts_at", "ends_at",
            "reason",
        )  # fmt: skip

    def clean_users(self) -> list[int]:
        """Their numbers. Those that nobody has, and addresses that nobody has, are named."""
        lines = {line.strip().lower() for line in self.cleaned_data["users"].splitlines() if line.strip()}
        numbers = {line for line in lines if line.isascii() and line.isdigit() and len(line) < 19}
        addresses = {line for line in lines - numbers if "@" in line}
        if bad := sorted(lines - numbers - addresses):
            raise ValidationError(f"Neither a user's number nor an e-mail address: {', '.join(bad[:10])}")
        users = get_user_model()._default_manager
        found = dict(users.filter(email__in=addresses).values_list("email", "pk"))
        if unknown := sorted(addresses - found.keys()):
            raise ValidationError(f"Nobody has the address {', '.join(unknown[:10])}")
        return [*found.values(), *map(int, numbers)]

    def request(self, requested_by: str) -> Banner:
        said: dict[str, Any] = {name: value for name, value in self.cleaned_data.items() if name != "users"}
        said["audience"] = Audience(said["audience"])
        return show_banner(**said, user_ids=self.cleaned_data["users"], made_by=requested_by)
