"""Accounts are put into families (T8, A6): by staff, and each sub-account when it is made. The engine decides; the
mirror follows its event."""

from collections.abc import Collection
from uuid import uuid4

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Q

from apps.accounts.errors import ChangePending, FamilyNested, NoTradingAccount
from apps.accounts.models import AccountSettings, FamilyChange, TradingAccount
from apps.outbox import services as outbox
from apps.outbox.models import OutboxRow, OutboxState
from apps.outbox.requests import required_reason
from apps.streams.commands import SetAccount
from apps.streams.kinds import AccountFlag


@transaction.atomic
def change_family(*, account_id: int, family_id: int, reason: str, requested_by: str) -> FamilyChange:
    """Ask the engine to count the account to the family of the account `family_id`; its own number ends that.

    Raises ReasonMissing, NoTradingAccount, ChangePending, FamilyNested. Open orders are the engine's to refuse
    (ACCOUNT_HAS_ORDERS). The command carries the fee tier too, so no other change of the account may be on its way.
    """
    reason = required_reason(reason)
    known_accounts((account_id, family_id))
    lock_account_settings()
    waiting = OutboxRow.objects.filter(state=OutboxState.WAITING)
    asked = FamilyChange.objects.filter(Q(account_id__in=(account_id, family_id)) | Q(family_id=account_id))
    if asked.filter(outbox_key__in=waiting.values("key")).exists():
        raise ChangePending(f"An earlier change of the family of {account_id} or {family_id} still waits.")
    if waiting.filter(key__startswith=f"fee-tier:{account_id}:").exists():
        raise ChangePending(f"A new fee tier of account {account_id} still waits for the engine. Try again then.")
    mirror = AccountSettings.objects.filter(shard=settings.SHARD)
    if family_id != account_id:
        _refuse_nesting(account_id, family_id)
        if not mirror.filter(account_id=family_id).exists():
            _introduce(family_id)
    fee_tier = mirror.filter(account_id=account_id).values_list("fee_tier", flat=True).first() or 0
    change = FamilyChange.objects.create(
        account_id=account_id,
        family_id=family_id,
        reason=reason,
        requested_by=requested_by,
        outbox_key=f"account:{account_id}:family:{uuid4().hex[:24]}",
    )
    outbox.enqueue(
        key=change.outbox_key,
        command=SetAccount(
            relay_seq=0, source=0, account_id=account_id, family_id=family_id, fee_tier=fee_tier
        ),
    )  # fmt: skip
    return change


def head_of_family(account_id: int) -> int:
    """The account at the head of its family as far as the settled record knows; itself without a family."""
    mirror = AccountSettings.objects.filter(shard=settings.SHARD, account_id=account_id)
    return mirror.values_list("family_id", flat=True).first() or account_id


def _introduce(head: int) -> None:
    """An engine knows an account from its first money or settings on, and the head of a family may have had neither.

    Only for one of which nothing was ever set: its tier is the lowest, unless one is on its way, which does as well.
    """
    if not OutboxRow.objects.filter(key__startswith=f"fee-tier:{head}:").exists():
        command = SetAccount(relay_seq=0, source=0, flags=AccountFlag.KEEP_FAMILY, account_id=head, fee_tier=0)
        outbox.enqueue(key=f"account:{head}:known", command=command)


def _refuse_nesting(account_id: int, family_id: int) -> None:
    mirror = AccountSettings.objects.filter(shard=settings.SHARD)
    head = mirror.filter(account_id=family_id).first()
    if head is not None and head.family_id != family_id:
        raise FamilyNested(f"Account {family_id} is itself of the family of {head.family_id}: name that account.")
    member = mirror.filter(family_id=account_id).exclude(account_id=account_id).first()
    if member is not None:
        raise FamilyNested(f"Account {account_id} heads a family: account {member.account_id} has to leave it first.")


def known_accounts(numbers: Collection[int]) -> None:
    """NoTradingAccount unless all of them are trading accounts."""
    found = set(TradingAccount.objects.filter(pk__in=numbers).values_list("pk", flat=True))
    unknown = sorted(set(numbers) - found)
    if unknown:
        raise NoTradingAccount(f"There is no trading account {', '.join(map(str, unknown))}.")


def lock_account_settings() -> None:
    """Until the transaction ends, nobody else makes a command that sets accounts.

    SET_ACCOUNT carries family and fee tier, so whoever makes one must know what the others have sent.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('account settings'))")
