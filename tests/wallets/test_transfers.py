"""Transfers as rows and commands: idempotent by client id, bounded, refusals that change nothing."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from apps.accounts.errors import NoTradingAccount
from apps.accounts.facts import Factor, Facts
from apps.accounts.services.subaccounts import create_sub_account, freeze_sub_account
from apps.common.amounts import AMOUNT_MAX
from apps.common.errors import DomainError
from apps.ledger.models import Balance
from apps.outbox.models import OutboxRow, OutboxState
from apps.streams.codec import decode_command
from apps.streams.commands import Transfer
from apps.streams.kinds import Reason
from apps.wallets import errors
from apps.wallets.models import InternalTransfer
from apps.wallets.policy import TRANSFERS_ON_A_PAGE, TRANSFERS_PER_WINDOW_MAX
from apps.wallets.selectors import history, totals
from apps.wallets.services import request_transfer
from tests.wallets.conftest import House


def move(house: House, *, facts: Facts | None = None, **changes: Any) -> InternalTransfer:
    values = {
        "from_account_id": house.main.pk, "to_account_id": house.desk.pk, "asset_id": 2, "amount_units": 60,
        "client_id": "one",
    } | changes  # fmt: skip
    return request_transfer(facts=facts or confirmed(house), **values)


def confirmed(house: House) -> Facts:
    return Facts(user_id=house.user.pk, confirmed_at=timezone.now())


def everything() -> list[Any]:
    return [list(model.objects.order_by("pk").values()) for model in (InternalTransfer, OutboxRow)]


def answered(transfer: InternalTransfer, reason: Reason = Reason.NONE) -> None:
    state = OutboxState.REFUSED if reason else OutboxState.DONE
    OutboxRow.objects.filter(key=transfer.outbox_key).update(
        state=state, reason=reason, event_seq=transfer.pk, relay_seq=10_000 + transfer.pk
    )


def test_the_command_is_written_with_the_row(house: House) -> None:
    made = move(house)
    command = decode_command(bytes(OutboxRow.objects.get(key=made.outbox_key).frames))
    assert isinstance(command, Transfer)
    assert (command.account_id, command.to_account_id, command.asset_id, command.amount_units, command.key) == (
        house.main.pk, house.desk.pk, 2, 60, made.outbox_key,
    )  # fmt: skip


def test_the_same_again_is_the_first_and_other_content_is_refused(house: House) -> None:
    other = create_sub_account(user_id=house.user.pk, label="Other")
    made = move(house)
    answered(made, Reason.INSUFFICIENT_BALANCE)
    before = everything()
    # Whatever became of it, and although nobody could ask for a new one now.
    unconfirmed = Facts(user_id=house.user.pk)
    assert move(house) == move(house, facts=unconfirmed) == made
    for changes in (
        {"amount_units": 61}, {"asset_id": 1}, {"to_account_id": other.pk},
        {"from_account_id": house.desk.pk, "to_account_id": house.main.pk},
    ):  # fmt: skip
        with pytest.raises(errors.ClientIdReused):
            move(house, **changes)
    assert everything() == before
    # An id is its user's own.
    assert InternalTransfer.objects.get().client_id == "one"
    foreign_sub = create_sub_account(user_id=house.foreign.owner_id, label="Desk")
    theirs = Facts(user_id=house.foreign.owner_id, confirmed_at=timezone.now())
    assert move(house, facts=theirs, from_account_id=house.foreign.pk, to_account_id=foreign_sub.pk) != made


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"amount_units": 0}, errors.InvalidTransferAmount), ({"amount_units": -1}, errors.InvalidTransferAmount),
        ({"amount_units": AMOUNT_MAX + 1}, errors.InvalidTransferAmount),
        ({"amount_units": 1.0}, errors.InvalidTransferAmount), ({"amount_units": True}, errors.InvalidTransferAmount),
        ({"asset_id": 3}, errors.UnknownAsset), ({"client_id": ""}, errors.InvalidClientId),
        ({"client_id": "x" * 37}, errors.InvalidClientId), ({"client_id": "a b"}, errors.InvalidClientId),
        ({"client_id": "\u0661"}, errors.InvalidClientId), ({"client_id": "a\n"}, errors.InvalidClientId),
    ],
)  # fmt: skip
def test_bad_values_change_nothing(house: House, changes: dict[str, Any], error: type[DomainError]) -> None:
    before = everything()
    with pytest.raises(error):
        move(house, **changes)
    assert everything() == before


def test_only_between_two_accounts_of_ones_own(house: House) -> None:
    before = everything()
    theirs = Facts(user_id=house.foreign.owner_id, confirmed_at=timezone.now())
    for changes in (
        {"to_account_id": house.foreign.pk}, {"from_account_id": house.foreign.pk}, {"to_account_id": 2**40},
        {"from_account_id": 2**40}, {"facts": theirs},
    ):  # fmt: skip
        with pytest.raises(NoTradingAccount):
            move(house, **changes)
    with pytest.raises(errors.SameAccount):
        move(house, to_account_id=house.main.pk)
    assert everything() == before


def test_what_the_decision_refuses(house: House) -> None:
    freeze_sub_account(user_id=house.user.pk, account_id=house.desk.pk)
    facts = confirmed(house)
    assert facts.confirmed_at is not None
    before = everything()
    back = {"from_account_id": house.desk.pk, "to_account_id": house.main.pk}
    for code, changes in (
        ("ACCOUNT_FROZEN", back),
        ("ACCOUNT_OFF", {"facts": replace(facts, is_active=False)}),
        ("STEP_UP_NEEDED", {"facts": replace(facts, confirmed_at=None)}),
        ("STEP_UP_NEEDED", {"facts": replace(facts, confirmed_at=facts.confirmed_at - timedelta(minutes=15))}),
        ("STEP_UP_NEEDED", {"facts": replace(facts, factors=frozenset({Factor.AUTHENTICATOR}))}),
    ):
        with pytest.raises(errors.TransferNotAllowed) as refused:
            move(house, **changes)
        assert refused.value.code == code
    assert everything() == before
    # Into a frozen account money may come.
    move(house)


def test_so_many_a_minute(house: House) -> None:
    for number in range(TRANSFERS_PER_WINDOW_MAX):
        made = move(house, client_id=f"n{number}")
    before = everything()
    with pytest.raises(errors.TooManyTransfers, match="120"):
        move(house, client_id="one-more")
    assert everything() == before
    assert move(house, client_id=f"n{TRANSFERS_PER_WINDOW_MAX - 1}") == made
    oldest = InternalTransfer.objects.order_by("pk").first()
    assert oldest is not None
    InternalTransfer.objects.filter(pk=oldest.pk).update(requested_at=timezone.now() - timedelta(seconds=61))
    move(house, client_id="one-more")


def test_history_by_pages_with_what_became_of_each(house: House) -> None:
    accounts = [house.main, house.desk]
    made = [move(house, client_id=f"n{number}") for number in range(TRANSFERS_ON_A_PAGE + 2)]
    answered(made[-1])
    answered(made[-2], Reason.INSUFFICIENT_BALANCE)
    answered(made[-3], Reason.OVERFLOW)
    first = history(user_id=house.user.pk, accounts=accounts)
    assert [line.id for line in first.transfers] == [each.pk for each in made[:1:-1]]
    assert [(line.answer.state, line.answer.why) for line in first.transfers[:4]] == [
        ("done", ""), ("refused", "less than that was available"), ("refused", "overflow"), ("waiting", ""),
    ]  # fmt: skip
    line = first.transfers[0]
    assert (line.from_account, line.to_account, line.asset, line.amount) == (
        house.main, house.desk, "USDT", "0.00000060",
    )  # fmt: skip
    rest = history(user_id=house.user.pk, accounts=accounts, before=first.before)
    assert ([line.id for line in rest.transfers], rest.before) == ([made[1].pk, made[0].pk], None)
    assert history(user_id=house.foreign.owner_id, accounts=[house.foreign]).transfers == []


def test_history_and_limit_read_an_index_however_long_it_is(house: House) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO wallets_internaltransfer (owner_id, client_id, from_account_id, to_account_id, asset_id,"
            " amount_units, outbox_key, requested_at)"
            " SELECT CASE WHEN mod(n, 50) = 0 THEN %s ELSE %s END, 'c' || n, 1, 2, 1, 1, 'k' || n, now()"
            " FROM generate_series(1, 20000) n",
            [house.user.pk, house.foreign.owner_id],
        )
        cursor.execute("ANALYZE wallets_internaltransfer")
    rows = InternalTransfer.objects.filter(owner_id=house.user.pk).order_by("-id")
    for query in (rows[:26], rows.filter(id__lt=10_000)[:26], rows.values_list("requested_at")[119:120]):
        plan = query.explain()
        assert "wallets_transfer_of_owner" in plan, plan
        assert "Sort" not in plan, plan


def test_totals_over_all_accounts(house: House) -> None:
    for account, asset_id, available, held in (
        (house.main, 2, 100, 5), (house.desk, 2, 10**17, 0), (house.desk, 1, 0, 7), (house.main, 1, 0, 0),
        (house.foreign, 2, 999, 0),
    ):  # fmt: skip
        Balance.objects.create(
            account_id=account.pk, asset_id=asset_id, available_units=available, held_units=held,
            posted_units=available + held, seq=1,
        )  # fmt: skip
    bitcoin, tether = totals(accounts=[house.main, house.desk])
    assert (bitcoin.asset.code, bitcoin.available, bitcoin.held, bitcoin.total) == (
        "BTC", "0.00000000", "0.00000007", "0.00000007",
    )  # fmt: skip
    assert (tether.available, tether.held, tether.total) == (
        "1000000000.00000100", "0.00000005", "1000000000.00000105",
    )  # fmt: skip
    assert [(each.account, each.available) for each in tether.holdings] == [
        (house.main, "0.00000100"), (house.desk, "1000000000.00000000"),
    ]  # fmt: skip
    assert totals(accounts=[]) == []
