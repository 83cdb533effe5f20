"""Sub-accounts: made, renamed, frozen by their owner; refusals change nothing, another user's are not found."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext

from apps.accounts import errors
from apps.accounts.credentials import API_KEY_SQL, CREDENTIAL_CHANGES_SQL, LATEST_VERSION_SQL
from apps.accounts.keyterms import KeyTerms
from apps.accounts.models import AccountSettings, ApiKey, FamilyChange, TradingAccount, TradingTicket, User
from apps.accounts.policy import SUB_ACCOUNT_LABEL_LENGTH_MAX, SUB_ACCOUNTS_MAX
from apps.accounts.selectors import main_account
from apps.accounts.services.families import change_family
from apps.accounts.services.keyissue import issue_hmac_key
from apps.accounts.services.mirror import Taken, mirror_accounts
from apps.accounts.services.subaccounts import (
    create_sub_account,
    freeze_sub_account,
    rename_sub_account,
    unfreeze_sub_account,
)
from apps.accounts.services.tickets import issue_ticket
from apps.accounts.tickets import CONSUME_TICKET_SQL
from apps.accounts.tokens import hash_token
from apps.audit.models import Record
from apps.common.errors import DomainError
from apps.outbox.models import OutboxRow
from apps.streams.codec import decode_command
from apps.streams.commands import SetAccount
from apps.streams.kinds import AccountFlag
from tests.accounts.factors import confirm_now
from tests.accounts.people import PASSWORD

PAGE = "/account/sub-accounts"
Post = Callable[..., Any]
Make = Callable[..., User]


def everything() -> list[Any]:
    models = (TradingAccount, FamilyChange, OutboxRow, ApiKey, TradingTicket, Record)
    return [list(model.objects.order_by("pk").values()) for model in models]


@pytest.fixture
def desk(alice: User) -> TradingAccount:
    return create_sub_account(user_id=alice.pk, label="Desk")


# -- services ---------------------------------------------------------------------------------------------------------
def test_a_new_one_is_of_the_family_before_any_money_can_come(alice: User, make_user: Make) -> None:
    main = main_account(user_id=alice.pk)
    TradingAccount.objects.filter(pk=main.pk).update(tier=TradingAccount.Tier.DEMO)
    account = create_sub_account(user_id=alice.pk, label="  Zürich   desk ")
    assert (account.owner_id, account.label, account.is_main, account.tier, account.is_frozen) == (
        alice.pk, "Zürich desk", False, "demo", False,
    )  # fmt: skip
    known, joins = (decode_command(bytes(row.frames)) for row in OutboxRow.objects.order_by("pk"))
    assert isinstance(known, SetAccount)
    assert (known.account_id, known.flags) == (main.pk, AccountFlag.KEEP_FAMILY)
    assert isinstance(joins, SetAccount)
    assert (joins.account_id, joins.family_id, joins.fee_tier) == (account.pk, main.pk, 0)
    made, moved = Record.objects.filter(action__in=("sub-account.created", "account.family")).order_by("pk")
    assert (made.actor_kind, made.actor_id, made.object) == ("user", str(alice.pk), f"account:{account.pk}")
    assert (moved.actor_kind, moved.actor_id, moved.object) == ("user", str(alice.pk), f"account:{account.pk}")
    # A second one does not wait for the first; names are compared within one owner.
    create_sub_account(user_id=alice.pk, label="Second")
    create_sub_account(user_id=make_user("bob@example.org").pk, label="Second")
    assert OutboxRow.objects.count() == 5


def test_it_joins_the_family_that_staff_put_the_master_into(alice: User, make_user: Make) -> None:
    main = main_account(user_id=alice.pk)
    with connection.cursor() as cursor:
        mirror_accounts(cursor, shard="spot", taken=[Taken(9_000, 9_000, 0, 1), Taken(main.pk, 9_000, 0, 2)])
    TradingAccount.objects.create(pk=9_000, owner=make_user("house@example.org"), label="House")
    account = create_sub_account(user_id=alice.pk, label="Desk")
    assert FamilyChange.objects.get(account_id=account.pk).family_id == 9_000
    assert AccountSettings.objects.count() == 2


@pytest.mark.parametrize(
    ("label", "error"),
    [
        ("", errors.InvalidLabel), ("   ", errors.InvalidLabel), ("a\x00b", errors.InvalidLabel),
        ("a\u202eb", errors.InvalidLabel), ("x" * (SUB_ACCOUNT_LABEL_LENGTH_MAX + 1), errors.InvalidLabel),
        ("a\nb", errors.InvalidLabel), ("DESK", errors.LabelTaken), ("main", errors.LabelTaken),
    ],
)  # fmt: skip
def test_names_that_are_refused_change_nothing(
    alice: User, desk: TradingAccount, label: str, error: type[DomainError]
) -> None:
    other = create_sub_account(user_id=alice.pk, label="Other")
    before = everything()
    with pytest.raises(error):
        create_sub_account(user_id=alice.pk, label=label)
    with pytest.raises(error):
        rename_sub_account(user_id=alice.pk, account_id=other.pk, label=label)
    assert everything() == before


def test_the_database_too_refuses_a_name_twice(alice: User, desk: TradingAccount) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        TradingAccount.objects.create(owner=alice, label="dESK")


def test_how_many(alice: User) -> None:
    TradingAccount.objects.bulk_create(
        [TradingAccount(owner=alice, label=f"desk {number}") for number in range(SUB_ACCOUNTS_MAX - 1)]
    )
    create_sub_account(user_id=alice.pk, label="the last")
    before = everything()
    with pytest.raises(errors.TooManySubAccounts, match="100"):
        create_sub_account(user_id=alice.pk, label="one more")
    assert everything() == before


def test_not_while_staff_moves_the_master(alice: User, make_user: Make) -> None:
    main, head = main_account(user_id=alice.pk), main_account(user_id=make_user("house@example.org").pk)
    change_family(account_id=main.pk, family_id=head.pk, reason="a desk", requested_by="ann")
    before = everything()
    with pytest.raises(errors.ChangePending):
        create_sub_account(user_id=alice.pk, label="Desk")
    assert everything() == before


def test_foreign_unknown_and_master_accounts_are_refused(alice: User, desk: TradingAccount, make_user: Make) -> None:
    bob = make_user("bob@example.org")
    main = main_account(user_id=alice.pk)
    before = everything()
    for user_id, account_id, error in (
        (bob.pk, desk.pk, errors.NoTradingAccount), (alice.pk, desk.pk + 999, errors.NoTradingAccount),
        (alice.pk, main.pk, errors.MainAccountStays),
    ):  # fmt: skip
        with pytest.raises(error):
            rename_sub_account(user_id=user_id, account_id=account_id, label="mine")
        with pytest.raises(error):
            freeze_sub_account(user_id=user_id, account_id=account_id)
        with pytest.raises(error):
            unfreeze_sub_account(user_id=user_id, account_id=account_id)
    assert everything() == before


def test_freezing_is_news_for_followers_of_keys_and_sessions(
    alice: User, desk: TradingAccount, alice_client: Client
) -> None:
    key = issue_hmac_key(account_id=desk.pk, terms=KeyTerms(label="bot", can_read=True, can_trade=True)).key
    session = alice_client.cookies["sessionid"].value
    used, late = (issue_ticket(user_id=alice.pk, session_key=session, account_id=desk.pk) for _ in range(2))

    def ask(text: str, *values: Any) -> list[Any]:
        with connection.cursor() as cursor:
            cursor.execute(text, values)
            return cursor.fetchall()

    assert ask(CONSUME_TICKET_SQL, hash_token(used))[0][1:] == (desk.pk, alice.pk, "standard", False)
    for act, frozen in ((freeze_sub_account, True), (unfreeze_sub_account, False), (freeze_sub_account, True)):
        [[last]] = ask(LATEST_VERSION_SQL)
        act(user_id=alice.pk, account_id=desk.pk)
        act(user_id=alice.pk, account_id=desk.pk)
        changes = ask(CREDENTIAL_CHANGES_SQL, last, last)
        assert [(row[0], row[3], row[7], row[11]) for row in changes if row[0] == "key"] == [
            ("key", desk.pk, False, frozen)
        ]
        assert {(row[0], row[11]) for row in changes} == {("key", frozen), ("ticket", frozen)}
        [row] = ask(API_KEY_SQL, key.public_key)
        assert row[13] is frozen
    assert ask(CONSUME_TICKET_SQL, hash_token(late))[0][4] is True
    actions = Record.objects.filter(object=f"account:{desk.pk}", action__contains="frozen").order_by("pk")
    assert list(actions.values_list("action", flat=True)) == [
        "sub-account.frozen", "sub-account.unfrozen", "sub-account.frozen",
    ]  # fmt: skip


@pytest.mark.django_db(transaction=True)
def test_of_two_of_one_name_at_once_one_is_made(make_user: Make) -> None:
    user = make_user("race@example.org")
    outcomes: list[str] = []
    barrier = threading.Barrier(4)

    def create() -> None:
        try:
            barrier.wait(60)
            create_sub_account(user_id=user.pk, label="Desk")
            outcomes.append("made")
        except errors.LabelTaken:
            outcomes.append("taken")
        finally:
            connection.close()

    threads = [threading.Thread(target=create) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(outcomes) == ["made", "taken", "taken", "taken"]
    assert TradingAccount.objects.filter(owner=user, is_main=False).count() == FamilyChange.objects.count() == 1


# -- pages ------------------------------------------------------------------------------------------------------------
def test_the_pages_make_rename_freeze_and_show_it(alice: User, alice_client: Client, csrf_post: Post) -> None:
    assert "/account/sub-accounts" in alice_client.get("/account/").content.decode()
    assert csrf_post(alice_client, PAGE, PAGE, {"label": "<b>Desk</b>"}).status_code == 302
    account = TradingAccount.objects.get(owner=alice, is_main=False)
    listed = alice_client.get(PAGE).content.decode()
    assert "&lt;b&gt;Desk&lt;/b&gt;" in listed
    assert "<b>Desk" not in listed
    own = f"{PAGE}/{account.pk}"
    assert csrf_post(alice_client, own, own, {"label": "Other desk"}).status_code == 302
    assert csrf_post(alice_client, own, f"{own}/freeze").status_code == 302
    account.refresh_from_db()
    assert (account.label, account.is_frozen) == ("Other desk", True)
    assert "frozen</span>" in alice_client.get(PAGE).content.decode()
    assert "frozen</span>" in alice_client.get(f"{own}/api-keys").content.decode()
    asked = csrf_post(alice_client, own, f"{own}/unfreeze")["Location"]
    assert asked.startswith("/account/confirm-it-is-you"), "a session alone does not end what its owner did against it"
    account.refresh_from_db()
    assert account.is_frozen
    confirm_now(alice_client)
    assert csrf_post(alice_client, own, f"{own}/unfreeze")["Location"] == own
    account.refresh_from_db()
    assert not account.is_frozen


@pytest.mark.parametrize("label", ["", "x" * 41, "a\x00b", "a\u202eb", "desk"])
def test_a_refused_name_is_said_at_its_field(
    desk: TradingAccount, alice: User, alice_client: Client, csrf_post: Post, label: str
) -> None:
    other = create_sub_account(user_id=alice.pk, label="Other")
    before = everything()
    for page in (PAGE, f"{PAGE}/{other.pk}"):
        response = csrf_post(alice_client, page, page, {"label": label})
        assert response.status_code == 422, page
        assert response.context["form"].errors.keys() == {"label"}
    assert everything() == before


def test_too_many_is_said_on_the_page(
    desk: TradingAccount, alice_client: Client, csrf_post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apps.accounts.services.subaccounts.SUB_ACCOUNTS_MAX", 1)
    response = csrf_post(alice_client, PAGE, PAGE, {"label": "Second"})
    assert response.status_code == 422
    assert "You can have 1 sub-accounts." in response.content.decode()


def test_its_keys_are_its_own(alice: User, desk: TradingAccount, alice_client: Client, csrf_post: Post) -> None:
    page = f"{PAGE}/{desk.pk}/api-keys"
    response = csrf_post(alice_client, page, page, {"label": "of the desk", "can_read": "on", "password": PASSWORD})
    assert response.status_code == 200
    key = ApiKey.objects.get()
    assert (key.account_id, key.can_trade) == (desk.pk, False)
    assert response.context["new"].secret in response.content.decode()
    assert key.label in alice_client.get(page).content.decode()
    assert key.label not in alice_client.get("/account/api-keys").content.decode()
    # Not by the master's address, nor by another sub-account's.
    other = create_sub_account(user_id=alice.pk, label="Other")
    for path in (f"/account/api-keys/{key.pk}/revoke", f"{PAGE}/{other.pk}/api-keys/{key.pk}/revoke"):
        assert csrf_post(alice_client, page, path).status_code == 404
    key.refresh_from_db()
    assert not key.is_revoked
    answer = csrf_post(alice_client, page, f"{page}/{key.pk}/revoke")
    assert (answer.status_code, answer["Location"]) == (302, page)
    key.refresh_from_db()
    assert key.is_revoked


def test_accounts_of_others_and_the_master_are_not_found(
    alice: User, desk: TradingAccount, make_user: Make, csrf_post: Post
) -> None:
    bob = make_user("bob@example.org")
    key = issue_hmac_key(account_id=desk.pk, terms=KeyTerms(label="bot", can_read=True, can_trade=True)).key
    client = Client(enforce_csrf_checks=True)
    client.force_login(bob)
    before = everything()
    for number in (desk.pk, main_account(user_id=alice.pk).pk, main_account(user_id=bob.pk).pk, desk.pk + 9, 10**30):
        own = f"{PAGE}/{number}"
        for path in (own, f"{own}/api-keys"):
            assert client.get(path).status_code == 404, path
            sent = {"label": "mine", "can_read": "on", "password": PASSWORD}
            assert csrf_post(client, PAGE, path, sent).status_code == 404, path
        for path in (f"{own}/freeze", f"{own}/unfreeze", f"{own}/api-keys/{key.pk}/revoke"):
            assert csrf_post(client, PAGE, path).status_code == 404, path
            assert client.get(path).status_code == 405, path
    assert everything() == before
    assert "Desk" not in client.get(PAGE).content.decode()


def test_the_list_asks_the_same_number_of_questions_however_long_it_is(alice: User, alice_client: Client) -> None:
    def questions() -> int:
        with CaptureQueriesContext(connection) as asked:
            alice_client.get(PAGE)
        return len(asked)

    create_sub_account(user_id=alice.pk, label="First")
    alice_client.get(PAGE)  # the session notes when it was seen
    few = questions()
    for number in range(5):
        create_sub_account(user_id=alice.pk, label=f"Desk {number}")
    assert questions() == few


# -- tickets ----------------------------------------------------------------------------------------------------------
def test_a_page_trades_as_the_account_that_it_names(
    alice: User, desk: TradingAccount, alice_client: Client, csrf_post: Post, make_user: Make
) -> None:
    main = main_account(user_id=alice.pk)
    for number in (desk.pk, main.pk):
        assert csrf_post(alice_client, PAGE, f"/trade/ticket/{number}").status_code == 200
    assert list(TradingTicket.objects.order_by("pk").values_list("account_id", "user_id")) == [
        (desk.pk, alice.pk), (main.pk, alice.pk),
    ]  # fmt: skip
    foreign = main_account(user_id=make_user("bob@example.org").pk)
    for number in (foreign.pk, desk.pk + 999, 10**30):
        answer = csrf_post(alice_client, PAGE, f"/trade/ticket/{number}")
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "NO_TRADING_ACCOUNT")
    assert TradingTicket.objects.count() == 2
