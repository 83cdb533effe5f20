"""Sub-accounts: make, rename, freeze (requirement A6). Whoever calls this has checked that the user is logged in.

A sub-account is of its owner's family from the start: the command that says so goes into the outbox with the row, and
no money can reach the account before the engine has it, since the outbox keeps its order.
"""

import unicodedata

from django.db import transaction
from django.db.models import Value
from django.db.models.functions import Lower
from django.utils import timezone

from apps.accounts.errors import (
    InvalidLabel,
    LabelTaken,
    MainAccountStays,
    NoTradingAccount,
    TooManySubAccounts,
)
from apps.accounts.models import TradingAccount
from apps.accounts.policy import SUB_ACCOUNT_LABEL_LENGTH_MAX, SUB_ACCOUNTS_MAX
from apps.accounts.services.families import change_family, head_of_family
from apps.audit import actors
from apps.audit.services import record

_JOINS = "A sub-account of its owner."


@transaction.atomic
def create_sub_account(*, user_id: int, label: str) -> TradingAccount:
    """A further account of the user with the limits tier of the master, usable at once.

    Locks the master's row, so that parallel requests pass neither the limit nor each other's name. Raises
    InvalidLabel, LabelTaken, TooManySubAccounts, NoTradingAccount; ChangePending while staff moves the family.
    """
    clean = _clean(label)
    main = _lock_main(user_id)
    if TradingAccount.objects.filter(owner_id=user_id, is_main=False).count() >= SUB_ACCOUNTS_MAX:
        raise TooManySubAccounts(f"You can have {SUB_ACCOUNTS_MAX} sub-accounts.")
    _refuse_taken(user_id, clean)
    account = TradingAccount.objects.create(owner_id=user_id, label=clean, tier=main.tier)
    _record(user_id, "sub-account.created", account)
    change_family(
        account_id=account.pk,
        family_id=head_of_family(main.pk),
        reason=_JOINS,
        requested_by=actors.user_text(user_id),
    )
    return account


@transaction.atomic
def rename_sub_account(*, user_id: int, account_id: int, label: str) -> None:
    """Nothing happens if it has that name. Raises InvalidLabel, LabelTaken, NoTradingAccount, MainAccountStays."""
    clean = _clean(label)
    _lock_main(user_id)
    account = _lock_sub(user_id, account_id)
    if account.label == clean:
        return
    _refuse_taken(user_id, clean, except_id=account.pk)
    account.label = clean
    account.save(update_fields=("label",))
    _record(user_id, "sub-account.renamed", account)


@transaction.atomic
def freeze_sub_account(*, user_id: int, account_id: int) -> None:
    """Gateways take no order of the account from now on (within 1 s), cancels they do; open orders stay.

    Nothing happens if it is frozen. Raises NoTradingAccount, MainAccountStays.
    """
    account = _lock_sub(user_id, account_id)
    if not account.is_frozen:
        account.frozen_at = timezone.now()
        account.save(update_fields=("frozen_at",))
        _record(user_id, "sub-account.frozen", account)


@transaction.atomic
def unfreeze_sub_account(*, user_id: int, account_id: int) -> None:
    """Nothing happens if it is not frozen. Raises NoTradingAccount, MainAccountStays."""
    account = _lock_sub(user_id, account_id)
    if account.is_frozen:
        account.frozen_at = None
        account.save(update_fields=("frozen_at",))
        _record(user_id, "sub-account.unfrozen", account)


def _record(user_id: int, action: str, account: TradingAccount) -> None:
    """Without the name: nothing can be removed from the audit log, and users write what they like."""
    record(actor=actors.asking_for(user_id), action=action, object=f"account:{account.pk}")


def _clean(label: str) -> str:
    """One spelling of a name: NFC, no spaces around it, single ones within."""
    clean = " ".join(part for part in unicodedata.normalize("NFC", label).split(" ") if part)
    if not 0 < len(clean) <= SUB_ACCOUNT_LABEL_LENGTH_MAX or not clean.isprintable():
        raise InvalidLabel(f"The name must have 1 to {SUB_ACCOUNT_LABEL_LENGTH_MAX} printable characters.")
    return clean


def _refuse_taken(user_id: int, label: str, except_id: int | None = None) -> None:
    """As the constraint compares them."""
    named = TradingAccount.objects.alias(lowered=Lower("label")).filter(lowered=Lower(Value(label)))
    if named.filter(owner_id=user_id).exclude(pk=except_id or 0).exists():
        raise LabelTaken("Another of your accounts has this name.")


def _lock_main(user_id: int) -> TradingAccount:
    main = TradingAccount.objects.select_for_update().filter(owner_id=user_id, is_main=True).first()
    if main is None:
        raise NoTradingAccount("This user has no trading account.")
    if main.is_frozen:
        # Its owner cannot freeze it: the account was closed while this was asked.
        raise NoTradingAccount("This account is closed.")
    return main


def _lock_sub(user_id: int, account_id: int) -> TradingAccount:
    account = TradingAccount.objects.select_for_update().filter(owner_id=user_id, pk=account_id).first()
    if account is None:
        raise NoTradingAccount("You have no such account.")
    if account.is_main:
        raise MainAccountStays("This is your master account: it keeps its name and cannot be frozen.")
    return account
