"""Staff pages for assets, markets and what was changed. Nothing here writes a row that the engine does not hear of."""

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse

from apps.common.errors import DomainError
from apps.markets.forms import AssetClassForm, AssetForm, ClassStateForm, MarketSettingsForm, NewMarketForm
from apps.markets.models import (
    Asset,
    AssetClassChange,
    ClassStateChange,
    Market,
    MarketSettingsChange,
    MarketStateChange,
)
from apps.markets.selectors import markets_of_class, moved_by, not_moved_by
from apps.markets.services import MarketAction, set_market_state
from apps.markets.statesnow import with_current_states
from apps.outbox.admin import ReasonActionForm, RequestAdmin, staff_name, tell_answers


@admin.register(Asset)
class AssetAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """The engine knows an asset by its code for ever; only its class changes."""

    list_display = ("id", "code", "name", "asset_class")
    list_filter = ("asset_class",)
    search_fields = ("code", "name")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_readonly_fields(self, request: HttpRequest, obj: Asset | None = None) -> tuple[str, ...]:
        return ("code", "name") if obj else ()

    def get_fields(self, request: HttpRequest, obj: Asset | None = None) -> tuple[str, ...]:
        return ("code", "name", "asset_class", "reason") if obj else ("code", "name", "asset_class")

    def get_form(
        self, request: HttpRequest, obj: Asset | None = None, change: bool = False, **kwargs: Any
    ) -> "type[ModelForm[Asset]]":
        kwargs["form"] = AssetClassForm if obj else AssetForm
        return super().get_form(request, obj, change, **kwargs)

    def save_model(self, request: HttpRequest, obj: Asset, form: Any, change: bool) -> None:
        if not change:
            obj.pk = form.request(staff_name(request)).pk
            return
        asked = [(f"Class of {obj.code}", each) for each in form.request(staff_name(request))]
        transaction.on_commit(lambda: tell_answers(request, asked))

    def response_change(self, request: HttpRequest, obj: Asset) -> HttpResponse:
        """The engine's answer says whether it was changed."""
        return redirect("admin:markets_asset_changelist")


def _state_action(action: MarketAction, title: str) -> Callable[..., None]:
    @admin.action(description=title, permissions=["move"])
    def move(model_admin: "MarketAdmin", request: HttpRequest, queryset: QuerySet[Market]) -> None:
        asked = []
        for market in queryset:
            try:
                change = set_market_state(
                    symbol=market.symbol,
                    action=action,
                    reason=request.POST.get("reason", ""),
                    requested_by=staff_name(request),
                )
            except DomainError as error:
                model_admin.message_user(request, f"{market}: {error.message}", messages.ERROR)
            else:
                asked.append((f"{market}: {title.lower()}", change))
        tell_answers(request, asked)

    move.__name__ = action.name.lower()
    return move


class MarketList(ChangeList):
    """Shows the state of now. Filter and order go by the settled one."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.result_list, self.is_live = with_current_states(self.result_list)


@admin.register(Market)
class MarketAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ("symbol", "state", "state_cause", "ends", "settings_version", "tick_size", "lot_size", "fees")
    list_filter = ("state", "quote_asset")
    search_fields = ("symbol",)
    action_form = ReasonActionForm
    change_list_template = "admin/markets/market_list.html"
    actions = (
        _state_action(MarketAction.OPEN, "Open"),
        _state_action(MarketAction.HALT, "Halt"),
        _state_action(MarketAction.AUCTION, "Resume by auction"),
        _state_action(MarketAction.CANCEL_ONLY, "Cancel-only"),
        _state_action(MarketAction.POST_ONLY, "Post-only"),
        _state_action(MarketAction.CLOSE, "Close"),
    )

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return MarketList

    @admin.display(description="ends")
    def ends(self, market: Market) -> str:
        return market.state_ends

    def has_move_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("markets.move_market")

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
            asked = [(f"Settings of {obj}", form.request(staff_name(request)))]
            transaction.on_commit(lambda: tell_answers(request, asked))
        else:
            made = form.request(staff_name(request))
            obj.pk, obj.symbol = made.pk, made.symbol

    def response_change(self, request: HttpRequest, obj: Market) -> HttpResponse:
        """The engine's answer says whether it was changed."""
        return redirect("admin:markets_market_changelist")


@admin.register(MarketSettingsChange)
class MarketSettingsChangeAdmin(RequestAdmin):
    list_display = ("market", "settings_version", "outcome", "applied_at", "requested_by", "requested_at", "reason")
    list_filter = ("market",)
    list_select_related = ("market",)


@admin.register(MarketStateChange)
class MarketStateChangeAdmin(RequestAdmin):
    list_display = ("market", "state", "outcome", "requested_by", "requested_at", "reason")
    list_filter = ("market", "state")
    list_select_related = ("market",)


@admin.register(AssetClassChange)
class AssetClassChangeAdmin(RequestAdmin):
    list_display = ("asset", "asset_class", "shard", "outcome", "requested_by", "requested_at", "reason")
    list_filter = ("asset",)
    list_select_related = ("asset",)


@admin.register(ClassStateChange)
class ClassStateChangeAdmin(RequestAdmin):
    """Also the page that moves all markets of a class: first the form, then what it would move, then the answer."""

    list_display = ("asset_class", "state", "outcome", "went", "requested_by", "requested_at", "reason")
    list_filter = ("asset_class", "state")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("markets.move_market")

    @admin.display(description="moved")
    def went(self, change: ClassStateChange) -> str:
        return ", ".join(market.symbol for market in moved_by(change))

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = ClassStateForm(request.POST if request.method == "POST" else None)
        chosen = form.is_bound and form.is_valid()
        if chosen and "confirm" in request.POST:
            changes = form.request(staff_name(request))
            tell_answers(
                request,
                [(f"Class {change.asset_class} to {change.get_state_display().lower()}", change) for change in changes],
            )
            self._tell_who_stayed(request, changes)
            return redirect("admin:markets_market_changelist")
        context = self.admin_site.each_context(request) | {
            "title": "Move all markets of a class",
            "opts": self.opts,
            "form": form,
            "confirming": chosen,
            "now": with_current_states(markets_of_class(form.cleaned_data["asset_class"])) if chosen else None,
            "target": dict(form.fields["action"].choices)[form.cleaned_data["action"]] if chosen else "",  # type: ignore[attr-defined]
        }
        return TemplateResponse(request, "admin/markets/class_state.html", context)

    def _tell_who_stayed(self, request: HttpRequest, changes: list[ClassStateChange]) -> None:
        """An answer says that the engine has gone through the class; who was not moved has to be looked at alone."""
        for change in changes:
            change.refresh_from_db()
            stayed = [f"{market.symbol} ({market.get_state_display().lower()})" for market in not_moved_by(change)]
            if stayed:
                self.message_user(
                    request,
                    f"Class {change.asset_class}: {', '.join(stayed)} stayed. What is not launched or is closed"
                    " stays, and so does a market that may not go there; moved alone, it says why.",
                    messages.WARNING,
                )
