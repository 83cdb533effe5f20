"""Forms for codes of second factors: what was typed; the services decide."""

from django import forms

from apps.accounts.policy import PASSKEY_ANSWER_LENGTH_MAX, PASSKEY_NAME_LENGTH_MAX
from apps.outbox.policy import REASON_LENGTH_MAX


class CodeForm(forms.Form):
    # Not stripped: services/codes.py says what a code is, and a space is no part of one.
    code = forms.CharField(
        label="Code of your authenticator app",
        strip=False,
        widget=forms.TextInput(
            attrs={"autocomplete": "one-time-code", "inputmode": "numeric", "maxlength": "6", "autofocus": True}
        ),
        help_text="Six digits. Each works once.",
    )


class RecoveryCodeForm(forms.Form):
    code = forms.CharField(
        label="Recovery code",
        max_length=64,
        widget=forms.TextInput(
            attrs={"autocomplete": "off", "autocapitalize": "characters", "spellcheck": "false", "autofocus": True}
        ),
        help_text="One that you have not used, such as ABCD-EFGH-IJKL-MNOP-QRST-UVWX.",
    )


class PasskeyForm(forms.Form):
    """The answer of an authenticator, which static/accounts/passkeys.js puts into a hidden field. It is never shown."""

    passkey = forms.CharField(
        max_length=PASSKEY_ANSWER_LENGTH_MAX,
        error_messages={
            "required": "No passkey was shown. That needs a browser that knows passkeys, with JavaScript.",
            "max_length": "Your browser sent no answer of a passkey that we can read. Try again.",
        },
    )


class PasskeyNameForm(forms.Form):
    name = forms.CharField(
        label="Name",
        max_length=PASSKEY_NAME_LENGTH_MAX,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
        help_text="For yourself: where the passkey is, such as the name of your phone.",
    )


class NewPasskeyForm(PasskeyNameForm, PasskeyForm):
    pass


class LostFactorForm(forms.Form):
    reason = forms.CharField(
        label="What happened",
        max_length=REASON_LENGTH_MAX,
        widget=forms.Textarea(attrs={"rows": "3"}),
        help_text="For our staff, such as when and how you lost the phone and the codes.",
    )
