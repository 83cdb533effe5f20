"""30-day volume decides the fee tier (T11): computed here from the trade record, sent to the engine as commands.

The volume of a UTC day's computation is that of the 30 whole days before it, so it is the same whenever it is made.
Each side of a trade counts, a block order for its owner. What a market trades in another asset than the one in which
volumes are counted is turned into it at the last price, before that day, of the market between the two; where there is
no such market, or it never traded, it does not count.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Final

from django.db import connection, transaction

from apps.accounts.services.families import lock_account_settings
from apps.audit.actors import acting
from apps.audit.services import record
from apps.markets.models import Asset, Market
from apps.matching.models import Watermark
from apps.orders.errors import SettlementBehind, TiersComputed, UnknownVolumeAsset
from apps.orders.history import trade_ranges
from apps.orders.lastprices import last_prices
from apps.orders.models import FeeTierChange, TradedVolume
from apps.orders.policy import VOLUME_ASSET, VOLUME_DAYS, VOLUME_TIERS
from apps.orders.settlement.transaction import READER
from apps.outbox.services import enqueue
from apps.streams.bus.base import Bus
from apps.streams.commands import SetAccount
from apps.streams.kinds import AccountFlag

SCALE: Final = 10**8
DAY_MS: Final = 86_400_000

_VOLUMES: Final = """
SELECT account_id, market_id, sum(quote_units), sum(quantity_lots)
  FROM (SELECT maker_account_id AS account_id, market_id, quote_units, quantity_lots FROM orders_trade
         WHERE time_ms >= %(from_ms)s AND time_ms < %(to_ms)s
        UNION ALL
        SELECT taker_account_id, market_id, quote_units, quantity_lots FROM orders_trade
         WHERE time_ms >= %(from_ms)s AND time_ms < %(to_ms)s) AS sides
 GROUP BY account_id, market_id
"""
# Of a few accounts, by their index: [account, market] by the range of trade ids that the days have in the market.
_OWN_VOLUMES: Final = """
SELECT account, market, sum(quote_units), sum(quantity_lots)
  FROM unnest(%(accounts)s::bigint[]) AS of_account(account),
       unnest(%(markets)s::integer[], %(lows)s::bigint[], %(highs)s::bigint[]) AS in_market(market, low, high),
       LATERAL (SELECT quote_units, quantity_lots FROM orders_trade
                 WHERE maker_account_id = account AND market_id = market AND trade_id >= low AND trade_id < high
                UNION ALL
                SELECT quote_units, quantity_lots FROM orders_trade
                 WHERE taker_account_id = account AND market_id = market AND trade_id >= low AND trade_id < high
               ) AS sides
 GROUP BY account, market
