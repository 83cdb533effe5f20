"""Forms around mailed links: what was typed, checked; the services decide."""

from typing import Any

from django import forms
from django.contrib.auth import password_validation
from django.core.exceptions import ValidationError

from apps.accounts.addresses import normalise_email
from apps.accounts.errors import InvalidEmail
from apps.accounts.forms import ConfirmedForm, current_password_field, email_field, new_password_field
from apps.accounts.models import User
from apps.accounts.policy import MAIL_PHRASE_LENGTH_MAX, MAIL_PHRASE_LENGTH_MIN


class AddressForm(forms.Form):
    """Of somebody who forgot their password."""

    email = email_field("E-mail")

    def clean_email(self) -> str:
        return normalised(self.cleaned_data["email"])


class ProvePasswordForm(forms.Form):
    """The view says whether it is the right one."""

    password = current_password_field("The password you chose")


class NewPasswordForm(forms.Form):
    new = new_password_field("New password")

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._user = user

    def clean_new(self) -> str:
        new: str = self.cleaned_data["new"]
        password_validation.validate_password(new, self._user)
        return new


class EmailForm(ConfirmedForm):
    email = email_field("New e-mail")
    password = current_password_field("Your password")

    def clean_email(self) -> str:
        email = normalised(self.cleaned_data["email"])
        if email == self._user.email:
            raise ValidationError("That is your address already.")
        return email

    def clean_password(self) -> str:
        return self.confirmed(self.cleaned_data["password"])


class MailPhraseForm(ConfirmedForm):
    phrase = forms.CharField(
        label="Phrase",
        required=False,
        max_length=MAIL_PHRASE_LENGTH_MAX,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
        help_text="A few words that only you would write, nothing that you use as a password. Empty: no phrase.",
    )
    password = current_password_field("Your password")

    def clean_phrase(self) -> str:
        phrase: str = self.cleaned_data["phrase"]
        if phrase and (len(phrase) < MAIL_PHRASE_LENGTH_MIN or not phrase.isprintable()):
            raise ValidationError(f"Use at least {MAIL_PHRASE_LENGTH_MIN} characters, on one line.")
        return phrase

    def clean_password(self) -> str:
        return self.confirmed(self.cleaned_data["password"])


def normalised(email: str) -> str:
    try:
        return normalise_email(email)
    except InvalidEmail as error:
        raise ValidationError(error.message) from error
