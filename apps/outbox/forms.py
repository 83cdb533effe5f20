"""Staff forms that ask a service: what it would refuse is said beside the fields, before anything is asked."""

from collections.abc import Callable
from typing import Any, Final

from django import forms
from django.db import transaction

from apps.common.errors import DomainError

FORM_CHECK: Final = "form check, rolled back"


class AskingForm(forms.BaseForm):
    """Checks itself by a request that is rolled back. Stands before Form or ModelForm among a form's bases."""

    def request(self, requested_by: str) -> Any:
        """Ask the service for what the checked fields say. DomainError where it refuses."""
        raise NotImplementedError

    def clean(self) -> dict[str, Any]:
        self.cleaned_data = super().clean() or self.cleaned_data
        if not self.errors:
            refusal = refusal_of(lambda: self.request(FORM_CHECK))
            if refusal:
                self.add_error(None, refusal)
        return self.cleaned_data


def refusal_of(call: Callable[[], object]) -> str | None:
    """Why the service would refuse, None where it would not. Nothing it does stays."""
    try:
        with transaction.atomic():
            call()
            transaction.set_rollback(True)
    except DomainError as error:
        return error.message
    return None
