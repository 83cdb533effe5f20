"""Forms of the pages of balances and transfers."""

from collections.abc import Sequence
from typing import Any, Final
from uuid import uuid4

from django import forms
from django.core.exceptions import ValidationError

from apps.accounts.models import TradingAccount
from apps.common.amounts import ASSET_DECIMALS, AmountError, parse_decimal
from apps.markets.models import Asset
from apps.wallets.policy import CLIENT_ID_LENGTH_MAX

# 18 digits, a point, 18 decimals: the longest text that an amount can be.
AMOUNT_LENGTH_MAX: Final = 37
_AMOUNT_FAULTS: Final = {
    "malformed": "Write the amount with digits and a point, such as 0.5.",
    "precision": f"An amount has at most {ASSET_DECIMALS} decimals.",
    "range": "That is more than the platform can hold.",
}


class ValueForm(forms.Form):
    """In which asset the page says what balances are worth."""

    asset = forms.ChoiceField(label="Worth in")

    def __init__(self, data: Any = None, *, assets: Sequence[Asset], chosen: str = "") -> None:
        super().__init__(data, auto_id="value-%s", initial={"asset": chosen})
        self.fields["asset"].choices = [(asset.code, asset.code) for asset in assets]  # type: ignore[attr-defined]


class TransferForm(forms.Form):
    """`client_id` is made with the page, so that a form that is sent twice is one transfer."""

    from_account = forms.TypedChoiceField(label="From", coerce=int)
    to_account = forms.TypedChoiceField(label="To", coerce=int)
    asset = forms.TypedChoiceField(label="Asset", coerce=int)
    amount = forms.CharField(
        label="Amount",
        max_length=AMOUNT_LENGTH_MAX,
        widget=forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"}),
    )
    client_id = forms.CharField(max_length=CLIENT_ID_LENGTH_MAX, widget=forms.HiddenInput)

    def __init__(
        self, *args: Any, accounts: Sequence[TradingAccount], assets: Sequence[Asset], **kwargs: Any
    ) -> None:  # fmt: skip
        super().__init__(*args, **kwargs)
        numbered = [(account.pk, f"{account.label} ({account.pk})") for account in accounts]
        self.fields["from_account"].choices = numbered  # type: ignore[attr-defined]
        self.fields["to_account"].choices = numbered  # type: ignore[attr-defined]
        self.fields["asset"].choices = [(asset.pk, asset.code) for asset in assets]  # type: ignore[attr-defined]
        self.initial.setdefault("client_id", str(uuid4()))
        if len(numbered) > 1:
            self.initial.setdefault("to_account", numbered[1][0])

    def clean_amount(self) -> int:
        """In units."""
        try:
            units = parse_decimal(self.cleaned_data["amount"])
        except AmountError as error:
            raise ValidationError(_AMOUNT_FAULTS[error.reason]) from error
        if units == 0:
            raise ValidationError("The amount must be above 0.")
        return units
