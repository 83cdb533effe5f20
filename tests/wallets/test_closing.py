"""Closing an account: what keeps it open, what goes and what stays, and a transfer that comes at the same moment."""

import threading
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.db import connection, transaction
from django.test import Client
from django.utils import timezone

from apps.accounts.errors import CannotClose, NoTradingAccount
from apps.accounts.facts import Facts
from apps.accounts.keyterms import KeyTerms
from apps.accounts.models import ApiKey, Device, LogIn, RecoveryCode, TotpFactor, TradingAccount, User
from apps.accounts.services.history import note_log_in
from apps.accounts.services.keyissue import issue_hmac_key
from apps.accounts.services.signup import sign_up
from apps.accounts.services.subaccounts import create_sub_account
from apps.audit.models import Record
from apps.ledger.models import Balance
from apps.ledger.services import credit
from apps.notifications.models import Notice, Topic
from apps.notifications.services import notify
from apps.orders.models import Order
from apps.outbox.models import OutboxRow, OutboxState
from apps.streams.kinds import OrderStatus
from apps.wallets.closing import close_account
from apps.wallets.errors import TransferNotAllowed
from apps.wallets.services import request_transfer
from apps.web.errors import SessionEnded
from tests.accounts.factors import called_lost, with_app
from tests.accounts.mailbox import HERE, newest
from tests.accounts.passkeys import asked, browser, send, with_passkey
from tests.accounts.people import PASSWORD
from tests.codes import fresh_code
from tests.orders.test_history import add_orders
from tests.wallets.conftest import House, confirmed

PAGE = "/account/close"


def of_user(user: User) -> dict[str, Any]:
    """What a closing changes."""
    user.refresh_from_db()
    return {
        "user": (user.email, user.is_active, user.closed_at, user.password),
        "keys": ApiKey.objects.filter(account__owner=user, revoked_at=None).count(),
        "frozen": TradingAccount.objects.filter(owner=user).exclude(frozen_at=None).count(),
        "sessions": Session.objects.count(),
        "closed": Record.objects.filter(action="user.closed").count(),
    }


@pytest.mark.django_db
def test_a_closed_account_lets_nobody_in_and_keeps_the_record(house: House, page: Client) -> None:
    user = house.user
    secret, _ = with_app(user)
    key = issue_hmac_key(account_id=house.desk.pk, terms=KeyTerms(label="bot", can_read=True, can_trade=False)).key
    add_orders(house.main.pk, 1, 2, status=int(OrderStatus.FILLED))
    User.objects.filter(pk=user.pk).update(mail_phrase="green tea")
    Device.objects.create(user=user, token_hash=b"x" * 32, browser="Firefox", address="")
    note_log_in(user_id=user.pk, browser="Firefox", address="", factors=frozenset({"password"}), new_device=False)
    notify(user_id=user.pk, topic=Topic.SERVICE, title="Hello")
    elsewhere = Client()
    elsewhere.force_login(user)
    assert "for good" in page.get(PAGE).content.decode()
    # A step-up is no fresh code.
    confirmed(page, "authenticator")
    before = of_user(user)
    assert page.post(PAGE, {"code": "000000"}).status_code == 422
    assert page.post(PAGE).status_code == 422
    assert of_user(user) == before
    answer = page.post(PAGE, {"code": fresh_code(secret)}, follow=True)
    assert "Your account is closed." in answer.content.decode()
    mail = newest("alice@example.org", "account_closed")
    assert "Your phrase: green tea" in mail.text
    assert "/account/lock/" not in mail.text
    for client in (page, elsewhere):
        assert client.get("/account/").status_code == 302
    user.refresh_from_db()
    assert (user.is_active, user.closed_email, user.mail_phrase) == (False, "alice@example.org", "")
    assert not user.has_usable_password()
    key.refresh_from_db()
    assert key.is_revoked
    assert TradingAccount.objects.filter(owner=user, frozen_at=None).count() == 0
    for model in (Device, LogIn, RecoveryCode, TotpFactor, Notice):
        assert not model.objects.filter(user=user).exists()  # type: ignore[attr-defined]
    assert Order.objects.filter(account_id=house.main.pk).count() == 2
    (entry,) = Record.objects.filter(action="user.closed")
    assert (entry.actor_kind, entry.object) == ("user", f"user:{user.pk}")
    assert "alice@" not in str(list(Record.objects.values()))
    log_in = Client().post("/account/log-in", {"username": "alice@example.org", "password": PASSWORD})
    assert log_in.status_code == 422
    # The address is free.
    sign_up(email="alice@example.org", password="another good password", client=HERE)
    assert newest("alice@example.org", "sign_up")


@pytest.mark.django_db
def test_who_has_no_factor_shows_the_password(house: House, page: Client) -> None:
    before = of_user(house.user)
    for wrong in ({}, {"password": "wrong"}, {"code": "123456"}):
        assert page.post(PAGE, wrong).status_code == 422
    assert of_user(house.user) == before
    assert page.post(PAGE, {"password": PASSWORD}).status_code == 302
    assert of_user(house.user)["closed"] == 1


def has_funds(house: House) -> None:
    Balance.objects.create(account_id=house.desk.pk, asset_id=2, available_units=1, held_units=0, posted_units=1, seq=1)


def has_funds_elsewhere(house: House) -> None:
    Balance.objects.create(
        account_id=house.main.pk, shard="drill", asset_id=1, available_units=0, held_units=5, posted_units=5, seq=1
    )


def has_an_open_order(house: House) -> None:
    add_orders(house.desk.pk, 1, 1, status=int(OrderStatus.PENDING_NEW))


