"""Closing an account: nothing may be left in it, and nothing may come into it any more (requirement A8).

The engine owns balances, and what is judged here is the settled record, which may be behind it. One look is enough
nevertheless, because nothing is a state that a set of accounts cannot leave by itself: without money no order is
accepted and no transfer done, and the family trades with nobody else's money. Only a credit ends it, and credits come
through the outbox, where their rows wait until they are settled: while one waits, or a transfer does, the account is
not closed. Transfers, new keys and new sub-accounts take the rows that are locked here, and find the accounts frozen.
"""

from typing import Final

from django.db import transaction

from apps.accounts.errors import CannotClose
from apps.accounts.facts import Facts
from apps.accounts.models import TradingAccount, User
from apps.accounts.rules import Action
from apps.accounts.services.closing import end_account, lock_to_close
from apps.accounts.services.decisions import decide_now
from apps.common.amounts import for_reading, format_units
from apps.ledger.models import Balance
from apps.markets.models import Asset
from apps.orders.models import OPEN_STATUSES, Order
from apps.outbox.models import OutboxRow, OutboxState
from apps.streams.codec import decode_command
from apps.streams.kinds import CommandKind

_MONEY: Final = [
    int(kind)
    for kind in (
        CommandKind.CREDIT, CommandKind.DEBIT, CommandKind.HOLD, CommandKind.RELEASE, CommandKind.CAPTURE,
        CommandKind.TRANSFER,
    )
]  # fmt: skip


def what_is_left(*, user: User) -> list[str]:
    """Sentences, each of one thing that keeps the account from being closed; on every shard."""
    accounts = set(TradingAccount.objects.filter(owner=user).values_list("pk", flat=True))
    found = []
    if user.is_staff:
        found.append("This is an account of staff: ask another staff member to take your rights first.")
    if funds := _funds(accounts):
        found.append(f"There are funds: {', '.join(funds)}.")
    if orders := Order.objects.filter(
        account_id__in=accounts, status__in=[int(each) for each in OPEN_STATUSES]
    ).count():
        found.append(f"Orders are open: {orders}. Cancel them first.")
    if _is_money_on_its_way(accounts):
        found.append("Funds are on their way to or from your accounts. Try again in a minute.")
    return found


def _funds(accounts: set[int]) -> list[str]:
    units: dict[int, int] = {}
    for row in Balance.objects.filter(account_id__in=accounts).exclude(available_units=0, held_units=0):
        units[row.asset_id] = units.get(row.asset_id, 0) + row.available_units + row.held_units
    codes = dict(Asset.objects.filter(pk__in=units).values_list("pk", "code"))
    return [f"{for_reading(format_units(amount))} {codes[asset_id]}" for asset_id, amount in sorted(units.items())]


def _is_money_on_its_way(accounts: set[int]) -> bool:
    """Rows of everybody are looked at: the outbox has no column for accounts, and few wait at any moment."""
    waiting = OutboxRow.objects.filter(state=OutboxState.WAITING, kind__in=_MONEY).values_list("frames", flat=True)
    for frames in waiting.iterator():
        command = decode_command(bytes(frames))
        named = {getattr(command, name, 0) for name in ("account_id", "to_account_id")}
        if named & accounts:
            return True
    return False


def close_account(*, user: User, facts: Facts, session_key: str | None) -> None:
    """For good. The session that asks ends with the others.

    Raises CannotClose with what is left, or with what the decision on sensitive actions says, and SessionEnded.
    """
    with transaction.atomic():
        lock_to_close(user=user, session_key=session_key)
        decision = decide_now(action=Action.CLOSE_ACCOUNT, facts=facts)
        if not decision.is_allowed:
            raise CannotClose(decision.message, code=decision.code)
        user.refresh_from_db()
        if left := what_is_left(user=user):
            raise CannotClose(" ".join(left))
        end_account(user=user)
