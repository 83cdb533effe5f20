"""What a user was doing when asked to confirm to be there: it waits in the session until its page is open again.

Nothing is sent by itself then: the form has what was typed, and its button does it. Secrets are never kept.
"""

import time
from collections.abc import Iterable
from typing import Any, Final

from django.http import HttpRequest

from apps.accounts.policy import STEP_UP_S, TYPED_LENGTH_MAX

_KEY: Final = "begun"


def keep_begun(request: HttpRequest, *, page: str, press: str, fields: Iterable[str]) -> None:
    """`page`: the path that has the form or the button; `press`: what the button says; `fields`: those to keep, none
    of which is a secret. A text longer than TYPED_LENGTH_MAX, which no form takes, is not kept.
    """
    typed = {name: request.POST.get(name, "") for name in fields}
    request.session[_KEY] = {
        "page": page,
        "press": press,
        "typed": {name: text if len(text) <= TYPED_LENGTH_MAX else "" for name, text in typed.items()},
        "at_s": int(time.time()),
    }


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


def _begun_at(request: HttpRequest, page: str) -> dict[str, Any] | None:
    begun: dict[str, Any] | None = request.session.get(_KEY)
    if begun is None or begun["page"] != page or time.time() - begun["at_s"] > STEP_UP_S:
        return None
    return begun
