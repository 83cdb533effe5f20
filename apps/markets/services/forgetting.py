"""Once a day: candles of one second that are old go. Those of longer intervals stay for ever."""

from django.conf import settings
from django.db.models import Max

from apps.common.clock import now_ms
from apps.markets.intervals import DAY_MS
from apps.markets.models import Candle, Market
from apps.markets.policy import CANDLES_AT_ONCE
from nebannpet.batches import delete_in_batches


def forget_second_candles() -> int:
    """How many were deleted: those that began more than SECOND_CANDLES_KEEP_DAYS ago; none where that is 0.

    The last one of these stays in each market, since the seconds without trades after it have its close.
    """
    if not settings.SECOND_CANDLES_KEEP_DAYS:
        return 0
    kept_from_ms = now_ms() - settings.SECOND_CANDLES_KEEP_DAYS * DAY_MS
    deleted = 0
    for market_id in Market.objects.values_list("pk", flat=True):
        of_market = Candle.objects.filter(market=market_id, interval="1s")
        last_ms = of_market.filter(open_ms__lte=kept_from_ms).aggregate(last=Max("open_ms"))["last"]
        if last_ms is not None:
            deleted += delete_in_batches(of_market.filter(open_ms__lt=last_ms), at_once=CANDLES_AT_ONCE)
    return deleted
