"""The answer of a page with a form, with the status that says what became of it."""

from collections.abc import Mapping
from typing import Any

from django.forms import BaseForm
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from apps.accounts.forms import Throttled
from apps.web.waiting import tell_wait


def form_page(request: HttpRequest, template: str, context: Mapping[str, Any], form: BaseForm) -> HttpResponse:
    """The page on which `form` stands, as with_status answers it."""
    return with_status(render(request, template, context), form)


def with_status(page: HttpResponse, form: BaseForm) -> HttpResponse:
    """`page`: 200 without errors of `form`; 429 where a limit refused, with the time to wait; else 422."""
    if form.errors:
        errors = [error for errors in form.errors.as_data().values() for error in errors]
        refusals = [error for error in errors if isinstance(error, Throttled)]
        page.status_code = 429 if refusals else 422
        for refusal in refusals:
            tell_wait(page, refusal.retry_after_s)
    return page
