"""Transfers between accounts of one user, by the engine (requirement A6)."""

import re
from dataclasses import replace
from datetime import timedelta
from typing import Final
from uuid import uuid4

from django.db import transaction
from django.utils import timezone

from apps.accounts.errors import NoTradingAccount
from apps.accounts.facts import Facts
from apps.accounts.models import TradingAccount
from apps.accounts.rules import Action, decide
from apps.audit.actors import acting
from apps.audit.services import record
from apps.common.amounts import AMOUNT_MAX
from apps.controls.gates import OPEN_GATES
from apps.markets.models import Asset
from apps.outbox import services as outbox
from apps.streams.commands import Transfer
from apps.wallets.errors import (
    ClientIdReused,
    InvalidClientId,
    InvalidTransferAmount,
    SameAccount,
    TooManyTransfers,
    TransferNotAllowed,
    UnknownAsset,
)
from apps.wallets.models import InternalTransfer
from apps.wallets.policy import CLIENT_ID_LENGTH_MAX, TRANSFERS_PER_WINDOW_MAX, TRANSFERS_WINDOW_S

_CLIENT_ID: Final = re.compile(rf"[A-Za-z0-9_-]{{1,{CLIENT_ID_LENGTH_MAX}}}", re.ASCII)


@transaction.atomic
def request_transfer(
    *, facts: Facts, from_account_id: int, to_account_id: int, asset_id: int, amount_units: int, client_id: str
) -> InternalTransfer:
    """Ask the engine to move what `facts.user_id` has available in one account to another of theirs.

    The same client id with the same content is answered with the first transfer, whatever became of it. The engine
    refuses what is more than available; its answer is the state of the outbox row (selectors.answer_of). The audit log
    has one entry of it, which says what was asked; what became of it stands in the ledger. Locks the
    master's row, so requests of one user come one after the other, and the account that the money leaves.

    Raises NoTradingAccount (foreign accounts too), SameAccount, UnknownAsset, InvalidTransferAmount, InvalidClientId,
    ClientIdReused, TooManyTransfers, and TransferNotAllowed with what the decision on sensitive actions says.
    """
    if _CLIENT_ID.fullmatch(client_id) is None:
        raise InvalidClientId(f"A client id has 1 to {CLIENT_ID_LENGTH_MAX} letters, digits, hyphens or underscores.")
    if type(amount_units) is not int or not 0 < amount_units <= AMOUNT_MAX:
        raise InvalidTransferAmount("The amount must be above 0, and below what the platform can hold.")
    leaves = _lock_accounts(facts.user_id, from_account_id, to_account_id)
    content = {
        "from_account_id": from_account_id,
        "to_account_id": to_account_id,
        "asset_id": asset_id,
        "amount_units": amount_units,
    }
    earlier = InternalTransfer.objects.filter(owner_id=facts.user_id, client_id=client_id).first()
    if earlier is not None:
        if any(getattr(earlier, name) != value for name, value in content.items()):
            raise ClientIdReused("This client id already stands for another transfer of yours.")
        return earlier
    if not Asset.objects.filter(pk=asset_id).exists():
        raise UnknownAsset("There is no such asset.")
    decision = decide(Action.TRANSFER, replace(facts, frozen=leaves.is_frozen), OPEN_GATES, timezone.now())
    if not decision.is_allowed:
        raise TransferNotAllowed(decision.message, code=decision.code)
    _refuse_too_many(facts.user_id)
    made = InternalTransfer.objects.create(
        owner_id=facts.user_id, client_id=client_id, outbox_key=f"transfer:{uuid4().hex}", **content
    )
    outbox.enqueue(
        key=made.outbox_key,
        command=Transfer(
            relay_seq=0, source=0, account_id=from_account_id, to_account_id=to_account_id, asset_id=asset_id,
            amount_units=amount_units, key=made.outbox_key,
        ),
    )  # fmt: skip
    record(
        actor=acting(),
        action="transfer.requested",
        object=f"transfer:{made.pk}",
        after={
            "from": str(from_account_id), "to": str(to_account_id), "asset": str(asset_id), "units": str(amount_units),
        },
    )  # fmt: skip
    return made


def _lock_accounts(user_id: int, from_account_id: int, to_account_id: int) -> TradingAccount:
    """The account that the money leaves. The master first, as everywhere, so that nobody waits for each other."""
    if from_account_id == to_account_id:
        raise SameAccount("Choose two different accounts.")
    rows = TradingAccount.objects.filter(owner_id=user_id)
    rows.select_for_update(no_key=True).filter(is_main=True).first()
    leaves = rows.select_for_update(no_key=True).filter(pk=from_account_id).first()
    if leaves is None or not rows.filter(pk=to_account_id).exists():
        raise NoTradingAccount("You have no such account.")
    return leaves


def _refuse_too_many(user_id: int) -> None:
    of_user = InternalTransfer.objects.filter(owner_id=user_id).order_by("-id").values_list("requested_at", flat=True)
    oldest = of_user[TRANSFERS_PER_WINDOW_MAX - 1 : TRANSFERS_PER_WINDOW_MAX].first()
    if oldest is not None and oldest > timezone.now() - timedelta(seconds=TRANSFERS_WINDOW_S):
        raise TooManyTransfers(
            f"More than {TRANSFERS_PER_WINDOW_MAX} transfers within {TRANSFERS_WINDOW_S} seconds. Wait a minute."
        )