def has_a_transfer_on_its_way(house: House) -> None:
    request_transfer(facts=facts(house.user), from_account_id=house.main.pk, to_account_id=house.desk.pk, asset_id=1,
                     amount_units=5, client_id="one")  # fmt: skip


def has_a_credit_on_its_way(house: House) -> None:
    with transaction.atomic():
        credit(account_id=house.desk.pk, asset_id=1, amount_units=5, key="deposit")


def is_staff(house: House) -> None:
    User.objects.filter(pk=house.user.pk).update(is_staff=True)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("given", "said"),
    [
        (has_funds, "There are funds: 0.00000001 USDT."),
        (has_funds_elsewhere, "There are funds: 0.00000005 BTC."),
        (has_an_open_order, "Orders are open: 1."),
        (has_a_transfer_on_its_way, "Funds are on their way"),
        (has_a_credit_on_its_way, "Funds are on their way"),
        (is_staff, "an account of staff"),
    ],
)
def test_what_keeps_it_open(house: House, page: Client, given: Any, said: str) -> None:
    """The page says it before and after, no proof is asked for, and the service refuses by itself."""
    given(house)
    before = of_user(house.user)
    assert said in page.get(PAGE).content.decode()
    answer = page.post(PAGE, {"password": PASSWORD})
    assert (answer.status_code, said in answer.content.decode()) == (422, True)
    with pytest.raises(CannotClose, match=said):
        close_account(user=house.user, facts=facts(house.user), session_key=page.session.session_key)
    assert of_user(house.user) == before


@pytest.mark.django_db
def test_what_is_somebody_elses_or_done_does_not_keep_it_open(house: House, page: Client) -> None:
    has_a_transfer_on_its_way(house)
    OutboxRow.objects.filter(key__startswith="transfer:").update(state=OutboxState.DONE, event_seq=1, relay_seq=9_999)
    Balance.objects.create(
        account_id=house.foreign.pk, asset_id=2, available_units=1, held_units=0, posted_units=1, seq=1
    )
    Balance.objects.create(account_id=house.main.pk, asset_id=2, available_units=0, held_units=0, posted_units=0, seq=1)
    with transaction.atomic():
        credit(account_id=house.foreign.pk, asset_id=1, amount_units=5, key="theirs")
    assert page.post(PAGE, {"password": PASSWORD}).status_code == 302


@pytest.mark.django_db
def test_nothing_begins_in_a_closed_account(house: House, page: Client) -> None:
    """Requests that were read before the closing, and wait for its locks, come here."""
    earlier = facts(house.user)
    assert page.post(PAGE, {"password": PASSWORD}).status_code == 302
    with pytest.raises(TransferNotAllowed, match="frozen"):
        request_transfer(facts=earlier, from_account_id=house.main.pk, to_account_id=house.desk.pk, asset_id=1,
                         amount_units=5, client_id="late")  # fmt: skip
    with pytest.raises(NoTradingAccount, match="closed"):
        create_sub_account(user_id=house.user.pk, label="late")
    with pytest.raises(SessionEnded):
        close_account(user=house.user, facts=earlier, session_key=page.session.session_key)
    assert Record.objects.filter(action="user.closed").count() == 1


@pytest.mark.django_db
def test_a_passkey_is_shown_for_the_closing_itself(house: House) -> None:
    passkey, client = with_passkey(house.user), browser()
    client.force_login(house.user)
    client.get(PAGE)
    case = called_lost(house.user)
    button = '<button class="button button-danger button-wide" type="submit" disabled>Close the account'
    assert button in client.get(PAGE).content.decode()
    refused = send(client, PAGE, passkey=passkey.shown(asked(client, "confirm")))
    assert (refused.status_code, of_user(house.user)["closed"]) == (422, 0)
    assert send(client, PAGE, passkey=passkey.shown(asked(client, "close-account"))).status_code == 302
    case.refresh_from_db()
    assert case.state == "withdrawn", "the passkey was shown"
    assert of_user(house.user)["closed"] == 1


@pytest.mark.django_db
def test_an_old_proof_and_a_key_are_refused_by_the_service(house: House, page: Client) -> None:
    with_app(house.user)
    with pytest.raises(CannotClose) as refused:
        close_account(user=house.user, facts=facts(house.user), session_key=page.session.session_key)
    assert refused.value.code == "CODE_NEEDED"
    assert of_user(house.user)["closed"] == 0


@pytest.mark.django_db(transaction=True)
def test_a_transfer_of_the_same_moment_is_seen(house: House, page: Client) -> None:
    """The transfer has not committed when the closing begins; the closing waits for it, and then refuses."""
    said: list[str] = []
    key = page.session.session_key

    def close() -> None:
        try:
            close_account(user=house.user, facts=facts(house.user), session_key=key)
        except CannotClose as error:
            said.append(error.message)
        finally:
            connection.close()

    with transaction.atomic():
        has_a_transfer_on_its_way(house)
        thread = threading.Thread(target=close)
        thread.start()
        _wait_for_a_lock()
    thread.join(60)
    assert said == ["Funds are on their way to or from your accounts. Try again in a minute."]
    assert of_user(house.user)["closed"] == 0


def _wait_for_a_lock() -> None:
    """Until somebody waits for what this transaction holds."""
    deadline = timezone.now() + timedelta(seconds=60)
    with connection.cursor() as cursor:
        while timezone.now() < deadline:
            cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
            if cursor.fetchone()[0]:
                return
    raise AssertionError("nobody waited")


def facts(user: User) -> Facts:
    """With the password just shown, and no second factor."""
    return replace(Facts(user_id=user.pk), confirmed_at=timezone.now())