"""
_KEEP: Final = """
INSERT INTO orders_tradedvolume (account_id, day, volume_units)
SELECT account, %s, volume FROM unnest(%s::bigint[], %s::bigint[]) AS traded(account, volume)
"""
_TIERS: Final = """
SELECT DISTINCT ON (account_id) account_id, tier FROM orders_feetierchange ORDER BY account_id, day DESC
"""


@dataclass(frozen=True, slots=True)
class Computed:
    """`changes` are the tiers that accounts moved to, by account."""

    accounts: int
    changes: dict[int, int]


def tier_of(volume_units: int) -> int:
    """The highest tier whose volume was reached."""
    return max(tier for tier, volume in enumerate(VOLUME_TIERS) if volume_units >= volume * SCALE)


def volumes(day: date) -> dict[int, int]:
    """Units of VOLUME_ASSET by account, traded in the VOLUME_DAYS before `day` (UTC)."""
    from_ms, to_ms = _window(day)
    rates = _Rates(to_ms)
    with connection.cursor() as cursor:
        cursor.execute(_VOLUMES, {"from_ms": from_ms, "to_ms": to_ms})
        return _added(rates, cursor.fetchall())


def volumes_of(account_ids: Sequence[int], day: date) -> dict[int, int]:
    """The same of these accounts alone; those that traded nothing are not in it.

    Reads their trades only until the tiers of `day` have been computed: a busy account has millions.
    """
    if TradedVolume.objects.order_by("pk").values_list("day", flat=True).first() == day:
        return dict(TradedVolume.objects.filter(pk__in=account_ids).values_list("account_id", "volume_units"))
    from_ms, to_ms = _window(day)
    rates = _Rates(to_ms)
    ranges = trade_ranges(list(rates.markets), from_ms, to_ms)
    with connection.cursor() as cursor:
        cursor.execute(
            _OWN_VOLUMES,
            {
                "accounts": list(account_ids), "markets": list(ranges),
                "lows": [low for low, _ in ranges.values()], "highs": [high for _, high in ranges.values()],
            },
        )  # fmt: skip
        return _added(rates, cursor.fetchall())


def _window(day: date) -> tuple[int, int]:
    to_ms = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1_000
    return to_ms - VOLUME_DAYS * DAY_MS, to_ms


class _Rates:
    """What the volumes of markets are worth in VOLUME_ASSET, before a time. Raises UnknownVolumeAsset.

    Three queries, however many markets there are.
    """

    def __init__(self, before_ms: int) -> None:
        counted = Asset.objects.filter(code=VOLUME_ASSET).first()
        if counted is None:
            raise UnknownVolumeAsset(f"Volumes are counted in {VOLUME_ASSET}, which is not listed.")
        self._counted = counted
        self.markets = {market.id: market for market in Market.objects.all()}
        # By the asset that is turned into the counted one: the markets between the two.
        between: dict[int, list[Market]] = {}
        for market in self.markets.values():
            if market.quote_asset_id == counted.id:
                between.setdefault(market.base_asset_id, []).append(market)
        prices = last_prices([market.id for each in between.values() for market in each], before_ms)
        self._rates = {market_id: _rate(market, counted, between, prices) for market_id, market in self.markets.items()}

    def units(self, market_id: int, quote_units: int, lots: int) -> int:
        if self.markets[market_id].base_asset_id == self._counted.id:
            return lots * self.markets[market_id].lot_size
        return quote_units * self._rates[market_id] // SCALE


def _added(rates: _Rates, rows: Sequence[tuple[int, int, int, int]]) -> dict[int, int]:
    """Sums by account of (account, market, quote units, lots)."""
    found: dict[int, int] = {}
    for account_id, market_id, quote_units, lots in rows:
        found[account_id] = found.get(account_id, 0) + rates.units(market_id, int(quote_units), int(lots))
    return found


def _rate(market: Market, counted: Asset, between: dict[int, list[Market]], prices: dict[int, int]) -> int:
    """10^-8 of the counted asset for one whole unit of what the market is quoted in, 0 where nothing says so."""
    if market.quote_asset_id == counted.id:
        return SCALE
    for each in between.get(market.quote_asset_id, ()):
        if each.id in prices:
            return prices[each.id] * each.tick_size
    return 0


def update_fee_tiers(*, day: date) -> Computed:
    """Compute the tiers of `day`, keep the volumes and send what has changed, in one transaction. Once more for the
    same day: no effect.

    TiersComputed where a later day's tiers have been sent: older ones must not replace them.
    """
    with transaction.atomic():
        lock_account_settings()
        last = FeeTierChange.objects.order_by("-day").values_list("day", flat=True).first()
        if last is not None and last > day:
            raise TiersComputed(f"The tiers of {last} have been sent; those of {day} would be older.")
        found = volumes(day)
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM orders_tradedvolume")
            cursor.execute(_KEEP, [day, list(found), list(found.values())])
            cursor.execute(_TIERS)
            current: dict[int, int] = dict(cursor.fetchall())
        changes: dict[int, int] = {}
        for account_id in sorted(found.keys() | current.keys()):
            volume = found.get(account_id, 0)
            tier = tier_of(volume)
            if tier == current.get(account_id, 0):
                continue
            key = f"fee-tier:{account_id}:{day:%Y-%m-%d}"
            FeeTierChange.objects.create(
                account_id=account_id, day=day, tier=tier, volume_units=volume, outbox_key=key
            )  # fmt: skip
            record(
                actor=acting(),
                action="account.fee-tier",
                object=f"account:{account_id}",
                before={"tier": current.get(account_id, 0)},
                after={"tier": tier, "volume_units": str(volume), "day": f"{day:%Y-%m-%d}"},
            )
            enqueue(
                key=key,
                command=SetAccount(
                    relay_seq=0, source=0, flags=AccountFlag.KEEP_FAMILY, account_id=account_id, fee_tier=tier
                ),
            )  # fmt: skip
            changes[account_id] = tier
    return Computed(len(found), changes)


def check_settled(bus: Bus) -> None:
    """SettlementBehind unless the record has all that is in the log now, so all trades of the days before today."""
    head = bus.head().seq
    settled = Watermark.objects.filter(shard=bus.shard, reader=READER).values_list("seq", flat=True).first() or 0
    if settled < head:
        raise SettlementBehind(f"Settled up to event {settled} of {head}: wait until settlement has caught up.")


def today() -> date:
    return datetime.now(UTC).date()
