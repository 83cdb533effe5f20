"""Forms of the pages on which a user keeps allocation rules: what was typed, checked; services decide."""

from collections.abc import Sequence
from typing import Any, Final

from django import forms
from django.core.exceptions import ValidationError

from apps.accounts.models import AllocationRule, TradingAccount
from apps.common.amounts import BASIS_POINTS, AmountError, format_units, parse_decimal
from apps.markets.models import Market
from apps.streams.kinds import AllocationMethod
from apps.streams.messages import MAX_ALLOCATION_ACCOUNTS

# 64 accounts, each with a number and an amount in their longest spelling.
SHARES_LENGTH_MAX: Final = MAX_ALLOCATION_ACCOUNTS * 60
AMOUNT_LENGTH_MAX: Final = 37
# Hundredths of a percent are basis points.
PERCENT_DECIMALS: Final = 2


class AllocationForm(forms.Form):
    """A rule, and the order that its preview is for. `accounts` are those of the user."""

    method = forms.TypedChoiceField(label="Divided", choices=AllocationRule.Method.choices, coerce=int)
    shares = forms.CharField(
        label="Among",
        max_length=SHARES_LENGTH_MAX,
        widget=forms.Textarea(attrs={"rows": 6, "autocomplete": "off", "spellcheck": "false"}),
        help_text="One account a line, by its number, in the order that settles ties. With fixed shares its percent "
        "behind it, such as 1002 33.34; with 'as each order says', for the preview, how much it asks for.",
    )
    market = forms.TypedChoiceField(label="Market", coerce=int, required=False, empty_value=None)
    quantity = forms.CharField(
        label="Amount of the order", max_length=AMOUNT_LENGTH_MAX, initial="1", required=False,
        widget=forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"}),
    )  # fmt: skip
    filled = forms.CharField(
        label="Of that filled", max_length=AMOUNT_LENGTH_MAX, initial="0.3", required=False,
        widget=forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"}),
    )  # fmt: skip

    def __init__(
        self, *args: Any, accounts: Sequence[TradingAccount], markets: Sequence[Market], **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self._own = {account.pk for account in accounts}
        self.markets = {market.pk: market for market in markets}
        self.fields["market"].choices = [(market.pk, market.symbol) for market in markets]  # type: ignore[attr-defined]

    @property
    def wants_preview(self) -> bool:
        return "preview" in self.data

    def clean_shares(self) -> list[tuple[int, str]]:
        """(account, what stands behind it) by line."""
        lines = [line.split() for line in self.cleaned_data["shares"].splitlines() if line.strip()]
        if len({len(line) for line in lines}) != 1 or len(lines[0]) > 2:
            raise ValidationError("Either every line has an account alone, or every line also a number behind it.")
        if len(lines) > MAX_ALLOCATION_ACCOUNTS:
            raise ValidationError(f"A rule has at most {MAX_ALLOCATION_ACCOUNTS} accounts.")
        numbered = {str(number): number for number in self._own}
        for line in lines:
            if line[0] not in numbered:
                raise ValidationError(f"'{line[0][:20]}' is not one of your accounts.")
        if len({line[0] for line in lines}) != len(lines):
            raise ValidationError("An account stands in a rule once.")
        return [(numbered[line[0]], line[1] if len(line) > 1 else "") for line in lines]

    def clean(self) -> dict[str, Any]:
        """Adds accounts, weights_bp, and for a preview requested_units, quantity_units, filled_units."""
        cleaned: dict[str, Any] = super().clean() or {}
        if "shares" not in cleaned or "method" not in cleaned:
            return cleaned
        method, behind = cleaned["method"], [text for _, text in cleaned["shares"]]
        cleaned["accounts"] = [number for number, _ in cleaned["shares"]]
        cleaned["weights_bp"], cleaned["requested_units"] = [], []
        try:
            if method == AllocationMethod.FIXED:
                cleaned["weights_bp"] = self._percents(behind)
            elif method == AllocationMethod.EQUAL and any(behind):
                raise ValidationError("Equal shares have no number behind the account.")
            elif method == AllocationMethod.PRO_RATA and any(behind):
                cleaned["requested_units"] = [_units(text) for text in behind]
        except ValidationError as error:
            self.add_error("shares", error)
        if self.wants_preview:
            self._clean_example(cleaned)
        return cleaned

    def _percents(self, texts: Sequence[str]) -> list[int]:
        try:
            weights = [parse_decimal(text, PERCENT_DECIMALS) for text in texts]
        except AmountError as error:
            raise ValidationError("Write each percent with at most 2 decimals, such as 33.34.") from error
        if min(weights) == 0:
            raise ValidationError("Each share must be above 0 %.")
        if sum(weights) != BASIS_POINTS:
            raise ValidationError(f"The shares must add up to 100 %, not {format_units(sum(weights), 2)} %.")
        return weights

    def _clean_example(self, cleaned: dict[str, Any]) -> None:
        if cleaned.get("market") is None:
            self.add_error("market", "Choose a market for the preview.")
        for name in ("quantity", "filled"):
            try:
                cleaned[f"{name}_units"] = _units(cleaned.get(name, ""))
            except ValidationError as error:
                self.add_error(name, error)
        if not self.errors and cleaned["quantity_units"] == 0:
            self.add_error("quantity", "The amount must be above 0.")
        if not self.errors and cleaned["filled_units"] > cleaned["quantity_units"]:
            self.add_error("filled", "No more than the whole order can be filled.")


def lines_of(accounts: Sequence[int], weights_bp: Sequence[int]) -> list[str]:
    """What stands in a rule, as the form takes it."""
    behind = [f" {format_units(weight, PERCENT_DECIMALS)}" for weight in weights_bp] or [""] * len(accounts)
    return [f"{number}{text}" for number, text in zip(accounts, behind, strict=True)]


def _units(text: str) -> int:
    try:
        return parse_decimal(text)
    except AmountError as error:
        raise ValidationError("Write amounts with digits and a point and at most 8 decimals, such as 0.5.") from error
