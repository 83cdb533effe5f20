"""The HTTP status of a page with a form."""

from django.forms import BaseForm

from apps.accounts.forms import THROTTLED


def form_status(form: BaseForm) -> int:
    """200 without errors, 429 when the throttle refused, else 422."""
    if not form.errors:
        return 200
    codes = {error.code for errors in form.errors.as_data().values() for error in errors}
    return 429 if THROTTLED in codes else 422
