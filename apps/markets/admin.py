"""Staff pages for assets, markets and what was changed. Nothing here writes a row that the engine does not hear of."""

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest

from apps.common.errors import DomainError
from apps.markets.forms import AssetForm, MarketSettingsForm, NewMarketForm, StateActionForm
from apps.markets.models import Asset, Market, MarketSettingsChange, MarketStateChange
from apps.markets.services import MarketAction, create_asset, set_market_state
from apps.outbox.models import OutboxRow
from apps.streams.kinds import Reason


def staff_name(request: HttpRequest) -> str:
    return f"staff: {request.user.get_username()}"


@admin.register(Asset)
class AssetAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    form = AssetForm
    list_display = ("id", "code", "name")
    search_fields = ("code", "name")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # The engine knows an asset by its code for ever.
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Asset, form: Any, change: bool) -> None:
        obj.pk = create_asset(code=obj.code, name=obj.name).pk


def _state_action(action: MarketAction, title: str) -> Callable[..., None]:
    @admin.action(description=title, permissions=["change"])
    def move(model_admin: "MarketAdmin", request: HttpRequest, queryset: QuerySet[Market]) -> None:
        for market in queryset:
            try:
                set_market_state(
                    symbol=market.symbol,
                    action=action,
                    reason=request.POST.get("reason", ""),
                    requested_by=staff_name(request),
                )
            except DomainError as error:
                model_admin.message_user(request, f"{market}: {error.message}", messages.ERROR)
            else:
                model_admin.message_user(
                    request, f"{market}: {title.lower()} is on its way to the engine.", messages.SUCCESS
                )

    move.__name__ = action.name.lower()
    return move


@admin.register(Market)
class MarketAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ("symbol", "state", "state_cause", "settings_version", "tick_size", "lot_size", "fees")
    list_filter = ("state", "quote_asset")
    search_fields = ("symbol",)
    action_form = StateActionForm
    actions = (
        _state_action(MarketAction.OPEN, "Open"),
        _state_action(MarketAction.HALT, "Halt"),
        _state_action(MarketAction.AUCTION, "Resume by auction"),
        _state_action(MarketAction.CANCEL_ONLY, "Cancel-only"),
        _state_action(MarketAction.POST_ONLY, "Post-only"),
        _state_action(MarketAction.CLOSE, "Close"),
    )

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_form(
        self, request: HttpRequest, obj: Market | None = None, change: bool = False, **kwargs: Any
    ) -> "type[ModelForm[Market]]":
        kwargs["form"] = MarketSettingsForm if obj else NewMarketForm
        return super().get_form(request, obj, change, **kwargs)

    def save_model(self, request: HttpRequest, obj: Market, form: Any, change: bool) -> None:
        """The form's own instance is never saved: the service writes, and the mirror follows the engine."""
        if change:
            form.request(staff_name(request))
            self.message_user(request, "The change is on its way to the engine; the market shows it when it is done.")
        else:
            made = form.create(staff_name(request))
            obj.pk, obj.symbol = made.pk, made.symbol


class ChangeAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Who asked for what, when and why, and how the engine answered. Read only."""

    date_hierarchy = "requested_at"
    list_select_related = ("market",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @admin.display(description="Engine")
    def outcome(self, change: MarketSettingsChange | MarketStateChange) -> str:
        row = OutboxRow.objects.get(key=change.outbox_key)
        return f"{row.state}: {Reason(row.reason).name}" if row.reason else str(row.state)


@admin.register(MarketSettingsChange)
class MarketSettingsChangeAdmin(ChangeAdmin):
    list_display = ("market", "settings_version", "outcome", "applied_at", "requested_by", "requested_at", "reason")
    list_filter = ("market",)


@admin.register(MarketStateChange)
class MarketStateChangeAdmin(ChangeAdmin):
    list_display = ("market", "state", "outcome", "requested_by", "requested_at", "reason")
    list_filter = ("market", "state")
