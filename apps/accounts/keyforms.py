"""The forms of API keys: what was typed; the services decide."""

from typing import Any, Final

from django import forms

from apps.accounts.facts import Factor
from apps.accounts.forms import ConfirmedForm, current_password_field
from apps.accounts.policy import (
    API_KEY_LABEL_LENGTH_MAX,
    API_KEY_LIFETIME_DAYS,
    API_KEY_LIFETIMES_DAYS,
    API_KEY_NETWORKS_MAX,
    PASSKEY_ANSWER_LENGTH_MAX,
)
from apps.accounts.publickeys import PEM_LENGTH_MAX

# As many networks as a key may have, each in its longest spelling.
NETWORKS_TEXT_MAX: Final = API_KEY_NETWORKS_MAX * 45
NETWORKS_HELP: Final = "Addresses and networks with spaces between them, such as 203.0.113.7 2001:db8::/32."
NEVER: Final = "never"
_LIFETIMES: Final = (
    *((str(days), f"After {days} days") for days in API_KEY_LIFETIMES_DAYS),
    (NEVER, "Never: only with addresses below, and not for withdrawing"),
)


class KeyNetworksForm(ConfirmedForm):
    """Where a key works from, and what proves that its owner is there."""

    networks = forms.CharField(
        label="Works only from",
        max_length=NETWORKS_TEXT_MAX,
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
        help_text=NETWORKS_HELP,
    )
    code = forms.CharField(
        label="Code of your authenticator app",
        required=False,
        # Not stripped: services/codes.py says what a code is, and a space is no part of one.
        strip=False,
        widget=forms.TextInput(attrs={"autocomplete": "one-time-code", "inputmode": "numeric", "maxlength": "6"}),
        help_text="For a key that withdraws: six digits that you have not used yet.",
    )
    # What static/accounts/passkeys.js puts into a hidden field; never shown.
    passkey = forms.CharField(required=False, max_length=PASSKEY_ANSWER_LENGTH_MAX)
    password = current_password_field("Your password", "A key works without you, so we ask again.")

    def __init__(self, *args: Any, factors: frozenset[Factor], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if Factor.AUTHENTICATOR not in factors:
            del self.fields["code"]
        if Factor.PASSKEY not in factors:
            del self.fields["passkey"]

    def clean_networks(self) -> list[str]:
        return str(self.cleaned_data["networks"]).replace(",", " ").split()

    def clean_password(self) -> str:
        return self.confirmed(self.cleaned_data["password"])


class ApiKeyForm(KeyNetworksForm):
    label = forms.CharField(
        label="Name",
        max_length=API_KEY_LABEL_LENGTH_MAX,
        help_text="For yourself, such as the name of the bot that uses it.",
    )
    can_read = forms.BooleanField(label="Read: balances, orders, trades", required=False, initial=True)
    can_trade = forms.BooleanField(label="Trade: place and cancel orders", required=False)
    can_withdraw = forms.BooleanField(
        label="Withdraw: only with addresses below and a new code. Withdrawals are not open yet.", required=False
    )
    lifetime = forms.ChoiceField(
        label="Expires",
        choices=_LIFETIMES,
        initial=str(API_KEY_LIFETIME_DAYS),
        required=False,
        help_text="We write to you 14 and 3 days before, and on the day. No end is ever moved: make another key.",
    )
    pem = forms.CharField(
        label="Your own public key",
        required=False,
        max_length=PEM_LENGTH_MAX,
        widget=forms.Textarea(attrs={"rows": "3", "autocomplete": "off", "spellcheck": "false"}),
        help_text="Ed25519 or RSA, in PEM form; you keep the private key. Empty: we make a secret (HMAC).",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        networks = self.fields["networks"]
        networks.required = False
        networks.help_text = f"{NETWORKS_HELP} Empty: from everywhere. You can name other addresses later."

    def clean_lifetime(self) -> int | None:
        """In days; None is never."""
        chosen = self.cleaned_data["lifetime"] or str(API_KEY_LIFETIME_DAYS)
        return None if chosen == NEVER else int(chosen)

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if not (cleaned.get("can_read") or cleaned.get("can_trade") or cleaned.get("can_withdraw")):
            self.add_error("can_read", "Choose at least one right.")
        return cleaned
