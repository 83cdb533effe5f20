"""The services work with the rights of the process that runs them, and the gateway's role cannot do the site's work."""

from collections.abc import Iterator
from datetime import UTC, datetime

import psycopg
import pytest
from django.conf import settings
from django.contrib.sessions.backends.db import SessionStore
from django.db import ProgrammingError, connection
from django.utils import timezone

from apps.accounts.credentials import API_KEY_SQL, CREDENTIAL_CHANGES_SQL, LAST_USES_SQL, LATEST_VERSION_SQL
from apps.accounts.facts import Facts
from apps.accounts.keyterms import KeyTerms
from apps.accounts.selectors import main_account_id
from apps.accounts.services.api_keys import revoke_api_key
from apps.accounts.services.keyissue import issue_hmac_key
from apps.accounts.services.subaccounts import create_sub_account, freeze_sub_account
from apps.accounts.services.tickets import issue_ticket
from apps.accounts.tickets import CONSUME_TICKET_SQL
from apps.accounts.tokens import hash_token
from apps.markets.models import Asset
from apps.wallets.models import InternalTransfer
from apps.wallets.services import request_transfer
from nebannpet import roles
from tests.accounts.mailbox import signed_up
from tests.accounts.people import PASSWORD

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _as_site() -> Iterator[None]:
    with psycopg.connect(settings.DATABASE_DSN) as owner:
        roles.apply(owner)
    with connection.cursor() as cursor:
        cursor.execute(f"SET ROLE {roles.ROLE_OF_PROCESS['site']}")
        yield
        cursor.execute("RESET ROLE")


@pytest.fixture
def gateway() -> Iterator[psycopg.Connection]:
    with psycopg.connect(settings.DATABASE_DSN, autocommit=True) as opened:
        opened.execute(f"SET ROLE {roles.ROLE_OF_PROCESS['gateway']}")
        yield opened


def test_site_writes_and_gateway_follows(gateway: psycopg.Connection) -> None:
    user = signed_up("alice@example.org", PASSWORD)
    account_id = main_account_id(user_id=user.pk)
    assert account_id is not None
    key = issue_hmac_key(account_id=account_id, terms=KeyTerms(label="x", can_read=True, can_trade=True)).key
    row = gateway.execute(API_KEY_SQL, (key.public_key,)).fetchone()
    assert row is not None
    assert (row[3], row[7]) == (account_id, False)
    assert gateway.execute(LAST_USES_SQL, ([key.pk], [1_000_000], ["203.0.113.7"])).fetchall() == [(key.pk,)]
    key.refresh_from_db()
    assert (key.last_used_at, key.last_used_address) == (datetime.fromtimestamp(1, UTC), "203.0.113.7")
    latest = gateway.execute(LATEST_VERSION_SQL).fetchone()
    assert latest is not None
    revoke_api_key(account_id=account_id, key_id=key.pk)

    session = SessionStore()
    session.create()
    assert session.session_key is not None
    ticket = issue_ticket(user_id=user.pk, session_key=session.session_key)
    assert gateway.execute(CONSUME_TICKET_SQL, [hash_token(ticket)]).fetchone() is not None
    session.flush()
    changes = gateway.execute(CREDENTIAL_CHANGES_SQL, (latest[0], latest[0])).fetchall()
    assert [(change[0], change[7]) for change in changes] == [("key", True), ("ticket", True)]


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO accounts_apikey (account_id, label, public_key, secret_box, can_read, can_trade, created_at,"
        " version) VALUES (1, '', '', '', TRUE, TRUE, now(), 0)",
        "UPDATE accounts_apikey SET can_trade = TRUE",
        "UPDATE accounts_apikey SET can_withdraw = TRUE",
        "UPDATE accounts_apikey SET expires_at = NULL",
        "UPDATE accounts_tradingticket SET revoked_at = NULL",
        "UPDATE accounts_tradingticket SET account_id = 1",
        "UPDATE accounts_user SET is_staff = TRUE",
        "DELETE FROM accounts_tradingticket",
        "DELETE FROM django_session",
    ],
)
def test_gateway_may_only_mark_what_is_used(gateway: psycopg.Connection, statement: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        gateway.execute(statement)


def test_the_site_makes_freezes_and_funds_sub_accounts() -> None:
    user = signed_up("alice@example.org", PASSWORD)
    desk = create_sub_account(user_id=user.pk, label="Desk")
    freeze_sub_account(user_id=user.pk, account_id=desk.pk)
    asset = Asset.objects.create(id=1, code="USDT", name="Tether")
    main = main_account_id(user_id=user.pk)
    assert main is not None
    facts = Facts(user_id=user.pk, confirmed_at=timezone.now())
    values = {"from_account_id": main, "to_account_id": desk.pk, "asset_id": asset.pk, "amount_units": 1}
    made = request_transfer(facts=facts, client_id="one", **values)
    assert request_transfer(facts=facts, client_id="one", **values) == made
    with pytest.raises(ProgrammingError, match="permission denied"):
        InternalTransfer.objects.update(amount_units=2)
