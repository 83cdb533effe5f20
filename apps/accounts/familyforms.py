"""Staff forms of families and allocation rules."""

from typing import Any

from django import forms

from apps.accounts.models import AllocationChange, AllocationRule, FamilyChange
from apps.accounts.services.allocations import set_allocation_rule
from apps.accounts.services.families import change_family
from apps.outbox.forms import AskingForm
from apps.outbox.policy import REASON_LENGTH_MAX

NUMBER_LENGTH_MAX = 18


class RequestForm(AskingForm, forms.ModelForm):  # type: ignore[type-arg]
    reason = forms.CharField(max_length=REASON_LENGTH_MAX, help_text="Why. Kept with the change, with your name.")


class FamilyForm(RequestForm):
    class Meta:
        model = FamilyChange
        fields = ("account_id", "family_id", "reason")
        help_texts = {
            "account_id": "Number of the trading account that joins or leaves.",
            "family_id": "Number of the master account; the account's own number takes it out of its family.",
        }

    def request(self, requested_by: str) -> FamilyChange:
        values = self.cleaned_data
        return change_family(
            account_id=values["account_id"],
            family_id=values["family_id"],
            reason=values["reason"],
            requested_by=requested_by,
        )


class AllocationRuleForm(RequestForm):
    """A new rule, or other content for the rule of the instance."""

    shares = forms.CharField(
        widget=forms.Textarea(attrs={"rows": 8, "cols": 30}),
        help_text="One account a line, in the order that settles ties; with fixed shares its basis points behind it,"
        " together 10000: '1002 2500'.",
    )

    class Meta:
        model = AllocationRule
        fields = ("account_id", "method", "shares", "reason")
        help_texts = {"account_id": "Number of the account that places the block orders."}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            weights = self.instance.weights_bp or [""] * len(self.instance.accounts)
            pairs = zip(self.instance.accounts, weights, strict=True)
            self.initial["shares"] = "\n".join(f"{account} {weight}".strip() for account, weight in pairs)

    def clean_shares(self) -> list[list[int]]:
        """[[account, weight]] or [[account]] of each line."""
        lines = [line.split() for line in self.cleaned_data["shares"].splitlines() if line.strip()]
        numbers = [word for line in lines for word in line]
        if not all(word.isascii() and word.isdigit() and len(word) <= NUMBER_LENGTH_MAX for word in numbers):
            raise forms.ValidationError("A line holds whole numbers: an account and, with fixed shares, basis points.")
        if len({len(line) for line in lines}) != 1 or len(lines[0]) > 2:
            raise forms.ValidationError("Either every line has an account alone, or every line also basis points.")
        return [[int(word) for word in line] for line in lines]

    def request(self, requested_by: str) -> AllocationChange:
        values = self.cleaned_data
        known = self.instance if self.instance.pk else None
        return set_allocation_rule(
            account_id=known.account_id if known else values["account_id"],
            rule_id=known.rule_id if known else None,
            method=values["method"],
            accounts=[line[0] for line in values["shares"]],
            weights_bp=[line[1] for line in values["shares"] if len(line) > 1],
            reason=values["reason"],
            requested_by=requested_by,
        )
