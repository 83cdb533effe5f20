"""What the file of own data has of orders and trades (apps/accounts/owndata.py): columns as in the CSV files."""

from collections.abc import Iterator

from django.conf import settings

from apps.accounts.owndata import ROWS_AT_ONCE, Row, data_part
from apps.accounts.selectors import accounts_of
from apps.markets.models import Market
from apps.orders.history import Filter, all_orders, all_trades
from apps.orders.historyrows import ORDER_COLUMNS, TRADE_COLUMNS, ShownOrder, ShownTrade


@data_part("orders")
def orders(user_id: int) -> Iterator[list[Row]]:
    chosen, markets = _all_of(user_id)
    if markets:
        for part in all_orders(chosen, chunk=ROWS_AT_ONCE):
            cells = [ShownOrder(order, markets[order.market_id]).cells() for order in part]
            yield [dict(zip(ORDER_COLUMNS, each, strict=True)) for each in cells]


@data_part("trades")
def trades(user_id: int) -> Iterator[list[Row]]:
    chosen, markets = _all_of(user_id)
    if markets:
        for part in all_trades(chosen, chunk=ROWS_AT_ONCE):
            cells = [ShownTrade(own, markets[own.trade.market_id]).cells() for own in part]
            yield [dict(zip(TRADE_COLUMNS, each, strict=True)) for each in cells]


def _all_of(user_id: int) -> tuple[Filter, dict[int, Market]]:
    markets = {
        market.pk: market
        for market in Market.objects.filter(shard=settings.SHARD).select_related("base_asset", "quote_asset")
    }
    return Filter(accounts=[each.pk for each in accounts_of(user_id=user_id)], markets=list(markets)), markets
