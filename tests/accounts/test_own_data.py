"""The file of own data: everything of its owner, nothing of others, and nothing that lets somebody in."""

import json
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db import connection
from django.test import Client

from apps.accounts import owndata
from apps.accounts.keyterms import KeyTerms
from apps.accounts.models import ApiKey, Device, LogIn, OpenSession, RecoveryCode, TotpFactor, User
from apps.accounts.owndata import data_part, own_data, part_names
from apps.accounts.policy import OWN_FILES_PER_WINDOW_MAX
from apps.accounts.selectors import main_account
from apps.accounts.services import ownfile
from apps.accounts.services.keyissue import issue_hmac_key
from apps.accounts.services.subaccounts import create_sub_account
from apps.audit.models import Record
from apps.ledger.models import Balance
from apps.markets.services import create_asset, create_market
from apps.notifications.models import Topic
from apps.notifications.services import notify
from apps.wallets.models import InternalTransfer
from tests.accounts.factors import confirm_now, with_app
from tests.accounts.people import PASSWORD
from tests.markets.conftest import TERMS
from tests.orders.test_history import add_orders

pytestmark = pytest.mark.django_db
PAGE = "/account/own-data"


def read(answer: Any) -> str:
    async def collect() -> bytes:
        return b"".join([part async for part in answer.streaming_content])

    assert answer.status_code == 200
    return async_to_sync(collect)().decode()


def furnish(user: User, secrets: set[str]) -> None:
    """A row of everything for the user; what must never leave is added to `secrets`."""
    sub = create_sub_account(user_id=user.pk, label=f"Desk of {user.email}")
    made = issue_hmac_key(
        account_id=sub.pk, terms=KeyTerms(label=f"bot of {user.email}", can_read=True, can_trade=False)
    )
    app_secret, codes = with_app(user)
    Device.objects.create(user=user, token_hash=f"{user.pk:032d}".encode(), browser="Firefox", address="198.51.100.7")
    notify(user_id=user.pk, topic=Topic.SERVICE, title=f"Hello {user.email}")
    main = main_account(user_id=user.pk)
    Balance.objects.create(account_id=main.pk, asset_id=1, available_units=5, held_units=6, posted_units=11, seq=1)
    InternalTransfer.objects.create(
        owner=user, client_id="one", from_account_id=main.pk, to_account_id=sub.pk, asset_id=1, amount_units=7,
        outbox_key=account_row(main.pk),
    )  # fmt: skip
    add_orders(main.pk, main.pk * 10, 3)
    secrets |= {made.secret, made.key.public_key, app_secret, *codes, f"{user.pk:032d}"}


def account_row(account_id: int) -> str:
    """Key of some row of the outbox."""
    from django.db import transaction

    from apps.ledger.services import credit

    with transaction.atomic():
        return credit(account_id=account_id, asset_id=1, amount_units=7, key=f"fund:{account_id}").key


def canaries() -> Iterator[str]:
    """All that is stored of everybody and lets somebody in, in the ways in which it could stand in a file."""
    for user in User.objects.all():
        yield user.password
    for model, field in (
        (ApiKey, "secret_box"), (TotpFactor, "secret_box"), (RecoveryCode, "code_hash"), (Device, "token_hash"),
    ):  # fmt: skip
        for value in model.objects.values_list(field, flat=True):  # type: ignore[attr-defined]
            yield bytes(value).hex()
            yield repr(bytes(value))[2:-1]
    yield from OpenSession.objects.values_list("session_id", flat=True)


