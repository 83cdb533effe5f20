"""What pages that use passkeys share: the session that a question is bound to, and the only address they work at."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest, JsonResponse

from apps.accounts.errors import TooManyAttempts
from apps.common.errors import DomainError
from apps.web.origins import page_elsewhere
from apps.web.waiting import tell_wait


def passkey_page_elsewhere(request: HttpRequest) -> str:
    """Where this page can use passkeys, if it cannot here; empty if it can. In development that is localhost, since
    browsers know no passkeys of 127.0.0.1.
    """
    return page_elsewhere(request, settings.PASSKEY_ORIGIN)


def session_key_of(request: HttpRequest) -> str:
    """The key of this browser's session, which begins here if there is none."""
    key = request.session.session_key
    if key is None or not request.session.exists(key):
        request.session.create()
    key = request.session.session_key
    assert key is not None, "create() makes one"
    return key


def options_answer(options: dict[str, Any]) -> JsonResponse:
    """For static/accounts/passkeys.js."""
    return JsonResponse({"publicKey": options})


def options_refusal(refusal: DomainError, status: int = 409) -> JsonResponse:
    """429 for too many, with the time to wait, else `status`."""
    answer = JsonResponse({"error": refusal.message}, status=429 if isinstance(refusal, TooManyAttempts) else status)
    tell_wait(answer, refusal.retry_after_s)
    return answer
