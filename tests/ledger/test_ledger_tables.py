"""The database itself keeps the ledger: append-only, zero-sum, balances explained by entries."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction

from apps.ledger.models import Balance, Entry, HouseTotal, OwnerKind
from apps.ledger.policy import entry_id

pytestmark = pytest.mark.django_db


def line(
    seq: int, n: int, amount: int, *, kind: OwnerKind = OwnerKind.USER, owner: int = 1001, asset: int = 1
) -> Entry:
    return Entry(
        id=entry_id("spot", seq, n), shard="spot", seq=seq, n=n, asset_id=asset, kind=kind,
        owner_id=owner if kind == OwnerKind.USER else 0, amount_units=amount,
    )  # fmt: skip


@contextmanager
def refused(message: str, error: type[Exception] = DatabaseError) -> Iterator[None]:
    """The statement fails with `message` and no entry, balance or total is there that was not before."""
    before = _everything()
    with pytest.raises(error, match=message), transaction.atomic():
        yield
    assert _everything() == before


def _everything() -> list[object]:
    return [list(model.objects.order_by("pk").values()) for model in (Entry, Balance, HouseTotal)]


@pytest.fixture
def booked() -> None:
    Entry.objects.bulk_create([line(1, 0, 500), line(1, 1, -500, kind=OwnerKind.EXTERNAL)])


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE ledger_entry SET amount_units = 0",
        "DELETE FROM ledger_entry",
        "TRUNCATE ledger_entry",
        "UPDATE ledger_entry SET amount_units = 0 WHERE false",
    ],
)
def test_entries_are_append_only_even_for_the_owner(booked: None, statement: str) -> None:
    with refused("ledger_entry is append-only"), connection.cursor() as cursor:
        cursor.execute(statement)


@pytest.mark.parametrize(
    "lines",
    [
        [line(2, 0, 500)],
        [line(2, 0, 500), line(2, 1, -499, kind=OwnerKind.EXTERNAL)],
        # Balanced over all, but neither per transaction nor per asset.
        [line(2, 0, 500), line(3, 1, -500, kind=OwnerKind.EXTERNAL)],
        [line(2, 0, 500), line(2, 1, -500, kind=OwnerKind.EXTERNAL, asset=2)],
    ],
)
def test_a_transaction_that_does_not_balance_is_refused(booked: None, lines: list[Entry]) -> None:
    with refused("does not balance: asset"):
        Entry.objects.bulk_create(lines)


def test_a_line_added_later_is_refused(booked: None) -> None:
    """A booked transaction stays as it is: whatever is added must balance by itself, under the same number or not."""
    with refused("does not balance"):
        Entry.objects.bulk_create([line(1, 2, 7)])


def test_the_same_transaction_cannot_be_booked_twice(booked: None) -> None:
    with refused("ledger_entry_pkey", IntegrityError):
        Entry.objects.bulk_create([line(1, 0, 500), line(1, 1, -500, kind=OwnerKind.EXTERNAL)])


def test_an_entry_names_an_account_exactly_if_it_is_a_users(booked: None) -> None:
    with refused("ledger_entry_owner", IntegrityError):
        Entry.objects.bulk_create([line(2, 0, 5, owner=0), line(2, 1, -5, kind=OwnerKind.EXTERNAL)])


@pytest.mark.parametrize(
    ("values", "constraint"),
    [
        ({"available_units": -1, "held_units": 1, "posted_units": 0}, "ledger_balance_not_negative"),
        ({"available_units": 1, "held_units": -1, "posted_units": 0}, "ledger_balance_not_negative"),
        ({"available_units": 5, "held_units": 5, "posted_units": 9}, "ledger_balance_is_posted"),
    ],
)
def test_impossible_balances_are_refused(values: dict[str, int], constraint: str) -> None:
    with refused(constraint, IntegrityError):
        Balance.objects.create(shard="spot", account_id=1001, asset_id=1, seq=1, **values)


@pytest.mark.parametrize(("kind", "amount"), [(OwnerKind.FEES, -1), (OwnerKind.SAFU, -1), (OwnerKind.EXTERNAL, 1)])
def test_house_totals_keep_their_sign(kind: OwnerKind, amount: int) -> None:
    with refused("ledger_house_sign", IntegrityError):
        HouseTotal.objects.create(shard="spot", kind=kind, asset_id=1, posted_units=amount, seq=1)


def test_an_account_has_one_balance_of_an_asset_on_each_shard() -> None:
    values = {"account_id": 1001, "asset_id": 1, "seq": 1, "available_units": 5, "held_units": 0, "posted_units": 5}
    Balance.objects.create(shard="spot", **values)
    Balance.objects.create(shard="drill", **values)
    with refused("ledger_balance_unique", IntegrityError):
        Balance.objects.create(shard="drill", **values)
