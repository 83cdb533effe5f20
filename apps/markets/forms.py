"""Staff forms. Each first asks the service whether it would agree, in a transaction that is rolled back."""

from collections.abc import Callable
from typing import Any

import msgspec
from django import forms
from django.db import transaction

from apps.common.errors import DomainError
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
from apps.outbox.policy import REASON_LENGTH_MAX

TERMS = MarketTerms.__struct_fields__
REQUESTED_BY_FORM = "form check, rolled back"
UNCHOSEN = ("", "---------")


def refusal_of(call: Callable[[], object]) -> str | None:
    """Why the service would refuse, None where it would not. Nothing it does stays."""
    try:
        with transaction.atomic():
            call()
            transaction.set_rollback(True)
    except DomainError as error:
        return error.message
    return None


class AssetForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = Asset
        fields = ("code", "name", "asset_class")

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if not self.errors:
            refusal = refusal_of(
                lambda: create_asset(code=cleaned["code"], name=cleaned["name"], asset_class=cleaned["asset_class"])
            )
            if refusal:
                self.add_error(None, refusal)
        return cleaned


class ReasonedForm(forms.ModelForm):  # type: ignore[type-arg]
    reason = forms.CharField(max_length=REASON_LENGTH_MAX, help_text="Why. Kept with the change, with your name.")


class AssetClassForm(ReasonedForm):
    class Meta:
        model = Asset
        fields = ("asset_class", "reason")

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if not self.errors:
            refusal = refusal_of(lambda: self.request(REQUESTED_BY_FORM, cleaned))
            if refusal:
                self.add_error(None, refusal)
        return cleaned

    def request(self, requested_by: str, cleaned: dict[str, Any] | None = None) -> list[AssetClassChange]:
        values = cleaned or self.cleaned_data
        return change_asset_class(
            code=self.instance.code,
            asset_class=values["asset_class"],
            reason=values["reason"],
            requested_by=requested_by,
        )


class ClassStateForm(forms.Form):
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

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if not self.errors:
            refusal = refusal_of(lambda: self.request(REQUESTED_BY_FORM, cleaned))
            if refusal:
                self.add_error(None, refusal)
        return cleaned

    def request(self, requested_by: str, cleaned: dict[str, Any] | None = None) -> list[ClassStateChange]:
        values = cleaned or self.cleaned_data
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
        cleaned: dict[str, Any] = super().clean() or {}
        if not self.errors:
            try:
                cleaned["terms"] = msgspec.convert({name: _value(cleaned, name) for name in TERMS}, MarketTerms)
            except msgspec.ValidationError as error:
                self.add_error(None, str(error))
            else:
                refusal = refusal_of(lambda: self.create(REQUESTED_BY_FORM, cleaned))
                if refusal:
                    self.add_error(None, refusal)
        return cleaned

    def create(self, requested_by: str, cleaned: dict[str, Any] | None = None) -> Market:
        values = cleaned or self.cleaned_data
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

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if not self.errors:
            refusal = refusal_of(lambda: self.request(REQUESTED_BY_FORM, cleaned))
            if refusal:
                self.add_error(None, refusal)
        return cleaned

    def request(self, requested_by: str, cleaned: dict[str, Any] | None = None) -> MarketSettingsChange:
        """Ask for the changed settings."""
        values = cleaned or self.cleaned_data
        return change_market_settings(
            symbol=self.instance.symbol,
            changes={name: _value(values, name) for name in TERMS if name in self.changed_data},
            reason=values["reason"],
            requested_by=requested_by,
        )
