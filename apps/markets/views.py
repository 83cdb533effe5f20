"""The market list and the trading page (U1). They hold no market data: the page asks the trading API for that."""

from collections.abc import Sequence
from typing import Final
from urllib.parse import urlencode

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_safe

from apps.accounts.models import AllocationRule, TradingAccount
from apps.accounts.selectors import accounts_of, allocation_rules_of
from apps.common.amounts import format_units
from apps.markets.models import Candle, Market

# One part per million is 10^-6; rates go to the page as decimals with 8 places, like every other amount.
UNITS_PER_PPM: Final = 100


@require_safe
def market_list(request: HttpRequest) -> HttpResponse:
    """Every market; the figures arrive live."""
    return render(request, "markets/list.html", {"simulated": _is_simulated(None)})


@require_safe
def trade_default(request: HttpRequest) -> HttpResponse:
    """`/trade` leads to the first market, for the same account, or to the empty list when there is none."""
    market = Market.objects.filter(shard=settings.SHARD).first()
    if market is None:
        return redirect("markets:list")
    address, account = reverse("markets:trade", kwargs={"symbol": market.symbol}), request.GET.get("account")
    return redirect(address if account is None else f"{address}?{urlencode({'account': account})}")


@require_safe
@ensure_csrf_cookie
def trade(request: HttpRequest, symbol: str) -> HttpResponse:
    """The trading page of one market, for the master account or the user's account that `?account=` names.

    404 for a symbol that does not exist, and for an account that is not the user's.
    """
    of_shard = Market.objects.filter(shard=settings.SHARD)
    market = get_object_or_404(of_shard.select_related("base_asset", "quote_asset"), symbol=symbol)
    maker_ppm, taker_ppm = market.fees[0]
    accounts = list(accounts_of(user_id=request.user.pk)) if request.user.is_authenticated else []
    trading_as = _chosen(request, accounts)
    context = {
        "market": market,
        "accounts": accounts,
        "trading_as": trading_as,
        "allocation_rules": _rules(trading_as),
        "maker_rate": format_units(maker_ppm * UNITS_PER_PPM),
        "taker_rate": format_units(taker_ppm * UNITS_PER_PPM),
        "simulated": _is_simulated(market),
    }
    return render(request, "markets/trade.html", context)


def _chosen(request: HttpRequest, accounts: Sequence[TradingAccount]) -> TradingAccount | None:
    """The account that the page trades as; None where nobody is logged in and the address names none."""
    wanted = request.GET.get("account")
    if wanted is None:
        return accounts[0] if accounts else None
    for account in accounts:
        if str(account.pk) == wanted:
            return account
    raise Http404("You have no such account.")


def _rules(trading_as: TradingAccount | None) -> Sequence[AllocationRule]:
    """What block orders may name (T12): rules are the master account's."""
    if trading_as is None or not trading_as.is_main:
        return []
    return list(allocation_rules_of(account_id=trading_as.pk))


def _is_simulated(market: Market | None) -> bool:
    """True when the simulator trades here now or made part of the history: the page must say so (issue 3, item 12)."""
    if settings.SIMULATOR:
        return True
    months = Candle.objects.filter(interval="1M", simulated=True)
    return (months if market is None else months.filter(market=market)).exists()
