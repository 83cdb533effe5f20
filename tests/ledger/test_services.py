"""Credits and debits: what reaches the outbox, what is refused, what a repetition does."""

from typing import Any

import pytest
from django.db import transaction

from apps.common.amounts import AMOUNT_MAX
from apps.common.errors import DomainError
from apps.ledger.errors import InvalidAccount, InvalidAmount
from apps.ledger.services import credit, debit
from apps.outbox.errors import InvalidKey, KeyReused
from apps.outbox.models import OutboxRow, OutboxState
from apps.streams.codec import decode_command
from apps.streams.kinds import CommandKind, Counterparty

pytestmark = pytest.mark.django_db

GOOD: dict[str, Any] = {"account_id": 1001, "asset_id": 1, "amount_units": 5, "key": "dep:1"}


@pytest.mark.parametrize(("service", "kind"), [(credit, CommandKind.CREDIT), (debit, CommandKind.DEBIT)])
def test_the_command_says_what_was_asked(service: Any, kind: CommandKind) -> None:
    row = service(account_id=1001, asset_id=3, amount_units=AMOUNT_MAX, key="dep:btc:abc:0")
    assert (row.state, row.relay_seq, row.kind, row.shard) == (OutboxState.WAITING, None, kind, "spot")
    command = decode_command(bytes(OutboxRow.objects.get(pk=row.pk).frames))
    assert (command.KIND, command.account_id, command.asset_id) == (kind, 1001, 3)
    assert (command.amount_units, command.counter, command.key) == (AMOUNT_MAX, Counterparty.EXTERNAL, "dep:btc:abc:0")


def test_a_repetition_is_the_same_row() -> None:
    assert credit(**GOOD).pk == credit(**GOOD).pk
    assert OutboxRow.objects.count() == 1


@pytest.mark.parametrize("change", [{"amount_units": 6}, {"account_id": 1002}, {"asset_id": 2}])
def test_a_key_stands_for_one_command(change: dict[str, int]) -> None:
    credit(**GOOD)
    with pytest.raises(KeyReused):
        credit(**(GOOD | change))
    with pytest.raises(KeyReused):
        debit(**GOOD)
    assert OutboxRow.objects.count() == 1


@pytest.mark.parametrize("amount", [0, -1, AMOUNT_MAX + 1, 1.0, True, "5", None])
def test_amounts_that_are_none(amount: Any) -> None:
    refuse(InvalidAmount, amount_units=amount)


@pytest.mark.parametrize("change", [{"account_id": 0}, {"account_id": 2**63}, {"asset_id": 0}, {"asset_id": 2**31}])
def test_accounts_that_are_none(change: dict[str, int]) -> None:
    refuse(InvalidAccount, **change)


@pytest.mark.parametrize("key", ["", "k" * 65, "dép", "line\nbreak"])
def test_keys_that_are_none(key: str) -> None:
    refuse(InvalidKey, key=key)


def refuse(error: type[DomainError], **change: Any) -> None:
    for service in (credit, debit):
        with pytest.raises(error):
            service(**(GOOD | change))
    assert not OutboxRow.objects.exists()


def test_it_goes_with_the_callers_transaction() -> None:
    def deposit() -> None:
        with transaction.atomic():
            credit(**GOOD)
            raise RuntimeError("business row failed")

    with pytest.raises(RuntimeError, match="business row failed"):
        deposit()
    assert not OutboxRow.objects.exists()
