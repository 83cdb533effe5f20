"""What a user was doing when asked to confirm to be there: it waits in the session until its page is open again.

Nothing is sent by itself then: the form has what was typed, and its button does it. Secrets are never kept. A form of
the staff admin, which has none, is kept whole, and shown on a page of its own (staffsite.py).
"""

import time
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from django.http import HttpRequest

from apps.accounts.policy import STEP_UP_S, TYPED_FORM_LENGTH_MAX, TYPED_LENGTH_MAX

_KEY: Final = "begun"


class SentForm(NamedTuple):
    """`path` it was sent to, with its query; `fields` as (name, text), in the order of the form."""

    path: str
    fields: list[tuple[str, str]]


def keep_begun(request: HttpRequest, *, page: str, press: str, fields: Iterable[str]) -> None:
    """`page`: the path that has the form or the button; `press`: what the button says; `fields`: those to keep, none
    of which is a secret. A text longer than TYPED_LENGTH_MAX, which no form takes, is not kept.
    """
    typed = {name: request.POST.get(name, "") for name in fields}
    kept = {name: text if len(text) <= TYPED_LENGTH_MAX else "" for name, text in typed.items()}
    _keep(request, page=page, press=press, typed=kept)


def keep_form(request: HttpRequest, *, page: str, press: str) -> bool:
    """All that was sent, for take_form on `page`. False, and nothing is kept, if that is too long for a session."""
    fields = [
        (name, text) for name, texts in request.POST.lists() if name != "csrfmiddlewaretoken" for text in texts
    ]  # fmt: skip
    if sum(len(name) + len(text) for name, text in fields) > TYPED_FORM_LENGTH_MAX:
        return False
    _keep(request, page=page, press=press, typed={}, path=request.get_full_path(), fields=fields)
    return True


def take_form(request: HttpRequest) -> SentForm | None:
    """What keep_form kept for this page; once."""
    begun = _begun_at(request, request.path)
    if begun is None:
        return None
    del request.session[_KEY]
    return SentForm(begun["path"], [(name, text) for name, text in begun["fields"]])


def what_to_press(request: HttpRequest, page: str) -> str:
    """A sentence for `page`, which comes next; empty where nothing was begun there."""
    begun = _begun_at(request, page)
    if begun is None:
        return ""
    kept = ", and what you typed is here again" if any(begun["typed"].values()) else ""
    return f"Nothing was done yet{kept}: press “{begun['press']}”."


def typed_before(request: HttpRequest) -> dict[str, str]:
    """What was typed into the form of this page, by field, for a GET that shows it; once."""
    begun = _begun_at(request, request.path)
    if begun is None or request.method != "GET":
        return {}
    del request.session[_KEY]
    typed: dict[str, str] = begun["typed"]
    return typed


def _keep(request: HttpRequest, **begun: object) -> None:
    request.session[_KEY] = begun | {"at_s": int(time.time())}


def _begun_at(request: HttpRequest, page: str) -> dict[str, Any] | None:
    begun: dict[str, Any] | None = request.session.get(_KEY)
    if begun is None or begun["page"] != page or time.time() - begun["at_s"] > STEP_UP_S:
        return None
    return begun
