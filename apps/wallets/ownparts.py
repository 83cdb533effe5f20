"""What the file of a user's own data has of balances and transfers (apps/accounts/owndata.py). Decimal texts."""

from collections.abc import Iterator

from apps.accounts.models import TradingAccount
from apps.accounts.owndata import Row, data_part, in_lists
from apps.common.amounts import format_units
from apps.ledger.models import Balance
from apps.markets.models import Asset
from apps.outbox.models import OutboxRow
from apps.wallets.models import InternalTransfer


@data_part("balances")
def balances(user_id: int) -> Iterator[list[Row]]:
    codes = _codes()
    owned = TradingAccount.objects.filter(owner=user_id).values("pk")
    for rows in in_lists(Balance.objects.filter(account_id__in=owned)):
        yield [
            {
                "account": row.account_id, "asset": codes[row.asset_id], "available": format_units(row.available_units),
                "in_orders": format_units(row.held_units),
            }
            for row in rows
        ]  # fmt: skip


@data_part("transfers")
def transfers(user_id: int) -> Iterator[list[Row]]:
    codes = _codes()
    for rows in in_lists(InternalTransfer.objects.filter(owner=user_id)):
        keys = [row.outbox_key for row in rows]
        states = dict(OutboxRow.objects.filter(key__in=keys).values_list("key", "state"))
        yield [
            {
                "requested_at": row.requested_at, "client_id": row.client_id, "from_account": row.from_account_id,
                "to_account": row.to_account_id, "asset": codes[row.asset_id], "amount": format_units(row.amount_units),
                "state": states[row.outbox_key],
            }
            for row in rows
        ]  # fmt: skip


def _codes() -> dict[int, str]:
    return dict(Asset.objects.values_list("pk", "code"))
