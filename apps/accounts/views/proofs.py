"""What a page takes that asks for a second factor: a code of the authenticator app, or a passkey."""

from dataclasses import dataclass

from django.http import HttpRequest

from apps.accounts.errors import PasskeyRefused, TooManyAttempts, WrongCode
from apps.accounts.factorforms import CodeForm, PasskeyForm
from apps.accounts.facts import Factor, Shown
from apps.accounts.forms import Throttled
from apps.accounts.models import User
from apps.accounts.passkeypages import session_key_of
from apps.accounts.services.codes import use_code
from apps.accounts.services.lostfactor import stop_by_factor
from apps.accounts.services.passkeychallenges import Purpose
from apps.accounts.services.passkeyproofs import use_passkey
from apps.web.visitor import client_address


@dataclass(frozen=True, slots=True)
class Offered:
    """The forms of the page, one for each factor that counts; `form` is the one that was sent, or the first."""

    form: CodeForm | PasskeyForm
    code_form: CodeForm | None
    passkey_form: PasskeyForm | None


def offer(request: HttpRequest, factors: frozenset[Factor]) -> Offered:
    """`factors` is not empty."""
    sends_passkey = request.method == "POST" and "passkey" in request.POST and Factor.PASSKEY in factors
    sends_code = request.method == "POST" and not sends_passkey and Factor.AUTHENTICATOR in factors
    code_form = CodeForm(request.POST if sends_code else None) if Factor.AUTHENTICATOR in factors else None
    passkey_form = None
    if Factor.PASSKEY in factors:
        # The form without a code is sent without a passkey, too, where scripts are off.
        sent = sends_passkey or (request.method == "POST" and code_form is None)
        passkey_form = PasskeyForm(request.POST if sent else None)
    form = passkey_form if code_form is None or (sends_passkey and passkey_form is not None) else code_form
    assert form is not None, "there is a factor"
    return Offered(form=form, code_form=code_form, passkey_form=passkey_form)


def proved(request: HttpRequest, offered: Offered, *, user: User, purpose: Purpose) -> Shown | None:
    """What `user` showed with the form that was sent; None, and the form has the error. Raises FactorMissing.

    A factor that was shown is not lost: what staff are asked ends.
    """
    form = offered.form
    if not form.is_valid():
        return None
    shown: Shown | None = None
    try:
        if isinstance(form, CodeForm):
            shown = use_code(user_id=user.pk, code=form.cleaned_data["code"])
        else:
            _, shown = use_passkey(
                purpose=purpose,
                answer=form.cleaned_data["passkey"],
                session_key=session_key_of(request),
                client=client_address(request),
                user_id=user.pk,
            )
    except WrongCode as error:
        form.add_error("code", error.message)
    except PasskeyRefused as error:
        form.add_error(None, error.message)
    except TooManyAttempts as error:
        form.add_error(None, Throttled(error))
    if shown is not None:
        stop_by_factor(user=user)
    return shown
