"""Pages and files of a user's orders and trades, of all own accounts (requirement A8)."""

import csv
import io
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any, cast
from zoneinfo import ZoneInfo

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from apps.accounts.models import User
from apps.accounts.selectors import accounts_of
from apps.accounts.streaming import streamed
from apps.accounts.views.forms import form_page
from apps.markets.models import Market
from apps.orders.history import all_orders, all_trades, orders_page, trades_page
from apps.orders.historyforms import HistoryForm
from apps.orders.historyrows import ORDER_COLUMNS, TRADE_COLUMNS, ShownOrder, ShownTrade
from apps.orders.policy import ROWS_IN_A_FILE_MAX, ROWS_IN_A_PART, ROWS_ON_A_PAGE
from apps.web.cursors import read_cursor


@login_required
@never_cache
@require_GET
def orders_view(request: HttpRequest) -> HttpResponse:
    form, markets, where = _asked(request, with_state=True)
    before = read_cursor(request.GET.get("before"))
    context: dict[str, Any] = {"rows": [], "older": None}
    if form.is_valid() and markets:
        page = orders_page(form.chosen(where), limit=ROWS_ON_A_PAGE, before=before)
        context = {"rows": [ShownOrder(order, markets[order.market_id]) for order in page.rows], "older": page.before}
    return _rendered(request, "orders/order_history.html", form, context)


@login_required
@never_cache
@require_GET
def trades_view(request: HttpRequest) -> HttpResponse:
    form, markets, where = _asked(request, with_state=False)
    before = read_cursor(request.GET.get("before"))
    context: dict[str, Any] = {"rows": [], "older": None}
    if form.is_valid() and markets:
        page = trades_page(form.chosen(where), limit=ROWS_ON_A_PAGE, before=before)
        context = {"rows": [ShownTrade(own, markets[own.trade.market_id]) for own in page.rows], "older": page.before}
    return _rendered(request, "orders/trade_history.html", form, context)


@login_required
@never_cache
@require_GET
def orders_file(request: HttpRequest) -> HttpResponseBase:
    """What the page shows with the same parameters, all pages of it; times in UTC."""
    form, markets, where = _asked(request, with_state=True)
    if not form.is_valid():
        return _rendered(request, "orders/order_history.html", form, {"rows": [], "older": None})
    parts = all_orders(form.chosen(where), chunk=ROWS_IN_A_PART) if markets else iter([])
    rows = (ShownOrder(order, markets[order.market_id]).cells() for part in parts for order in part)
    return _file("orders", ORDER_COLUMNS, rows)


@login_required
@never_cache
@require_GET
def trades_file(request: HttpRequest) -> HttpResponseBase:
    form, markets, where = _asked(request, with_state=False)
    if not form.is_valid():
        return _rendered(request, "orders/trade_history.html", form, {"rows": [], "older": None})
    parts = all_trades(form.chosen(where), chunk=ROWS_IN_A_PART) if markets else iter([])
    rows = (ShownTrade(own, markets[own.trade.market_id]).cells() for part in parts for own in part)
    return _file("trades", TRADE_COLUMNS, rows)


def _asked(request: HttpRequest, *, with_state: bool) -> tuple[HistoryForm, dict[int, Market], ZoneInfo]:
    user = cast(User, request.user)
    markets = list(Market.objects.filter(shard=settings.SHARD).select_related("base_asset", "quote_asset"))
    form = HistoryForm(
        request.GET, accounts=list(accounts_of(user_id=user.pk)), markets=markets, with_state=with_state
    )  # fmt: skip
    return form, {market.pk: market for market in markets}, ZoneInfo(user.time_zone)


def _rendered(request: HttpRequest, template: str, form: HistoryForm, context: dict[str, Any]) -> HttpResponse:
    """`query`: the filters again, for the links to the file and to the next page."""
    query = request.GET.copy()
    query.pop("before", None)
    known = {"form": form, "zone": cast(User, request.user).time_zone, "query": query.urlencode()}
    known["rows_max"] = f"{ROWS_IN_A_FILE_MAX:,}"
    return form_page(request, template, known | context, form)


def _file(name: str, columns: Sequence[str], rows: Iterator[Sequence[str]]) -> HttpResponseBase:
    """At most ROWS_IN_A_FILE_MAX of the newest rows."""
    return streamed(
        _lines(columns, islice(rows, ROWS_IN_A_FILE_MAX)),
        content_type="text/csv; charset=utf-8",
        filename=f"nebannpet-{name}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.csv",
    )


def _lines(columns: Sequence[str], rows: Iterator[Sequence[str]]) -> Iterator[str]:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(columns)
    while part := list(islice(rows, ROWS_IN_A_PART)):
        writer.writerows(part)
        yield text.getvalue()
        text.seek(0)
        text.truncate()
    yield text.getvalue()
