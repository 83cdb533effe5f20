"""Transfers through the engine: at once, exact, never negative, one for each client id, also in a race."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from apps.accounts.facts import Facts
from apps.accounts.models import TradingAccount
from apps.common.amounts import parse_decimal
from apps.markets.models import Asset
from apps.outbox.models import OutboxRow, OutboxState
from apps.outbox.selectors import wait_done
from apps.streams.kinds import Reason
from apps.wallets.models import InternalTransfer
from apps.wallets.services import request_transfer
from tests.gateway.client import Client
from tests.gateway.exchange import Exchange
from tests.gateway.test_sub_accounts import sub_account

AT_ONCE = 50
PATIENCE_S = 60


@pytest.fixture
def desks(exchange: Exchange, alice: Client) -> Iterator[tuple[Client, Client]]:
    """Two sub-accounts of alice, the first with 100 USDT."""
    with sub_account(exchange, alice, "One", USDT="100") as one, sub_account(exchange, alice, "Two") as two:
        yield one, two


def move(source: Client, target: Client, amount: str, client_id: str, code: str = "USDT") -> InternalTransfer:
    return request_transfer(
        facts=Facts(
            user_id=TradingAccount.objects.get(pk=source.me.account_id).owner_id, confirmed_at=timezone.now()
        ),
        from_account_id=source.me.account_id,
        to_account_id=target.me.account_id,
        asset_id=Asset.objects.get(code=code).pk,
        amount_units=parse_decimal(amount),
        client_id=client_id,
    )  # fmt: skip


def outcome(made: InternalTransfer) -> tuple[str, Reason]:
    row = wait_done(OutboxRow.objects.get(key=made.outbox_key), PATIENCE_S)
    return row.state, Reason(row.reason)


def at_once(act: Callable[[int], InternalTransfer]) -> list[InternalTransfer]:
    barrier = threading.Barrier(AT_ONCE)
    made: list[InternalTransfer] = []

    def run(number: int) -> None:
        try:
            barrier.wait(PATIENCE_S)
            made.append(act(number))
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(AT_ONCE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert len(made) == AT_ONCE
    return made


def usdt(client: Client) -> tuple[str, str]:
    return client.balances().get("USDT", ("0.00000000", "0.00000000"))


def test_between_master_and_sub_accounts(exchange: Exchange, alice: Client, desks: tuple[Client, Client]) -> None:
    one, two = desks
    for source, target, amount, client_id in (
        (alice, one, "0.00000001", "down"), (one, two, "100.00000001", "across"), (two, alice, "50", "up"),
    ):  # fmt: skip
        assert outcome(move(source, target, amount, client_id)) == (OutboxState.DONE, Reason.NONE)
    assert [usdt(client)[0] for client in (alice, one, two)] == [
        "1000049.99999999", "0.00000000", "50.00000001",
    ]  # fmt: skip


def test_what_is_in_orders_stays(alice: Client, desks: tuple[Client, Client]) -> None:
    one, two = desks
    one.limit("BUY", "40000", "0.002")
    assert usdt(one) == ("20.00000000", "80.00000000")
    refused = move(one, two, "20.00000001", "too-much")
    assert outcome(refused) == (OutboxState.REFUSED, Reason.INSUFFICIENT_BALANCE)
    assert outcome(move(one, two, "20", "the-rest")) == (OutboxState.DONE, Reason.NONE)
    assert (usdt(one), usdt(two)) == (("0.00000000", "80.00000000"), ("20.00000000", "0.00000000"))


def test_of_fifty_at_once_exactly_one_has_enough(exchange: Exchange, desks: tuple[Client, Client]) -> None:
    one, two = desks
    made = at_once(lambda number: move(one, two, "60", f"race-{number}"))
    exchange.wait_settled()
    found = Counter(outcome(each) for each in made)
    assert found == {
        (OutboxState.DONE, Reason.NONE): 1, (OutboxState.REFUSED, Reason.INSUFFICIENT_BALANCE): AT_ONCE - 1,
    }  # fmt: skip
    assert (usdt(one), usdt(two)) == (("40.00000000", "0.00000000"), ("60.00000000", "0.00000000"))


def test_one_that_is_sent_fifty_times_at_once_is_one(exchange: Exchange, desks: tuple[Client, Client]) -> None:
    one, two = desks
    made: list[Any] = at_once(lambda _: move(one, two, "1", "the-same"))
    exchange.wait_settled()
    assert len({each.pk for each in made}) == 1
    assert (usdt(one)[0], usdt(two)[0]) == ("99.00000000", "1.00000000")
