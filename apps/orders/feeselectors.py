"""An account's fee tier, what it traded in the days that count, and what is missing to the next tier (T11, A8)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from django.conf import settings

from apps.accounts.models import AccountSettings, TradingAccount
from apps.common.amounts import format_units
from apps.markets.models import Market
from apps.orders.fee_tiers import SCALE, tier_of, volumes_of
from apps.orders.policy import VOLUME_TIERS


@dataclass(frozen=True, slots=True)
class Tier:
    """`tier` is the engine's; `by_volume` is what the volume of the days before today makes it.

    Amounts are decimal texts of VOLUME_ASSET; `missing` and `next_from` are empty in the highest tier. `percent` of the
    way from 0 to the next tier, 100 in the highest.
    """

    account: TradingAccount
    tier: int
    by_volume: int
    volume: str
    next_from: str
    missing: str
    percent: int


@dataclass(frozen=True, slots=True)
class MarketFees:
    """In percent of what is received, decimal texts, of one tier; a maker rate below zero is a rebate."""

    market: Market
    maker: str
    taker: str


def tiers_of(*, accounts: Sequence[TradingAccount], day: date) -> list[Tier]:
    """In the order of `accounts`. Raises UnknownVolumeAsset where that is not listed."""
    ids = [account.pk for account in accounts]
    volumes = volumes_of(ids, day)
    mirror = AccountSettings.objects.filter(shard=settings.SHARD, account_id__in=ids)
    tiers = dict(mirror.values_list("account_id", "fee_tier"))
    return [_tier(account, tiers.get(account.pk, 0), volumes.get(account.pk, 0)) for account in accounts]


def _tier(account: TradingAccount, tier: int, volume: int) -> Tier:
    reached = tier_of(volume)
    if reached + 1 == len(VOLUME_TIERS):
        return Tier(account, tier, reached, format_units(volume), "", "", 100)
    wanted = VOLUME_TIERS[reached + 1] * SCALE
    return Tier(
        account, tier, reached, format_units(volume), format_units(wanted), format_units(wanted - volume),
        volume * 100 // wanted,
    )  # fmt: skip


def fees_of(*, tier: int) -> list[MarketFees]:
    """Of every market of this shard; one without rates for the tier uses its last ones."""
    found = []
    for market in Market.objects.filter(shard=settings.SHARD).order_by("symbol"):
        maker, taker = market.fees[min(tier, len(market.fees) - 1)]
        # Parts of a million are ten-thousandths of a percent.
        found.append(MarketFees(market, format_units(maker, 4), format_units(taker, 4)))
    return found
