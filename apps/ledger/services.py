"""Money that enters or leaves by a command to the engine. Balances change when the engine's event is settled."""

from django.db import transaction

from apps.common.amounts import AMOUNT_MAX
from apps.ledger.errors import InvalidAccount, InvalidAmount
from apps.outbox.models import OutboxRow
from apps.outbox.services import enqueue
from apps.streams.commands import Credit, Debit
from apps.streams.kinds import Counterparty


def credit(
    *, account_id: int, asset_id: int, amount_units: int, key: str, counter: Counterparty = Counterparty.EXTERNAL
) -> OutboxRow:
    """Ask the engine to move `amount_units` from `counter` to what the account has available.

    Idempotent by `key`. Joins the caller's transaction, or runs its own. Raises InvalidAmount, InvalidAccount,
    InvalidKey, KeyReused; an unknown account is the engine's to refuse (the row ends as 'refused').
    """
    _check(account_id, asset_id, amount_units)
    command = Credit(
        relay_seq=0, source=0, account_id=account_id, asset_id=asset_id, amount_units=amount_units, counter=counter,
        key=key,
    )  # fmt: skip
    with transaction.atomic():
        return enqueue(key=key, command=command)


def debit(
    *, account_id: int, asset_id: int, amount_units: int, key: str, counter: Counterparty = Counterparty.EXTERNAL
) -> OutboxRow:
    """Ask the engine to move `amount_units` from what the account has available to `counter`; else as `credit`.

    The engine refuses it (INSUFFICIENT_BALANCE) where less is available.
    """
    _check(account_id, asset_id, amount_units)
    command = Debit(
        relay_seq=0, source=0, account_id=account_id, asset_id=asset_id, amount_units=amount_units, counter=counter,
        key=key,
    )  # fmt: skip
    with transaction.atomic():
        return enqueue(key=key, command=command)


def _check(account_id: int, asset_id: int, amount_units: int) -> None:
    if type(amount_units) is not int or not 0 < amount_units <= AMOUNT_MAX:
        raise InvalidAmount(f"An amount is a whole number of units from 1 to {AMOUNT_MAX}, not {amount_units!r}.")
    if type(account_id) is not int or not 0 < account_id < 2**63:
        raise InvalidAccount(f"{account_id!r} is not an account number.")
    if type(asset_id) is not int or not 0 < asset_id < 2**31:
        raise InvalidAccount(f"{asset_id!r} is not an asset number.")
