"""The page of fee tiers (requirement A8)."""

from typing import Any, cast

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from apps.accounts.models import User
from apps.accounts.selectors import accounts_of
from apps.orders.errors import UnknownVolumeAsset
from apps.orders.fee_tiers import today
from apps.orders.feeselectors import fees_of, tiers_of
from apps.orders.policy import VOLUME_ASSET, VOLUME_DAYS, VOLUME_TIERS


@login_required
@never_cache
@require_GET
def fees_page(request: HttpRequest) -> HttpResponse:
    """Rates are those of the master account's tier."""
    accounts = list(accounts_of(user_id=cast(User, request.user).pk))
    context: dict[str, Any] = {
        "asset": VOLUME_ASSET, "days": VOLUME_DAYS,
        "steps": [(tier, str(volume)) for tier, volume in enumerate(VOLUME_TIERS)],
    }  # fmt: skip
    try:
        tiers = tiers_of(accounts=accounts, day=today())
    except UnknownVolumeAsset as error:
        context["unknown"] = error.message
    else:
        context |= {"tiers": tiers, "fees": fees_of(tier=tiers[0].tier)}
    return render(request, "orders/fees.html", context)
