"""What the pages of the in-app centre send."""

from django import forms
from django.core.exceptions import ValidationError
from django.http import QueryDict

from apps.notifications.models import Topic
from apps.notifications.rules import OPTIONAL, Ways
from apps.web.cursors import ID_MAX


class ReadAllForm(forms.Form):
    newest = forms.IntegerField(min_value=1, max_value=ID_MAX)


class PreferencesForm(forms.Form):
    """`topics` are those of the page; `in_app` and `email` are the boxes that are ticked, each with its topic."""

    topics = forms.MultipleChoiceField(choices=Topic, initial=OPTIONAL)
    in_app = forms.MultipleChoiceField(choices=Topic, required=False)
    email = forms.MultipleChoiceField(choices=Topic, required=False)

    def __init__(self, data: QueryDict | None) -> None:
        super().__init__(data)

    def clean(self) -> None:
        super().clean()
        if not {*self.cleaned_data.get("in_app", ()), *self.cleaned_data.get("email", ())} <= {
            *self.cleaned_data.get("topics", ())
        }:
            raise ValidationError("A box was ticked for a topic that the form does not have.")

    def chosen(self) -> dict[Topic, Ways]:
        ticked = self.cleaned_data
        return {Topic(name): Ways(name in ticked["in_app"], name in ticked["email"]) for name in ticked["topics"]}
