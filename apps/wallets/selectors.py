"""Reads: what a user has in all accounts together, and transfers between them."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from django.conf import settings

from apps.accounts.models import TradingAccount
from apps.common.amounts import format_units
from apps.ledger.models import Balance
from apps.markets.models import Asset, Market
from apps.orders.lastprices import last_prices
from apps.outbox.models import OutboxRow, OutboxState
from apps.streams.kinds import Reason
from apps.wallets.models import InternalTransfer
from apps.wallets.policy import TRANSFERS_ON_A_PAGE
from apps.wallets.valuation import rates_in, value_units

_MEANINGS: Final = {
    Reason.INSUFFICIENT_BALANCE: "less than that was available",
    Reason.UNKNOWN_ACCOUNT: "the engine does not know the account yet; try again",
    Reason.UNKNOWN_ASSET: "the engine does not know the asset",
}


@dataclass(frozen=True, slots=True)
class Holding:
    """What an account has of an asset. Decimal texts."""

    account: TradingAccount
    available: str
    held: str


@dataclass(slots=True)
class AssetTotal:
    """What a user has of an asset, over all accounts; `holdings` are those that have any, the master first.

    `value` is what all of it is worth, a decimal text; empty where no price says so.
    """

    asset: Asset
    available_units: int = 0
    held_units: int = 0
    holdings: list[Holding] = field(default_factory=list)
    value: str = ""

    @property
    def available(self) -> str:
        return format_units(self.available_units)

    @property
    def held(self) -> str:
        return format_units(self.held_units)

    @property
    def total(self) -> str:
        return format_units(self.available_units + self.held_units)


def totals(*, accounts: Sequence[TradingAccount], asset_ids: Collection[int] | None = None) -> list[AssetTotal]:
    """By asset id, those of which there is any, as settled (apps/ledger: proven against the entries). Of all assets, or
    of these."""
    order = {account.pk: (position, account) for position, account in enumerate(accounts)}
    balances = Balance.objects.filter(shard=settings.SHARD, account_id__in=order)
    rows = list(balances if asset_ids is None else balances.filter(asset_id__in=asset_ids))
    found = {asset.pk: AssetTotal(asset) for asset in Asset.objects.filter(pk__in={row.asset_id for row in rows})}
    for row in sorted(rows, key=lambda row: order[row.account_id][0]):
        if row.available_units or row.held_units:
            total = found[row.asset_id]
            total.available_units += row.available_units
            total.held_units += row.held_units
            total.holdings.append(
                Holding(order[row.account_id][1], format_units(row.available_units), format_units(row.held_units))
            )
    return [total for _, total in sorted(found.items()) if total.holdings]


@dataclass(frozen=True, slots=True)
class Worth:
    """Of everything together, in `asset`: a decimal text; without what no price is known for, by code in `unpriced`."""

    asset: Asset
    value: str
    unpriced: list[str]


def value_totals(*, found: Sequence[AssetTotal], asset: Asset) -> Worth:
    """Write into each of `found` what it is worth in `asset`, by the last prices of this shard's markets."""
    markets = list(Market.objects.filter(shard=settings.SHARD))
    rates = rates_in(asset.pk, markets, last_prices([market.pk for market in markets]))
    units = 0
    for total in found:
        rate = rates.get(total.asset.pk)
        if rate is not None:
            worth = value_units(total.available_units + total.held_units, rate)
            total.value = format_units(worth)
            units += worth
    return Worth(asset, format_units(units), [total.asset.code for total in found if not total.value])


@dataclass(frozen=True, slots=True)
class Answer:
    """What the engine said to a transfer. `why` says why not, where it was refused."""

    state: OutboxState
    why: str = ""


@dataclass(frozen=True, slots=True)
class ShownTransfer:
    """A line of the history; `amount` is a decimal text."""

    id: int
    requested_at: datetime
    from_account: TradingAccount
    to_account: TradingAccount
    asset: str
    amount: str
    answer: Answer


@dataclass(frozen=True, slots=True)
class History:
    """One page, newest first; `before` is the cursor of the next one, None on the last."""

    transfers: list[ShownTransfer]
    before: int | None


def answer_of(row: OutboxRow) -> Answer:
    """In words; a reason without words of its own is said by its name."""
    if not row.reason:
        return Answer(OutboxState(row.state))
    reason = Reason(row.reason)
    return Answer(OutboxState(row.state), _MEANINGS.get(reason, reason.name.replace("_", " ").lower()))


def history(*, user_id: int, accounts: Iterable[TradingAccount], before: int | None = None) -> History:
    """The user's transfers with ids below `before`, or the newest. `accounts` are all of the user."""
    rows = InternalTransfer.objects.filter(owner_id=user_id).order_by("-id")
    if before is not None:
        rows = rows.filter(id__lt=before)
    found = list(rows[: TRANSFERS_ON_A_PAGE + 1])
    shown = found[:TRANSFERS_ON_A_PAGE]
    by_key = {row.key: row for row in OutboxRow.objects.filter(key__in=[each.outbox_key for each in shown])}
    codes = dict(Asset.objects.filter(pk__in={each.asset_id for each in shown}).values_list("pk", "code"))
    named = {account.pk: account for account in accounts}
    lines = [
        ShownTransfer(
            id=each.pk,
            requested_at=each.requested_at,
            from_account=named[each.from_account_id],
            to_account=named[each.to_account_id],
            asset=codes[each.asset_id],
            amount=format_units(each.amount_units),
            answer=answer_of(by_key[each.outbox_key]),
        )
        for each in shown
    ]
    return History(lines, shown[-1].pk if len(found) > len(shown) else None)
