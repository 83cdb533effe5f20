"""The staff form that starts a switch."""

from typing import Any

from django import forms

from apps.audit.actors import named
from apps.controls.kinds import CLOSING, Kind, Scope
from apps.controls.models import Switch
from apps.controls.services import set_switch
from apps.outbox.forms import AskingForm
from apps.outbox.policy import REASON_LENGTH_MAX


class StartForm(AskingForm, forms.ModelForm):  # type: ignore[type-arg]
    """Also for one that is on: with a later end or another reason; of a flag, an earlier end, too."""

    subject = forms.CharField(
        required=False,
        max_length=254,
        help_text="Code of an asset, name of a class, number or e-mail of a user. Empty for the whole platform.",
        widget=forms.TextInput(attrs={"class": "vTextField"}),
    )
    until = forms.DateTimeField(
        label="Ends by itself at",
        required=False,
        widget=forms.TextInput(attrs={"class": "vTextField", "placeholder": "YYYY-MM-DD HH:MM"}),
        help_text="UTC. Empty: staff end it. What an emergency suspends never ends by itself.",
    )
    emergency = forms.BooleanField(
        required=False, help_text="It ends by no timer: one of staff asks for its end, and another approves it."
    )
    reason = forms.CharField(
        max_length=REASON_LENGTH_MAX,
        help_text="Why. Kept with the switch and in the audit log, with your name; users never see it.",
        widget=forms.TextInput(attrs={"class": "vTextField"}),
    )

    class Meta:
        model = Switch
        fields = ("kind", "scope", "subject", "until", "reason")

    def _post_clean(self) -> None:
        """Nothing is checked of the form's own instance, which is never saved: a row of this switch may be there."""

    def request(self, requested_by: str) -> Switch:
        values: dict[str, Any] = self.cleaned_data
        return set_switch(
            kind=Kind(values["kind"]),
            scope=Scope(values["scope"]),
            subject=values["subject"],
            on=True,
            until=values["until"],
            actor=named(requested_by),
            reason=values["reason"],
            may_shorten=Kind(values["kind"]) not in CLOSING,
            emergency=values["emergency"],
        )
