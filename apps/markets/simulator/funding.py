"""The participants' accounts: demo accounts of the accounts service, funded by ledger credits through the outbox."""

import secrets
from typing import Final

from django.db import transaction

from apps.accounts.services.demo import make_demo_account
from apps.common.amounts import parse_decimal
from apps.ledger.models import Balance
from apps.ledger.services import credit
from apps.markets.models import Asset
from apps.markets.simulator.session import Credentials
from apps.outbox.models import OutboxRow, OutboxState

# What an account is filled up to when it has less than a quarter of it.
TARGETS: Final = {"BTC": "400", "ETH": "8000", "BNB": "40000", "LTC": "250000", "USDT": "40000000"}
REFILL_BELOW: Final = 4


def make_account(name: str) -> Credentials:
    """The participant's demo account with a fresh key; its earlier key stops working."""
    account = make_demo_account(name=name, is_staff=False)
    return Credentials(name, account.account_id, account.api_key, account.api_secret)


def refill(account_ids: list[int]) -> int:
    """Credit what runs low; returns how many credits were asked for. One that is still on its way is not repeated."""
    assets = {asset.code: asset.pk for asset in Asset.objects.filter(code__in=TARGETS)}
    credits = 0
    with transaction.atomic():
        for account_id in account_ids:
            has = {
                balance.asset_id: balance.available_units + balance.held_units
                for balance in Balance.objects.filter(account_id=account_id)
            }
            for code, asset_id in assets.items():
                target = parse_decimal(TARGETS[code])
                prefix = f"simulator:{account_id}:{asset_id}:"
                if has.get(asset_id, 0) * REFILL_BELOW < target and not _waiting(prefix):
                    credit(
                        account_id=account_id,
                        asset_id=asset_id,
                        amount_units=target - has.get(asset_id, 0),
                        key=prefix + secrets.token_hex(8),
                    )
                    credits += 1
    return credits


def funds_on_their_way(account_ids: list[int]) -> bool:
    return any(_waiting(f"simulator:{account_id}:") for account_id in account_ids)


def _waiting(prefix: str) -> bool:
    return OutboxRow.objects.filter(key__startswith=prefix, state=OutboxState.WAITING).exists()
