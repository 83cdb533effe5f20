"""Forms of the account pages: what was typed, checked; the services decide."""

from typing import Any

from django import forms
from django.contrib.auth import password_validation
from django.contrib.auth.forms import AuthenticationForm
from django.core.exceptions import ValidationError

from apps.accounts.addresses import normalise_email
from apps.accounts.backends import throttle_refusal
from apps.accounts.errors import DeviceNeeded, InvalidEmail, TooManyAttempts
from apps.accounts.models import User
from apps.accounts.policy import (
    EMAIL_LENGTH_MAX,
    PASSWORD_LENGTH_MAX,
    PASSWORD_LENGTH_MIN,
)
from apps.accounts.services.passwords import confirm_password
from apps.common.errors import DomainError

_EMAIL_WIDGET_ATTRS = {
    "autocomplete": "username",
    "inputmode": "email",
    "autocapitalize": "none",
    "spellcheck": "false",
}


class Throttled(ValidationError):
    """The error of a form that a limit refused; views answer it with 429 (views/forms.py)."""

    def __init__(self, refusal: DomainError) -> None:
        super().__init__(refusal.message)
        self.retry_after_s = refusal.retry_after_s


def new_password_field(label: str) -> forms.CharField:
    return forms.CharField(
        label=label,
        max_length=PASSWORD_LENGTH_MAX,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text=(
            f"At least {PASSWORD_LENGTH_MIN} characters. Not only digits, not a common password, "
            "and not like your e-mail address."
        ),
    )


def current_password_field(label: str, help_text: str = "") -> forms.CharField:
    return forms.CharField(
        label=label,
        max_length=PASSWORD_LENGTH_MAX,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
        help_text=help_text,
    )


def email_field(label: str) -> forms.CharField:
    return forms.CharField(label=label, max_length=EMAIL_LENGTH_MAX, widget=forms.EmailInput(attrs=_EMAIL_WIDGET_ATTRS))


class SignUpForm(forms.Form):
    email = email_field("E-mail")
    password = new_password_field("Password")

    def clean_email(self) -> str:
        try:
            return normalise_email(self.cleaned_data["email"])
        except InvalidEmail as error:
            raise ValidationError(error.message) from error

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if "password" in cleaned:
            try:
                password_validation.validate_password(cleaned["password"], User(email=cleaned.get("email", "")))
            except ValidationError as error:
                self.add_error("password", error)
        return cleaned


class LogInForm(AuthenticationForm):
    """Django's form: the same words for an unknown address, a wrong password and a switched-off account."""

    error_messages = {
        "invalid_login": "This e-mail and password do not match an account. The password is case-sensitive.",
        "inactive": "This e-mail and password do not match an account. The password is case-sensitive.",
    }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["username"].label = "E-mail"
        self.fields["username"].widget = forms.EmailInput(attrs={**_EMAIL_WIDGET_ATTRS, "autofocus": True})
        self.fields["password"] = current_password_field("Password")

    @property
    def needs_device(self) -> bool:
        """Whether a link by e-mail is what helps."""
        return isinstance(throttle_refusal(self.request), DeviceNeeded)

    def get_invalid_login_error(self) -> ValidationError:
        refusal = throttle_refusal(self.request)
        return super().get_invalid_login_error() if refusal is None else Throttled(refusal)


class ConfirmedForm(forms.Form):
    """One that asks for the current password once more; a guess from `address` counts as a log-in that failed.

    Where `is_confirmed`, the user has proved to be there already (stepup.py), and a field `password` is left out.
    """

    def __init__(self, *args: Any, user: User, address: str, is_confirmed: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if is_confirmed:
            del self.fields["password"]
        self._user = user
        self._address = address

    def confirmed(self, password: str) -> str:
        """`password` if it is the user's; ValidationError, and after too many failures a Throttled one."""
        try:
            if confirm_password(user=self._user, password=password, address=self._address):
                return password
        except TooManyAttempts as refusal:
            raise Throttled(refusal) from refusal
        raise ValidationError("That is not your password.")


class PasswordConfirmationForm(ConfirmedForm):
    """Of a user without a second factor who is to confirm to be there."""

    password = current_password_field("Your password")

    def clean_password(self) -> str:
        return self.confirmed(self.cleaned_data["password"])


class PasswordForm(ConfirmedForm):
    current = current_password_field("Current password")
    new = new_password_field("New password")

    def clean_current(self) -> str:
        return self.confirmed(self.cleaned_data["current"])

    def clean_new(self) -> str:
        new: str = self.cleaned_data["new"]
        password_validation.validate_password(new, self._user)
        return new
