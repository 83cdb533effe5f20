"""Staff forms of assets, classes and markets."""

from typing import Any

import msgspec
from django import forms

from apps.markets.models import Asset, AssetClassChange, ClassStateChange, Market, MarketSettingsChange
from apps.markets.selectors import asset_classes
from apps.markets.services import (
    CLASS_ACTIONS,
    MarketAction,
    MarketTerms,
    change_asset_class,
    change_market_settings,
    create_asset,
    create_market,
    set_class_state,
)
from apps.markets.services.states import STATE_OF_ACTION
from apps.outbox.forms import AskingForm
from apps.outbox.policy import REASON_LENGTH_MAX

TERMS = MarketTerms.__struct_fields__
UNCHOSEN = ("", "---------")


class AssetForm(AskingForm, forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = Asset
        fields = ("code", "name", "asset_class")

    def request(self, requested_by: str) -> Asset:
        """An asset keeps nobody's name: its row is what the engine is told."""
        return create_asset(**{name: self.cleaned_data[name] for name in ("code", "name", "asset_class")})


class ReasonedForm(AskingForm, forms.ModelForm):  # type: ignore[type-arg]
    reason = forms.CharField(max_length=REASON_LENGTH_MAX, help_text="Why. Kept with the change, with your name.")


class AssetClassForm(ReasonedForm):
    class Meta:
        model = Asset
        fields = ("asset_class", "reason")

    def request(self, requested_by: str) -> list[AssetClassChange]:
        values = self.cleaned_data
        return change_asset_class(
            code=self.instance.code,
            asset_class=values["asset_class"],
            reason=values["reason"],
            requested_by=requested_by,
        )


class ClassStateForm(AskingForm, forms.Form):
    """Which class, to which state, why."""

    asset_class = forms.ChoiceField(label="Class")
    action = forms.ChoiceField(
        label="Move all its markets to",
        choices=[
            UNCHOSEN,
            *((action.value, Market.State(STATE_OF_ACTION[action]).label) for action in CLASS_ACTIONS),
        ],
    )
    reason = forms.CharField(
        max_length=REASON_LENGTH_MAX,
        help_text="Why. Kept with the change, with your name.",
        widget=forms.TextInput(attrs={"class": "vTextField"}),
    )

    def __init__(self, data: Any = None) -> None:
        super().__init__(data)
        classes = [UNCHOSEN, *((each, each) for each in asset_classes())]
        self.fields["asset_class"].choices = classes  # type: ignore[attr-defined]

    def request(self, requested_by: str) -> list[ClassStateChange]:
        values = self.cleaned_data
        return set_class_state(
            asset_class=values["asset_class"],
            action=MarketAction(values["action"]),
            reason=values["reason"],
            requested_by=requested_by,
        )


def _value(cleaned: dict[str, Any], name: str) -> Any:
    """A list that was left empty comes as None."""
    return [] if cleaned[name] is None else cleaned[name]


class NewMarketForm(ReasonedForm):
    class Meta:
        model = Market
        fields = ("base_asset", "quote_asset", *TERMS, "reason")

    def clean(self) -> dict[str, Any]:
        if not self.errors:
            try:
                values = {name: _value(self.cleaned_data, name) for name in TERMS}
                self.cleaned_data["terms"] = msgspec.convert(values, MarketTerms)
            except msgspec.ValidationError as error:
                self.add_error(None, str(error))
        return super().clean()

    def request(self, requested_by: str) -> Market:
        values = self.cleaned_data
        return create_market(
            base=values["base_asset"].code,
            quote=values["quote_asset"].code,
            terms=values["terms"],
            reason=values["reason"],
            requested_by=requested_by,
        )


class MarketSettingsForm(ReasonedForm):
    class Meta:
        model = Market
        fields = (*TERMS, "reason")

    def request(self, requested_by: str) -> MarketSettingsChange:
        """Ask for the changed settings."""
        values = self.cleaned_data
        return change_market_settings(
            symbol=self.instance.symbol,
            changes={name: _value(values, name) for name in TERMS if name in self.changed_data},
            reason=values["reason"],
            requested_by=requested_by,
        )
