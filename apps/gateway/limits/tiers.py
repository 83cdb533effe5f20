"""The limits as data: one row a tier. Request weight and requests count by address, orders by account.

Production has them as they stand here; RATE_LIMIT_FACTOR multiplies them (development: 100). Tier `demo` has at least
DEMO_FACTOR times production everywhere, so that a load test measures the exchange and not its limits.
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

STANDARD: Final = "standard"
DEMO: Final = "demo"
DEMO_FACTOR: Final = 100


class Tier(NamedTuple):
    """At most so much in one window. Windows are fixed: a minute begins at second 0, a day at midnight UTC."""

    weight_per_minute: int
    wallet_weight_per_minute: int
    requests_per_5_minutes: int
    orders_per_10_s: int
    orders_per_day: int

    def times(self, factor: int) -> "Tier":
        return Tier(
            self.weight_per_minute * factor,
            self.wallet_weight_per_minute * factor,
            self.requests_per_5_minutes * factor,
            self.orders_per_10_s * factor,
            self.orders_per_day * factor,
        )


PRODUCTION: Final = Tier(
    weight_per_minute=6_000,
    wallet_weight_per_minute=12_000,
    requests_per_5_minutes=61_000,
    orders_per_10_s=100,
    orders_per_day=200_000,
)


def tiers(factor: int) -> dict[str, Tier]:
    return {STANDARD: PRODUCTION.times(factor), DEMO: PRODUCTION.times(max(factor, DEMO_FACTOR))}


def tier_of(known: Mapping[str, Tier], name: str) -> Tier:
    """A tier without limits of its own has those of everybody."""
    return known.get(name) or known[STANDARD]


# -- as the dialect shows them ----------------------------------------------------------------------------------------
def _row(kind: str, interval: str, number: int, limit: int, count: int | None) -> dict[str, Any]:
    row: dict[str, Any] = {"rateLimitType": kind, "interval": interval, "intervalNum": number, "limit": limit}
    return row if count is None else {**row, "count": count}


def weight_row(tier: Tier, count: int | None = None) -> dict[str, Any]:
    return _row("REQUEST_WEIGHT", "MINUTE", 1, tier.weight_per_minute, count)


def order_rows(tier: Tier, counts: tuple[int, int] | None = None) -> list[dict[str, Any]]:
    """`counts`: of these ten seconds and of this day."""
    ten_seconds, day = counts if counts is not None else (None, None)
    return [
        _row("ORDERS", "SECOND", 10, tier.orders_per_10_s, ten_seconds),
        _row("ORDERS", "DAY", 1, tier.orders_per_day, day),
    ]


def all_rows(tier: Tier) -> list[dict[str, Any]]:
    """`rateLimits` of exchangeInfo."""
    return [
        weight_row(tier),
        *order_rows(tier),
        _row("RAW_REQUESTS", "MINUTE", 5, tier.requests_per_5_minutes, None),
    ]
