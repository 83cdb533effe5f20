"""POST /trade/ticket: how a logged-in page gets onto the trading socket."""

from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.http import require_POST

from apps.accounts.errors import NoTradingAccount, TooManyTickets
from apps.accounts.policy import TICKETS_PER_SESSION_WINDOW_S
from apps.accounts.services.tickets import issue_ticket
from apps.web.errors import SessionEnded


@never_cache
@csrf_protect
@require_POST
def ticket(request: HttpRequest, account_id: int | None = None) -> JsonResponse:
    """{"ticket": "..."}; or {"error": {"code", "message"}} with 401 (log in again), 403, 404 (no such account of this
    user) or 429 (wait). Without a number the ticket is the master account's.

    A missing or wrong CSRF token is answered by Django's 403 page before this runs.
    """
    session_key = request.session.session_key
    if not request.user.is_authenticated or session_key is None:
        return _refusal("SESSION_ENDED", "Log in to trade.", status=401)
    try:
        text = issue_ticket(user_id=request.user.pk, session_key=session_key, account_id=account_id)
    except SessionEnded as error:
        return _refusal(error.code, error.message, status=401)
    except NoTradingAccount as error:
        return _refusal(error.code, error.message, status=403 if account_id is None else 404)
    except TooManyTickets as error:
        response = _refusal(error.code, error.message, status=429)
        response["Retry-After"] = str(TICKETS_PER_SESSION_WINDOW_S)
        return response
    return JsonResponse({"ticket": text})


def _refusal(code: str, message: str, *, status: int) -> JsonResponse:
    return JsonResponse({"error": {"code": code, "message": message}}, status=status)
