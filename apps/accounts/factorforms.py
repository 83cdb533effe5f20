"""Forms for codes of second factors: what was typed; the services decide."""

from django import forms


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
        help_text="One that you have not used, such as ABCD-EFGH-IJKL-MNOP.",
    )