def test_everything_of_the_owner_and_no_secret(alice: User, alice_client: Client) -> None:
    create_asset(code="BTC", name="Bitcoin")
    create_asset(code="USDT", name="Tether")
    create_market(base="BTC", quote="USDT", terms=TERMS, reason="listing", requested_by="test")
    bob = User.objects.create_user("bob@example.org", PASSWORD)
    secrets: set[str] = set()
    for user in (alice, bob):
        furnish(user, secrets)
    client = Client()
    assert client.post("/account/log-in", {"username": alice.email, "password": PASSWORD}).status_code == 302
    client.force_login(alice)
    asked = client.get(PAGE)
    assert (asked.status_code, asked["Location"][:26]) == (302, "/account/confirm-it-is-you")
    assert client.post(PAGE).status_code == 302
    assert not Record.objects.filter(action="user.data-exported").exists()
    confirm_now(client)
    assert "trading accounts" in client.get(PAGE).content.decode()
    answer = client.post(PAGE)
    assert answer["Content-Disposition"].startswith('attachment; filename="nebannpet-own-data-')
    text = read(answer)
    found = json.loads(text, parse_float=lambda number: pytest.fail(f"a float: {number}"))
    assert found.keys() == {"format", "made_at", *part_names()}
    assert {name: len(rows) for name, rows in found.items() if isinstance(rows, list)} == {
        "profile": 1, "trading_accounts": 2, "second_factors": 2, "sessions": 0, "browsers": 1, "log_ins": 1,
        "api_keys": 1, "allocation_rules": 0, "notices": 1, "notice_preferences": 0, "orders": 3, "trades": 0,
        "balances": 1, "transfers": 1,
    }  # fmt: skip
    assert found["balances"][0] == {
        "account": main_account(user_id=alice.pk).pk, "asset": "BTC", "available": "0.00000005",
        "in_orders": "0.00000006",
    }  # fmt: skip
    assert (found["transfers"][0]["amount"], found["transfers"][0]["state"]) == ("0.00000007", "waiting")
    assert "bob@" not in text
    for secret in (*secrets, *canaries()):
        assert secret not in text
    (entry,) = Record.objects.filter(action="user.data-exported")
    assert (entry.actor_kind, entry.actor_id, entry.object) == ("user", str(alice.pk), f"user:{alice.pk}")


def test_asked_for_too_often_it_is_refused_until_an_hour_has_passed(
    alice: User, alice_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, bob = Client(), User.objects.create_user("bob@example.org", PASSWORD)
    client.force_login(alice)
    with_app(alice)
    confirm_now(client)
    for asked in range(OWN_FILES_PER_WINDOW_MAX):
        assert "format" in read(client.post(PAGE)), f"number {asked + 1}"
    refused = client.post(PAGE)
    assert (refused.status_code, refused["Retry-After"]) == (429, "3600")
    assert "You have asked for the file 5 times within an hour." in refused.content.decode()
    assert client.get(PAGE).status_code == 200
    assert Record.objects.filter(action="user.data-exported").count() == OWN_FILES_PER_WINDOW_MAX
    others = Client()
    others.force_login(bob)
    with_app(bob)
    confirm_now(others)
    assert "format" in read(others.post(PAGE)), "each user's files count for that user"
    with monkeypatch.context() as later:
        later.setattr(ownfile, "OWN_FILES_WINDOW_S", -5)
        assert "format" in read(client.post(PAGE))


def test_a_session_that_ended_meanwhile_gets_nothing(alice: User, alice_client: Client) -> None:
    client = Client()
    client.force_login(alice)
    session = client.session
    with_app(alice)
    confirm_now(client)
    User.objects.filter(pk=alice.pk).update(locked_at="2026-11-22T00:00:00Z")
    assert client.post(PAGE).status_code == 302
    assert not Record.objects.filter(action="user.data-exported").exists()
    assert session.session_key


def test_it_is_made_in_pieces(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred times the rows take about the memory of a few; and every row is in it once."""
    monkeypatch.setattr(owndata, "ROWS_AT_ONCE", 50)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO accounts_login (user_id, at, succeeded, browser, address, factors, new_device)"
            " SELECT %s, now(), TRUE, 'Firefox ' || n, '', '', FALSE FROM generate_series(1, 5000) n",
            [alice.pk],
        )
    largest, rows = 0, 0
    tracemalloc.start()
    for piece in own_data(alice.pk):
        largest, rows = max(largest, len(piece)), rows + piece.count('"Firefox ')
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert rows == LogIn.objects.count() == 5_000
    assert largest < 50 * 250
    assert peak < 1_500_000


def test_two_parts_cannot_have_one_name() -> None:
    with pytest.raises(AssertionError, match="two parts"):
        data_part("profile")(lambda user_id: iter([]))
