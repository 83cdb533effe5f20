"""Reads."""

from django.db import connection
from django.db.models import Q, QuerySet

from apps.common.clock import now_ms
from apps.controls.halts import Halt, Halts
from apps.markets.intervals import INTERVALS
from apps.markets.klines import BARS, FIRST_OPEN, bars_parameters, fill, plan
from apps.markets.marketdata.bars import Bar
from apps.markets.models import Asset, ClassStateChange, Market
from apps.markets.policy import KLINES_LIMIT_MAX
from apps.markets.statesnow import with_current_states


def klines(
    market_id: int, interval: str, start_ms: int | None = None, end_ms: int | None = None, limit: int = 500
) -> list[Bar]:
    """Bars oldest first, empty ones filled, as klines.plan says. ValueError for an unknown interval or limit."""
    if interval not in INTERVALS:
        raise ValueError(f"There is no interval {interval!r}.")
    if not 1 <= limit <= KLINES_LIMIT_MAX:
        raise ValueError(f"limit must be between 1 and {KLINES_LIMIT_MAX}.")
    with connection.cursor() as cursor:
        cursor.execute(FIRST_OPEN, (market_id, interval))
        (first_open_ms,) = cursor.fetchone()
        opens = plan(
            interval, first_open_ms=first_open_ms, now_ms=now_ms(), start_ms=start_ms, end_ms=end_ms, limit=limit
        )
        if not opens:
            return []
        cursor.execute(BARS, bars_parameters(market_id, interval, opens))
        return fill(opens, cursor.fetchall())


def find_asset_subject(typed: str) -> str | None:
    """For switches: the code of the asset that was typed, in whatever case."""
    return Asset.objects.filter(code=typed.upper()).values_list("code", flat=True).first()


def find_class_subject(typed: str) -> str | None:
    """For switches: the name of the class, if an asset is of it."""
    return typed if typed in asset_classes() else None


def halts() -> Halts:
    """Markets that were launched and are not open, with why and until when."""
    now = with_current_states(Market.objects.all())
    return Halts(
        [
            Halt(market.symbol, market.get_state_display(), market.get_state_cause_display(), market.state_ends)
            for market in now.markets
            if market.state not in (Market.State.OPEN, Market.State.PRE_LAUNCH)
        ],
        now.is_live,
    )


def asset_classes() -> list[str]:
    """Those that an asset is of, in order."""
    return sorted(set(Asset.objects.exclude(asset_class="").values_list("asset_class", flat=True)))


def markets_of_class(asset_class: str) -> QuerySet[Market]:
    """By id, as far as the settled record knows."""
    return Market.objects.filter(
        Q(base_asset__asset_class=asset_class) | Q(quote_asset__asset_class=asset_class)
    ).order_by("id")


def moved_by(change: ClassStateChange) -> QuerySet[Market]:
    """The markets that the engine moved, by id."""
    return Market.objects.filter(id__in=change.moved or ()).order_by("id")


def not_moved_by(change: ClassStateChange) -> QuerySet[Market]:
    """Markets that are of the class now and were not moved; none as long as the engine has not answered."""
    if change.moved is None:
        return Market.objects.none()
    return markets_of_class(change.asset_class).filter(shard=change.shard).exclude(id__in=change.moved)
