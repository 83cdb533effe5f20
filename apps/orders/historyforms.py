"""What a page of orders or trades is asked for: whose, in which market, which side and state, of which days."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from django import forms

from apps.accounts.models import TradingAccount
from apps.accounts.zones import midnight_ms
from apps.markets.models import Market
from apps.orders.history import STATES, Filter
from apps.streams.kinds import Side

_SIDES: Final = {"buy": Side.BUY, "sell": Side.SELL}
# In every zone there are a day before and a day after these.
_FIRST_DAY: Final = date(2000, 1, 1)
_LAST_DAY: Final = date(2999, 12, 31)


class HistoryForm(forms.Form):
    """Of GET parameters. Every field may be left out."""

    account = forms.TypedChoiceField(label="Account", coerce=int, required=False, empty_value=None)
    market = forms.TypedChoiceField(label="Market", coerce=int, required=False, empty_value=None)
    side = forms.ChoiceField(
        label="Side", required=False, choices=[("", "Buy and sell"), ("buy", "Buy"), ("sell", "Sell")]
    )
    state = forms.ChoiceField(
        label="State", required=False, choices=[("", "Every state"), *((name, name.capitalize()) for name in STATES)]
    )
    since = forms.DateField(label="From", required=False, widget=forms.DateInput(attrs={"type": "date"}))
    until = forms.DateField(label="To", required=False, widget=forms.DateInput(attrs={"type": "date"}))

    def __init__(
        self, *args: Any, accounts: Sequence[TradingAccount], markets: Sequence[Market], with_state: bool, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        named = [(account.pk, f"{account.label} ({account.pk})") for account in accounts]
        self.fields["account"].choices = [("", "All accounts"), *named]  # type: ignore[attr-defined]
        symbols = [(market.pk, market.symbol) for market in markets]
        self.fields["market"].choices = [("", "All markets"), *symbols]  # type: ignore[attr-defined]
        if not with_state:
            del self.fields["state"]
        self._accounts, self._markets = [each.pk for each in accounts], [each.pk for each in markets]

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        for name in ("since", "until"):
            day = cleaned.get(name)
            if day is not None and not _FIRST_DAY <= day <= _LAST_DAY:
                self.add_error(name, f"Choose a day between {_FIRST_DAY} and {_LAST_DAY}.")
        since, until = cleaned.get("since"), cleaned.get("until")
        if since and until and until < since:
            self.add_error("until", "The last day is before the first one.")
        return cleaned

    def chosen(self, where: ZoneInfo) -> Filter:
        """What is_valid() has let through; days are those of the zone."""
        sent = self.cleaned_data
        return Filter(
            accounts=self._accounts if sent["account"] is None else [sent["account"]],
            markets=self._markets if sent["market"] is None else [sent["market"]],
            side=_SIDES.get(sent["side"]),
            state=sent.get("state") or None,
            from_ms=midnight_ms(sent["since"], where) if sent["since"] else None,
            to_ms=midnight_ms(sent["until"] + timedelta(days=1), where) if sent["until"] else None,
        )
