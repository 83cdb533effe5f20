"""/login/passkey: logging in with a passkey alone, two factors by itself; and what the second step asks for."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from apps.accounts.errors import PasskeyRefused, TooManyAttempts
from apps.accounts.factorforms import PasskeyForm
from apps.accounts.forms import Throttled
from apps.accounts.nextpage import next_page
from apps.accounts.passkeypages import options_answer, options_refusal, passkey_page_elsewhere, session_key_of
from apps.accounts.secondstep import end_second_step, pending_log_in
from apps.accounts.services.passkeychallenges import Purpose, check_waiting
from apps.accounts.services.passkeyproofs import ask_for_passkey, use_passkey
from apps.accounts.services.sessions import open_session
from apps.accounts.stepup import Proof, confirm
from apps.accounts.views.forms import form_page
from apps.accounts.visitor import client_browser
from apps.web.errors import SessionEnded
from apps.web.visitor import client_address


@sensitive_post_parameters("passkey")
@never_cache
@csrf_protect
@require_http_methods(["GET", "POST"])
def log_in_page(request: HttpRequest) -> HttpResponse:
    next_url = next_page(request, "")
    target = next_url or settings.LOGIN_REDIRECT_URL
    if request.user.is_authenticated:
        return redirect(target)
    form = PasskeyForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        try:
            user, shown = use_passkey(
                purpose=Purpose.LOG_IN,
                answer=form.cleaned_data["passkey"],
                # Without a session nothing was asked in it. None begins here: strangers would fill the table.
                session_key=request.session.session_key or "",
                client=client_address(request),
                browser=client_browser(request),
            )
            end_second_step(request)
            open_session(request=request, user=user, shown=shown)
        except TooManyAttempts as error:
            form.add_error(None, Throttled(error))
        except (PasskeyRefused, SessionEnded) as error:
            form.add_error(None, error.message)
        else:
            confirm(request, Proof.PASSKEY)
            return redirect(target)
    context = {
        "form": form,
        "next": next_url,
        "purpose": Purpose.LOG_IN,
        "elsewhere": passkey_page_elsewhere(request),
    }
    return form_page(request, "accounts/passkey_log_in.html", context, form)


@never_cache
@csrf_protect
@require_POST
def options_action(request: HttpRequest) -> JsonResponse:
    """JSON for the script, of somebody who is not logged in: the same for everybody, but in a second step."""
    purpose = request.POST.get("purpose", "")
    user = None
    if purpose == Purpose.SECOND_STEP:
        pending = pending_log_in(request)
        if pending is None:
            return options_refusal(PasskeyRefused("This log-in took too long. Begin again with your password."))
        user = pending.user
    elif purpose != Purpose.LOG_IN:
        return options_refusal(PasskeyRefused("Say what the passkey is for: purpose log-in or second-step."), 400)
    try:
        # Before a session begins for the question.
        check_waiting(client_address(request))
        return options_answer(
            ask_for_passkey(
                purpose=Purpose(purpose),
                session_key=session_key_of(request),
                client=client_address(request),
                user=user,
            )
        )
    except TooManyAttempts as error:
        return options_refusal(error)
